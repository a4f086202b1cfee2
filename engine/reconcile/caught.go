package reconcile

import (
	"reflect"
	"strconv"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"
)

// caches are the indexers a controller watches, by the Go type they hold.
type caches map[reflect.Type]cache.Indexer

// written is one write that a cache must pass before its key is planned again.
type written struct {
	kind     reflect.Type
	key      string
	revision uint64
	// deleted, if set, is the UID of the object that was deleted.
	deleted types.UID
	since   time.Time
}

// maxBehind is how long a key waits for a cache that does not advance; then the
// plan runs on what there is, and preconditions guard the writes. No precondition
// guards against creating twice, so it is as long as upstream's controllers wait for
// what they expect: a busy machine may well be seconds behind.
const maxBehind = 5 * time.Minute

// recheck is how soon a waiting key looks again if no event wakes it.
const recheck = 10 * time.Millisecond

func writtenObject(obj runtime.Object, now time.Time) (written, bool) {
	m, err := meta.Accessor(obj)
	if err != nil {
		return written{}, false
	}
	revision, err := strconv.ParseUint(m.GetResourceVersion(), 10, 64)
	if err != nil {
		return written{}, false
	}
	return written{kind: reflect.TypeOf(obj), revision: revision, since: now}, true
}

func writtenDelete(d Delete, now time.Time) written {
	key := d.Name
	if d.Namespace != "" {
		key = d.Namespace + "/" + d.Name
	}
	return written{key: key, deleted: d.UID, since: now}
}

// behind returns how long to wait for the caches, zero if they have caught up.
func (c *Controller) behind(key Key) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	writes, ok := c.mu.waiting[key]
	if !ok {
		return 0
	}
	rest := writes[:0]
	for _, w := range writes {
		if !c.caches.passed(w) && time.Since(w.since) < maxBehind {
			rest = append(rest, w)
		}
	}
	if len(rest) == 0 {
		delete(c.mu.waiting, key)
		return 0
	}
	c.mu.waiting[key] = rest
	return recheck
}

// wrote remembers, per kind, the last revision written for a key, and every
// deletion.
func (c *Controller) wrote(key Key, writes []written) {
	if len(writes) == 0 {
		return
	}
	last := map[reflect.Type]int{}
	var keep []written
	for _, w := range writes {
		if w.deleted != "" {
			keep = append(keep, w)
			continue
		}
		if i, ok := last[w.kind]; !ok {
			last[w.kind] = len(keep)
			keep = append(keep, w)
		} else if keep[i].revision < w.revision {
			keep[i] = w
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.waiting[key] = keep
}

// passed reports that the caches have seen w. A kind that is not watched is
// never waited for.
func (c caches) passed(w written) bool {
	if w.deleted != "" {
		return c.gone(w)
	}
	indexer, ok := c[w.kind]
	if !ok {
		return true
	}
	seen, err := strconv.ParseUint(indexer.LastStoreSyncResourceVersion(), 10, 64)
	return err != nil || seen >= w.revision
}

// gone reports that no cache still shows a deleted object as living.
func (c caches) gone(w written) bool {
	for _, indexer := range c {
		obj, ok, err := indexer.GetByKey(w.key)
		if err != nil || !ok {
			continue
		}
		if m, err := meta.Accessor(obj); err == nil && m.GetUID() == w.deleted && m.GetDeletionTimestamp() == nil {
			return false
		}
	}
	return true
}
