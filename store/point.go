package store

import (
	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// open refuses calls on a Resource that was stopped.
func (r *Resource) open() error {
	if r.ctx.Err() != nil {
		return apierrors.NewServiceUnavailable("storage of " + r.cfg.GroupResource.String() + " is closed")
	}
	return nil
}

// lookup is the entry of key, or nil: from the index, or from disk as long as there
// is no index. So one object can be read and written at once after a start, however
// many others there are.
func (r *Resource) lookup(key string) (*entry, error) {
	if err := r.open(); err != nil {
		return nil, err
	}
	if r.loaded.Load() {
		return r.fresh(r.current(key)), nil
	}
	defer r.store.beginRead()()
	rev := r.store.kv.Revision()
	e, found, err := r.store.kv.Get(key, rev)
	if err != nil {
		return nil, err
	}
	// What was read must not be ahead of what the next list shows.
	r.waitForPublication(rev)
	if !found {
		return nil, nil
	}
	return r.fresh(r.decodeEntry(e.Key, e.Value, e.Head)), nil
}
