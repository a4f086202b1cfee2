package registry

import (
	"context"
	"sync"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/storage"
)

// counted knows the open storages by resource, to count their objects.
type counted struct {
	mu struct {
		sync.RWMutex
		storages map[schema.GroupResource]storage.Interface
	}
}

func (c *counted) add(gr schema.GroupResource, s storage.Interface) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.storages == nil {
		c.mu.storages = map[schema.GroupResource]storage.Interface{}
	}
	c.mu.storages[gr] = s
}

func (c *counted) remove(gr schema.GroupResource, s storage.Interface) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.storages[gr] == s {
		delete(c.mu.storages, gr)
	}
}

// noKeys satisfies EnableResourceSizeEstimation: our store knows sizes without keys.
func noKeys(context.Context) ([]string, error) { return nil, nil }

// Stats counts the objects of a resource, custom ones too; ok is false if there is
// no such resource.
func (r *Registry) Stats(gr schema.GroupResource) (stats storage.Stats, ok bool) {
	c := &r.backend.counted
	c.mu.RLock()
	s := c.mu.storages[gr]
	c.mu.RUnlock()
	if s == nil {
		return storage.Stats{}, false
	}
	stats, err := s.Stats(context.Background())
	return stats, err == nil
}

// Stored lists the resources that have a storage, in no order.
func (r *Registry) Stored() []schema.GroupResource {
	c := &r.backend.counted
	c.mu.RLock()
	defer c.mu.RUnlock()
	out := make([]schema.GroupResource, 0, len(c.mu.storages))
	for gr := range c.mu.storages {
		out = append(out, gr)
	}
	return out
}
