package app

import (
	"net/netip"

	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/restmapper"

	"github.com/pintle-io/pintle/engine/auth/token"
	"github.com/pintle-io/pintle/engine/controllers"
	"github.com/pintle-io/pintle/engine/controllers/serviceloadbalancer"
	"github.com/pintle-io/pintle/engine/reconcile"
)

// newControllers builds every controller and registers their informers.
func (c *controlPlane) newControllers(events *reconcile.Events) ([]*reconcile.Controller, error) {
	// It holds keys alone, so one more than the API server's is no second truth.
	tokens, err := token.New(token.Config{Issuer: serviceAccountIssuer, Key: c.pki.ServiceAccountKey(), Objects: c.client})
	if err != nil {
		return nil, err
	}
	pool, err := serviceloadbalancer.ParsePool(c.cfg.LoadBalancerPool)
	if err != nil {
		return nil, err
	}
	return controllers.All(controllers.Deps{
		Env:    reconcile.Env{Client: c.client, Events: events, Logger: c.log.With("part", "controllers")},
		RootCA: c.pki.CA(), Signer: c.pki, ClusterCIDR: netip.MustParsePrefix(PodCIDR),
		Tokens: tokens, Mapper: restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(c.client.Clientset().Discovery())),
		LoadBalancers: pool,
	})
}
