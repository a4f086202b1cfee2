package store

import (
	"context"
	"fmt"
	goruntime "runtime"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/storage"
)

// Get implements storage.Interface; out may be an *EncodedObject. It is answered from memory and reflects
// every acknowledged write.
func (r *Resource) Get(_ context.Context, key string, opts storage.GetOptions, out runtime.Object) error {
	key, err := storage.PrepareKey(r.prefix, key, false)
	if err != nil {
		return err
	}
	if err := r.waitForMinimum(opts.ResourceVersion); err != nil {
		return err
	}
	e, err := r.lookup(key)
	if err != nil {
		return err
	}
	switch {
	case e == nil && opts.IgnoreNotFound:
		return runtime.SetZeroValue(out)
	case e == nil:
		return storage.NewKeyNotFoundError(key, 0)
	case e.err != nil:
		if err := corruptObject(e); err != nil {
			return err
		}
		return readError(e)
	}
	if encoded, ok := out.(*EncodedObject); ok {
		encoded.from, encoded.entry = r, e
		return nil
	}
	return copyInto(out, e.obj)
}

// waitForMinimum refuses a minimum resource version that does not exist yet. One
// that is durable but still being published, it waits for.
func (r *Resource) waitForMinimum(resourceVersion string) error {
	if resourceVersion == "" {
		return nil
	}
	minimum, err := r.versioner.ParseResourceVersion(resourceVersion)
	if err != nil {
		return apierrors.NewBadRequest(fmt.Sprintf("invalid resource version: %v", err))
	}
	if durable := r.store.kv.Revision(); int64(minimum) > durable {
		return storage.NewTooLargeResourceVersionError(minimum, uint64(durable), 0)
	}
	r.waitForPublication(int64(minimum))
	return nil
}

// waitForPublication waits until a durable revision is published, which takes
// no longer than the memory work of one batch.
func (r *Resource) waitForPublication(rev int64) {
	for r.store.published.Load() < rev {
		goruntime.Gosched()
	}
}
