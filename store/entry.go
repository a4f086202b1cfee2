package store

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/google/btree"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/storage"

	"github.com/pintle-io/pintle/store/kv"
)

// entry is one object of the index. It is immutable once published.
type entry struct {
	key  string
	head kv.Head
	// obj carries its resourceVersion; nil if err or foreign is set.
	obj runtime.Object
	// data is obj encoded, without resourceVersion, as it was before the
	// transformer.
	data []byte
	// stale means that the transformer wants the object written again.
	stale bool
	// err says why the stored bytes could not be read.
	err error
	// foreign is set while obj is not, because nobody decoded it yet.
	foreign *foreign

	// exact means that data is what an encoder makes of obj now.
	exact atomic.Bool
	text  text
}

func entryLess(a, b *entry) bool { return a.key < b.key }

// tree maps keys to entries, with cheap copy-on-write clones.
type tree = btree.BTreeG[*entry]

func newTree() *tree { return btree.NewG(32, entryLess) }

// ascend visits the entries whose keys start with prefix, from start on.
func ascend(t *tree, prefix, start string, fn func(*entry) bool) {
	t.AscendGreaterOrEqual(&entry{key: max(prefix, start)}, func(e *entry) bool {
		return strings.HasPrefix(e.key, prefix) && fn(e)
	})
}

// authenticatedKey ties an encrypted value to its key.
type authenticatedKey string

func (k authenticatedKey) AuthenticatedData() []byte { return []byte(k) }

// untransformableError marks stored bytes that the transformer refused.
type untransformableError struct {
	key string
	err error
}

func (e *untransformableError) Error() string {
	return fmt.Sprintf("unable to transform key %q: %v", e.key, e.err)
}

func (e *untransformableError) Unwrap() error { return e.err }

// decodeEntry makes an entry of stored bytes. What cannot be read becomes an
// entry with err.
func (r *Resource) decodeEntry(key string, value []byte, head kv.Head) *entry {
	e := &entry{key: key, head: head}
	e.data, e.stale, e.err = r.fromStorage(key, value)
	if e.err == nil && r.isForeign(e.data) {
		e.foreign = &foreign{}
		return e
	}
	if e.err == nil {
		if e.obj, e.err = r.decode(e.data); e.err != nil {
			e.err = &corruptError{what: "object not decodable", err: e.err}
		}
	}
	if e.err == nil {
		e.err = r.versioner.UpdateObject(e.obj, uint64(head.ModRev))
	}
	if e.err != nil {
		e.obj, e.data = nil, nil
	}
	return e
}

func (r *Resource) fromStorage(key string, value []byte) (data []byte, stale bool, err error) {
	t := r.transformer()
	if t == nil {
		return value, false, nil
	}
	data, stale, err = t.TransformFromStorage(context.Background(), value, authenticatedKey(key))
	if err != nil {
		return nil, true, &untransformableError{key: key, err: err}
	}
	return data, stale, nil
}

func (r *Resource) toStorage(ctx context.Context, key string, data []byte) ([]byte, error) {
	t := r.transformer()
	if t == nil {
		return data, nil
	}
	value, err := t.TransformToStorage(ctx, data, authenticatedKey(key))
	if err != nil {
		return nil, storage.NewInternalError(err)
	}
	return value, nil
}

func (r *Resource) decode(data []byte) (runtime.Object, error) {
	obj, _, err := r.cfg.Codec.Decode(data, nil, r.cfg.NewFunc())
	if _, ok := obj.(runtime.Unstructured); !ok && err == nil {
		// The items of a list have no kind.
		obj.GetObjectKind().SetGroupVersionKind(schema.GroupVersionKind{})
		share(obj)
	}
	return obj, err
}

// encode completes obj with what decoding would add, clears what is not stored from
// it, and encodes it.
func (r *Resource) encode(obj runtime.Object) ([]byte, error) {
	if r.cfg.Default != nil {
		r.cfg.Default(obj)
	}
	if err := r.versioner.PrepareObjectForStorage(obj); err != nil {
		return nil, fmt.Errorf("prepare object for storage: %w", err)
	}
	return runtime.Encode(r.cfg.Codec, obj)
}
