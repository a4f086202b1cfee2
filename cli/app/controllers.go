package app

import (
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/restmapper"

	"github.com/pintle-io/pintle/engine/auth/token"
	"github.com/pintle-io/pintle/engine/autoscaling"
	"github.com/pintle-io/pintle/engine/controllers"
	"github.com/pintle-io/pintle/engine/controllers/deployment"
	"github.com/pintle-io/pintle/engine/controllers/serviceloadbalancer"
	"github.com/pintle-io/pintle/engine/decision"
	"github.com/pintle-io/pintle/engine/reconcile"
	"github.com/pintle-io/pintle/engine/strategy"
)

// newControllers builds every controller and registers their informers.
func (c *controlPlane) newControllers(events *reconcile.Events, router *strategy.Router, decisions *decision.Log) ([]*reconcile.Controller, error) {
	// It holds keys alone, so one more than the API server's is no second truth.
	tokens, err := token.New(token.Config{Issuer: serviceAccountIssuer, Key: c.pki.ServiceAccountKey(), Objects: c.client})
	if err != nil {
		return nil, err
	}
	pool, err := serviceloadbalancer.ParsePool(c.cfg.LoadBalancerPool)
	if err != nil {
		return nil, err
	}
	env := c.reconcileEnv(events)
	mapper := restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(c.client.Clientset().Discovery()))
	metrics, err := autoscaling.NewSource(env.WriterFor(autoscaling.Name).RESTConfig(), mapper)
	if err != nil {
		return nil, err
	}
	all, err := controllers.All(controllers.Deps{
		Env: env, Rollouts: deployment.Strategies{Router: router, Decisions: decisions, Metrics: metrics},
		RootCA: c.pki.CA(), Signer: c.pki, ClusterCIDRs: podCIDRs(c.cfg.DualStack),
		Tokens: tokens, Mapper: mapper, LoadBalancers: pool,
	})
	if err != nil {
		return nil, err
	}
	scaler, err := c.newAutoscaling(env, mapper, metrics, router, decisions)
	if err != nil {
		return nil, err
	}
	return append(all, scaler), nil
}

// reconcileEnv is what every controller is built from.
func (c *controlPlane) reconcileEnv(events *reconcile.Events) reconcile.Env {
	return reconcile.Env{Client: c.client, Events: events, Logger: c.log.With("part", "controllers"), Lead: c.leader.Lead}
}
