package garbage

import (
	"maps"
	"slices"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/pintle-io/pintle/engine/controllers/catalog"
)

// graph remembers who refers to whom. It holds a node for each object that has
// owners or waits with a finalizer of the collector; all other objects pass by
// without a trace.
type graph struct {
	mu struct {
		sync.Mutex
		nodes      map[types.UID]node
		dependents map[types.UID]map[types.UID]struct{}
	}
}

// node locates one object.
type node struct {
	resource        catalog.Resource
	namespace, name string
	owners          []types.UID
	waiting         bool // deleted, with a finalizer of the collector
}

func newGraph() *graph {
	g := &graph{}
	g.mu.nodes = map[types.UID]node{}
	g.mu.dependents = map[types.UID]map[types.UID]struct{}{}
	return g
}

// put records an object and returns the keys its change concerns: itself if it
// has owners or waits, and its owners if it stopped referring to them.
func (g *graph) put(r catalog.Resource, m metav1.Object) []types.UID {
	waiting := m.GetDeletionTimestamp() != nil && (has(m, metav1.FinalizerOrphanDependents) || has(m, metav1.FinalizerDeleteDependents))
	refs := m.GetOwnerReferences()
	g.mu.Lock()
	defer g.mu.Unlock()
	uid := m.GetUID()
	old, known := g.mu.nodes[uid]
	if !known && len(refs) == 0 && !waiting {
		return nil
	}
	n := node{resource: r, namespace: m.GetNamespace(), name: m.GetName()}
	for i := range refs {
		n.owners = append(n.owners, refs[i].UID)
	}
	n.waiting = waiting
	if known && n.waiting == old.waiting && slices.Equal(n.owners, old.owners) {
		return nil
	}
	g.unlink(uid, old.owners)
	for _, owner := range n.owners {
		if g.mu.dependents[owner] == nil {
			g.mu.dependents[owner] = map[types.UID]struct{}{}
		}
		g.mu.dependents[owner][uid] = struct{}{}
	}
	var touched []types.UID
	if len(n.owners) > 0 || waiting {
		touched = append(touched, uid)
		g.mu.nodes[uid] = n
	} else {
		delete(g.mu.nodes, uid)
	}
	if waiting {
		for dependent := range g.mu.dependents[uid] {
			touched = append(touched, dependent)
		}
	}
	return append(touched, old.owners...)
}

// drop forgets an object and returns its dependents and owners.
func (g *graph) drop(uid types.UID) []types.UID {
	g.mu.Lock()
	defer g.mu.Unlock()
	var touched []types.UID
	for dependent := range g.mu.dependents[uid] {
		touched = append(touched, dependent)
	}
	if n, ok := g.mu.nodes[uid]; ok {
		g.unlink(uid, n.owners)
		delete(g.mu.nodes, uid)
		touched = append(touched, n.owners...)
	}
	return touched
}

func (g *graph) unlink(uid types.UID, owners []types.UID) {
	for _, owner := range owners {
		delete(g.mu.dependents[owner], uid)
		if len(g.mu.dependents[owner]) == 0 {
			delete(g.mu.dependents, owner)
		}
	}
}

// all returns every node.
func (g *graph) all() []types.UID {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Collect(maps.Keys(g.mu.nodes))
}

// locate returns where an object is; false if it is not in the graph.
func (g *graph) locate(uid types.UID) (node, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	n, ok := g.mu.nodes[uid]
	return n, ok
}

// dependentsOf returns the nodes that refer to uid.
func (g *graph) dependentsOf(uid types.UID) map[types.UID]node {
	g.mu.Lock()
	defer g.mu.Unlock()
	out := make(map[types.UID]node, len(g.mu.dependents[uid]))
	for dependent := range g.mu.dependents[uid] {
		if n, ok := g.mu.nodes[dependent]; ok {
			out[dependent] = n
		}
	}
	return out
}
