package nodeipam

import (
	"context"
	"net/netip"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/pintle-io/pintle/engine/reconcile"
)

// gather is how long nodes are collected before shares are cut, so that a
// thousand of them arriving at once are planned a few times, not a thousand.
const gather = 20 * time.Millisecond

// New builds the controller. All nodes share one key, since a share may be given
// only once.
func New(env reconcile.Env, cluster []netip.Prefix) (*reconcile.Controller, error) {
	nodes := env.Informers().Core().V1().Nodes()
	lister := nodes.Lister()
	watch := reconcile.On(nodes.Informer(), func(n *corev1.Node) []reconcile.Key {
		if len(n.Spec.PodCIDRs) > 0 || n.Labels[FakeLabel] != "" {
			return nil
		}
		return []reconcile.Key{{Name: "nodes"}}
	})
	watch.Delay = gather
	return env.Controller(reconcile.Config{
		Name:    "node-ipam-controller",
		Watches: []reconcile.Watch{watch},
		Reconcile: func(context.Context, reconcile.Key, time.Time) (reconcile.Result, error) {
			all, err := lister.List(labels.Everything())
			if err != nil {
				return reconcile.Result{}, err
			}
			return Plan(Observed{Nodes: all, ClusterCIDRs: cluster}), nil
		},
	})
}
