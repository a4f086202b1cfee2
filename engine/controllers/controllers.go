// Package controllers lists the built-in controllers. Each lives in a package of
// its own, with every decision in plan.go; this one only names them.
package controllers

import (
	"context"
	"fmt"
	"net/netip"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/pintle-io/pintle/engine/controllers/accounttoken"
	"github.com/pintle-io/pintle/engine/controllers/admissionpolicystatus"
	"github.com/pintle-io/pintle/engine/controllers/attachdetach"
	"github.com/pintle-io/pintle/engine/controllers/bootstrapsigner"
	"github.com/pintle-io/pintle/engine/controllers/catalog"
	"github.com/pintle-io/pintle/engine/controllers/clusterroleaggregation"
	"github.com/pintle-io/pintle/engine/controllers/cronjob"
	"github.com/pintle-io/pintle/engine/controllers/csr"
	"github.com/pintle-io/pintle/engine/controllers/daemonset"
	"github.com/pintle-io/pintle/engine/controllers/deployment"
	"github.com/pintle-io/pintle/engine/controllers/devicetainteviction"
	"github.com/pintle-io/pintle/engine/controllers/disruption"
	"github.com/pintle-io/pintle/engine/controllers/endpoints"
	"github.com/pintle-io/pintle/engine/controllers/endpointslice"
	"github.com/pintle-io/pintle/engine/controllers/endpointslicemirroring"
	"github.com/pintle-io/pintle/engine/controllers/ephemeralvolume"
	"github.com/pintle-io/pintle/engine/controllers/garbage"
	"github.com/pintle-io/pintle/engine/controllers/ingress"
	"github.com/pintle-io/pintle/engine/controllers/job"
	"github.com/pintle-io/pintle/engine/controllers/namespace"
	"github.com/pintle-io/pintle/engine/controllers/nodeipam"
	"github.com/pintle-io/pintle/engine/controllers/nodelifecycle"
	"github.com/pintle-io/pintle/engine/controllers/nodettl"
	"github.com/pintle-io/pintle/engine/controllers/podcertificatecleaner"
	"github.com/pintle-io/pintle/engine/controllers/podgc"
	"github.com/pintle-io/pintle/engine/controllers/pvcprotection"
	"github.com/pintle-io/pintle/engine/controllers/pvprotection"
	"github.com/pintle-io/pintle/engine/controllers/replicaset"
	"github.com/pintle-io/pintle/engine/controllers/replicationcontroller"
	"github.com/pintle-io/pintle/engine/controllers/resourceclaim"
	"github.com/pintle-io/pintle/engine/controllers/resourcequota"
	"github.com/pintle-io/pintle/engine/controllers/rootca"
	"github.com/pintle-io/pintle/engine/controllers/serviceaccount"
	"github.com/pintle-io/pintle/engine/controllers/servicecidr"
	"github.com/pintle-io/pintle/engine/controllers/serviceloadbalancer"
	"github.com/pintle-io/pintle/engine/controllers/statefulset"
	"github.com/pintle-io/pintle/engine/controllers/storagemigration"
	"github.com/pintle-io/pintle/engine/controllers/tainteviction"
	"github.com/pintle-io/pintle/engine/controllers/tokencleaner"
	"github.com/pintle-io/pintle/engine/controllers/trustbundle"
	"github.com/pintle-io/pintle/engine/controllers/ttlafterfinished"
	"github.com/pintle-io/pintle/engine/controllers/vacprotection"
	"github.com/pintle-io/pintle/engine/controllers/volumebinder"
	"github.com/pintle-io/pintle/engine/controllers/volumeexpand"
	"github.com/pintle-io/pintle/engine/reconcile"
)

// Deps are what the controllers are built from.
type Deps struct {
	reconcile.Env
	// RootCA is the PEM bundle that pods verify the API server with; without it
	// kube-root-ca.crt is not published.
	RootCA []byte
	// Signer signs certificate requests; without it none is approved or signed.
	Signer csr.Signer
	// ClusterCIDRs are the ranges that nodes' pod ranges are cut from, one per family;
	// without any nodes are given none.
	ClusterCIDRs []netip.Prefix
	// Tokens makes the tokens of service accounts that are kept in Secrets; without
	// it such Secrets stay empty.
	Tokens accounttoken.Issuer
	// Mapper finds the kinds that admission policies match; without it their
	// expressions are not checked.
	Mapper meta.RESTMapper
	// Rollouts decides about Deployments.
	Rollouts deployment.Strategies
	// LoadBalancers is the pool that Services of that type get addresses from;
	// without it they get none.
	LoadBalancers serviceloadbalancer.Pool
}

// All builds every controller. It registers their informers, so the informer
// factory must be started after it.
func All(d Deps) ([]*reconcile.Controller, error) {
	kinds := catalog.New(d.Client)
	builders := []func() (*reconcile.Controller, error){
		func() (*reconcile.Controller, error) { return namespace.New(d.Env, kinds) },
		func() (*reconcile.Controller, error) { return garbage.New(d.Env, kinds) },
		func() (*reconcile.Controller, error) { return serviceaccount.New(d.Env) },
		func() (*reconcile.Controller, error) { return deployment.New(d.Env, d.Rollouts) },
		func() (*reconcile.Controller, error) { return replicaset.New(d.Env) },
		func() (*reconcile.Controller, error) { return replicationcontroller.New(d.Env) },
		func() (*reconcile.Controller, error) { return statefulset.New(d.Env) },
		func() (*reconcile.Controller, error) { return daemonset.New(d.Env) },
		func() (*reconcile.Controller, error) { return job.New(d.Env) },
		func() (*reconcile.Controller, error) { return cronjob.New(d.Env) },
		func() (*reconcile.Controller, error) { return ttlafterfinished.New(d.Env) },
		func() (*reconcile.Controller, error) { return endpointslice.New(d.Env) },
		func() (*reconcile.Controller, error) { return endpointslicemirroring.New(d.Env) },
		func() (*reconcile.Controller, error) { return endpoints.New(d.Env) },
		func() (*reconcile.Controller, error) { return disruption.New(d.Env) },
		func() (*reconcile.Controller, error) { return resourcequota.New(d.Env, kinds) },
		func() (*reconcile.Controller, error) { return volumebinder.New(d.Env) },
		func() (*reconcile.Controller, error) { return volumeexpand.New(d.Env) },
		func() (*reconcile.Controller, error) { return attachdetach.New(d.Env) },
		func() (*reconcile.Controller, error) { return ephemeralvolume.New(d.Env) },
		func() (*reconcile.Controller, error) { return resourceclaim.New(d.Env) },
		func() (*reconcile.Controller, error) { return devicetainteviction.New(d.Env) },
		func() (*reconcile.Controller, error) { return pvcprotection.New(d.Env) },
		func() (*reconcile.Controller, error) { return pvprotection.New(d.Env) },
		func() (*reconcile.Controller, error) { return vacprotection.New(d.Env) },
		func() (*reconcile.Controller, error) { return nodelifecycle.New(d.Env) },
		func() (*reconcile.Controller, error) { return tainteviction.New(d.Env) },
		func() (*reconcile.Controller, error) { return nodettl.New(d.Env) },
		func() (*reconcile.Controller, error) { return podgc.New(d.Env) },
		func() (*reconcile.Controller, error) { return clusterroleaggregation.New(d.Env) },
		func() (*reconcile.Controller, error) { return servicecidr.New(d.Env) },
		func() (*reconcile.Controller, error) { return ingress.New(d.Env) },
		func() (*reconcile.Controller, error) { return bootstrapsigner.New(d.Env) },
		func() (*reconcile.Controller, error) { return tokencleaner.New(d.Env) },
		func() (*reconcile.Controller, error) { return podcertificatecleaner.New(d.Env) },
		func() (*reconcile.Controller, error) { return storagemigration.New(d.Env) },
	}
	if len(d.RootCA) > 0 {
		builders = append(builders,
			func() (*reconcile.Controller, error) { return rootca.New(d.Env, d.RootCA) },
			func() (*reconcile.Controller, error) { return trustbundle.New(d.Env, d.RootCA) })
	}
	if d.Signer != nil {
		builders = append(builders, func() (*reconcile.Controller, error) { return csr.New(d.Env, d.Signer) })
	}
	if len(d.ClusterCIDRs) > 0 {
		builders = append(builders, func() (*reconcile.Controller, error) { return nodeipam.New(d.Env, d.ClusterCIDRs) })
	}
	if d.Tokens != nil {
		builders = append(builders, func() (*reconcile.Controller, error) { return accounttoken.New(d.Env, d.Tokens, d.RootCA) })
	}
	if d.Mapper != nil {
		builders = append(builders, func() (*reconcile.Controller, error) { return admissionpolicystatus.New(d.Env, d.Mapper) })
	}
	if len(d.LoadBalancers) > 0 {
		builders = append(builders, func() (*reconcile.Controller, error) { return serviceloadbalancer.New(d.Env, d.LoadBalancers) })
	}
	var all []*reconcile.Controller
	for _, build := range builders {
		c, err := build()
		if err != nil {
			return nil, fmt.Errorf("build controllers: %w", err)
		}
		all = append(all, c)
	}
	return all, nil
}

// Run runs controllers until ctx ends or one of them fails.
func Run(ctx context.Context, all []*reconcile.Controller) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, c := range all {
		group.Go(func() error { return c.Run(ctx) })
	}
	return group.Wait()
}
