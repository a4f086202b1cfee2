package nodelifecycle

import (
	"context"
	"sync"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"

	"github.com/pintle-io/pintle/engine/controllers/bynode"
	"github.com/pintle-io/pintle/engine/reconcile"
)

type observer struct {
	nodes corelisters.NodeLister
	pods  cache.Indexer

	mu struct {
		sync.Mutex
		seen map[string]time.Time // node: when its lease or status last changed
	}
}

// New builds the controller. Heartbeats only note the time; a node is planned
// when its object changes or its grace may have run out.
func New(env reconcile.Env) (*reconcile.Controller, error) {
	nodes := env.Informers().Core().V1().Nodes()
	leases := env.Informers().Coordination().V1().Leases().Informer()
	pods := env.Informers().Core().V1().Pods().Informer()
	if err := bynode.Index(pods); err != nil {
		return nil, err
	}
	o := &observer{nodes: nodes.Lister(), pods: pods.GetIndexer()}
	o.mu.seen = map[string]time.Time{}
	nodeWatch := reconcile.On(nodes.Informer(), func(node *corev1.Node) []reconcile.Key {
		return []reconcile.Key{{Name: node.Name}}
	})
	nodeWatch.Skip = o.heartbeatOnly
	return env.Controller(reconcile.Config{
		Name:      "node-controller",
		Reconcile: o.reconcile,
		Watches: []reconcile.Watch{
			nodeWatch,
			reconcile.On(leases, func(lease *coordinationv1.Lease) []reconcile.Key {
				if lease.Namespace == corev1.NamespaceNodeLease {
					o.saw(lease.Name)
				}
				return nil
			}),
		},
	})
}

func (o *observer) saw(node string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.mu.seen[node] = time.Now()
}

// heartbeatOnly notes a status update and reports whether nothing but its
// heartbeat changed.
func (o *observer) heartbeatOnly(old, obj any) bool {
	was, node := old.(*corev1.Node), obj.(*corev1.Node)
	if !apiequality.Semantic.DeepEqual(was.Status.Conditions, node.Status.Conditions) && node.Status.Conditions != nil &&
		!unknown(node) {
		o.saw(node.Name)
	}
	if !apiequality.Semantic.DeepEqual(was.Spec, node.Spec) || (was.DeletionTimestamp == nil) != (node.DeletionTimestamp == nil) ||
		len(was.Status.Conditions) != len(node.Status.Conditions) {
		return false
	}
	for i := range node.Status.Conditions {
		if a, b := &was.Status.Conditions[i], &node.Status.Conditions[i]; a.Type != b.Type || a.Status != b.Status {
			return false
		}
	}
	return true
}

func unknown(node *corev1.Node) bool {
	c := ready(node)
	return c != nil && c.Status == corev1.ConditionUnknown
}

func (o *observer) reconcile(_ context.Context, key reconcile.Key, now time.Time) (reconcile.Result, error) {
	node, err := o.nodes.Get(key.Name)
	if apierrors.IsNotFound(err) {
		o.mu.Lock()
		defer o.mu.Unlock()
		delete(o.mu.seen, key.Name)
		return reconcile.Result{}, nil
	}
	if err != nil {
		return reconcile.Result{}, err
	}
	observed := Observed{Node: node, LastSeen: o.lastSeen(key.Name, now), Now: now}
	if c := ready(node); c == nil || c.Status != corev1.ConditionTrue {
		observed.Pods = bynode.Pods(o.pods, node.Name)
	}
	return Plan(observed), nil
}

// lastSeen is when the node last showed life; one never seen by this process has
// its grace from now on.
func (o *observer) lastSeen(node string, now time.Time) time.Time {
	o.mu.Lock()
	defer o.mu.Unlock()
	if at, ok := o.mu.seen[node]; ok {
		return at
	}
	o.mu.seen[node] = now
	return now
}
