package nodelifecycle

import (
	"context"
	"fmt"
	"sync"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"

	"github.com/pintle-io/pintle/engine/controllers/bynode"
	"github.com/pintle-io/pintle/engine/reconcile"
)

type observer struct {
	nodes corelisters.NodeLister
	pods  cache.Indexer

	enqueue func(reconcile.Key)

	mu struct {
		sync.Mutex
		seen  map[string]time.Time // node: when its lease or status last changed
		known map[string]types.UID // nodes that were planned
		zones *Zones               // nil before the first plan
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
	o.mu.seen, o.mu.known = map[string]time.Time{}, map[string]types.UID{}
	nodeWatch := reconcile.On(nodes.Informer(), func(node *corev1.Node) []reconcile.Key {
		return []reconcile.Key{{Name: node.Name}}
	})
	nodeWatch.Skip = o.heartbeatOnly
	c, err := env.Controller(reconcile.Config{
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
	if err != nil {
		return nil, err
	}
	o.enqueue = c.Enqueue
	return c, nil
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
		return o.gone(key.Name), nil
	}
	if err != nil {
		return reconcile.Result{}, err
	}
	observed := Observed{Node: node, LastSeen: o.lastSeen(key.Name, now), Now: now}
	if c := ready(node); c == nil || c.Status != corev1.ConditionTrue {
		observed.Pods = bynode.Pods(o.pods, node.Name)
	}
	if err := o.zone(&observed); err != nil {
		return reconcile.Result{}, err
	}
	return Plan(observed), nil
}

// zone counts the node and adds what its zone has to say.
func (o *observer) zone(observed *Observed) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	node := observed.Node
	if o.mu.zones == nil {
		all, err := o.nodes.List(labels.Everything())
		if err != nil {
			return err
		}
		o.mu.zones = NewZones()
		for _, other := range all {
			o.mu.zones.Note(other)
		}
	}
	disrupted := o.mu.zones.AllDisrupted()
	changed := o.mu.zones.Note(node)
	observed.New = o.mu.known[node.Name] != node.UID
	o.mu.known[node.Name] = node.UID
	if observed.AllDisrupted = o.mu.zones.AllDisrupted(); disrupted && !observed.AllDisrupted {
		// Something answers again; give the others time to do so, too.
		for name := range o.mu.seen {
			o.mu.seen[name] = observed.Now
		}
	}
	if NeedsTurn(node) {
		observed.Turn = o.mu.zones.Take(node, observed.Now)
	} else {
		o.mu.zones.Release(node)
	}
	if changed {
		return o.enqueueSilent()
	}
	return nil
}

// enqueueSilent plans all nodes that are not ready: their zone may have changed
// its mind about them.
func (o *observer) enqueueSilent() error {
	all, err := o.nodes.List(labels.Everything())
	if err != nil {
		return err
	}
	for _, node := range all {
		if c := ready(node); c == nil || c.Status != corev1.ConditionTrue {
			o.enqueue(reconcile.Key{Name: node.Name})
		}
	}
	return nil
}

// gone forgets a node.
func (o *observer) gone(name string) (result reconcile.Result) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if uid, known := o.mu.known[name]; known {
		result.Add(reconcile.Event{About: &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, UID: uid}}, Type: corev1.EventTypeNormal,
			Reason: "RemovingNode", Message: fmt.Sprintf("Removing Node %v from Controller", name)})
	}
	delete(o.mu.seen, name)
	delete(o.mu.known, name)
	if o.mu.zones != nil {
		o.mu.zones.Forget(name)
	}
	return result
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
