package store

import (
	"bytes"
	"context"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/storage"

	"github.com/pintle-io/pintle/store/kv"
)

// Create implements storage.Interface.
func (r *Resource) Create(ctx context.Context, key string, obj, out runtime.Object, ttl uint64) error {
	key, err := storage.PrepareKey(r.prefix, key, false)
	if err != nil {
		return err
	}
	if version, err := r.versioner.ObjectResourceVersion(obj); err == nil && version != 0 {
		return storage.ErrResourceVersionSetOnCreate
	}
	if existing, err := r.lookup(key); err != nil {
		return err
	} else if existing != nil {
		return storage.NewKeyExistsError(key, 0)
	}
	data, err := r.encode(obj)
	if err != nil {
		return err
	}
	e, err := r.put(ctx, key, data, kv.Absent, expiryAfter(ttl))
	if isConflict(err) {
		return storage.NewKeyExistsError(key, 0)
	}
	if err != nil {
		return err
	}
	return copyInto(out, e.obj)
}

// put writes encoded data if the key still has revision modRev, and returns the
// entry that was published. A *kv.ConflictError is returned as it is.
func (r *Resource) put(ctx context.Context, key string, data []byte, modRev, expiry int64) (*entry, error) {
	if err := checkSize(key, data); err != nil {
		return nil, err
	}
	e := &entry{key: key, data: data}
	e.exact.Store(r.cfg.Default != nil)
	var err error
	if e.obj, err = r.decode(data); err != nil {
		return nil, err
	}
	if r.sealed {
		defer r.store.beginWrite()()
	}
	value, err := r.toStorage(ctx, key, data)
	if err != nil {
		return nil, err
	}
	verb, began := "update", time.Now()
	if modRev == kv.Absent {
		verb = "create"
	}
	_, err = r.store.write(ctx, kv.Txn{
		Conds:  []kv.Cond{{Key: key, ModRev: modRev}},
		Ops:    []kv.Op{{Key: key, Value: value, Expiry: expiry, Attachment: &attachment{from: r, entry: e}}},
		Urgent: deleting(e.obj),
	})
	r.series.wrote(verb, err, began)
	if err != nil && !isConflict(err) {
		return nil, writeError("write", key, err)
	}
	return e, err
}

// deleting reports whether a write is a step towards the deletion of obj.
func deleting(obj runtime.Object) bool {
	m, err := meta.Accessor(obj)
	return err == nil && m.GetDeletionTimestamp() != nil
}

func expiryAfter(ttl uint64) int64 {
	if ttl == 0 {
		return 0
	}
	return time.Now().Unix() + int64(ttl)
}

// Delete implements storage.Interface. The index is always current, so the
// suggestion is not used.
func (r *Resource) Delete(ctx context.Context, key string, out runtime.Object, preconditions *storage.Preconditions,
	validate storage.ValidateObjectFunc, _ runtime.Object, opts storage.DeleteOptions,
) error {
	key, err := storage.PrepareKey(r.prefix, key, false)
	if err != nil {
		return err
	}
	for {
		e, err := r.lookup(key)
		if err != nil {
			return err
		}
		if e == nil {
			return storage.NewKeyNotFoundError(key, 0)
		}
		if err := checkDelete(ctx, e, preconditions, validate, opts); err != nil {
			return err
		}
		began := time.Now()
		rev, err := r.store.write(ctx, kv.Txn{
			Conds: []kv.Cond{{Key: key, ModRev: e.head.ModRev}},
			Ops:   []kv.Op{{Key: key, Delete: true}},
			// What is deleted makes room.
			Urgent: true,
		})
		r.series.wrote("delete", err, began)
		if isConflict(err) {
			continue
		}
		if err != nil {
			return writeError("delete", key, err)
		}
		if e.err != nil {
			return nil
		}
		if err := copyInto(out, e.obj); err != nil {
			return err
		}
		return r.versioner.UpdateObject(out, uint64(rev))
	}
}

// checkDelete decides whether e may be deleted. One that cannot be read may only
// be deleted by asking for exactly that.
func checkDelete(ctx context.Context, e *entry, preconditions *storage.Preconditions, validate storage.ValidateObjectFunc, opts storage.DeleteOptions) error {
	if opts.ExpectTransformOrDecodeError {
		if e.err == nil {
			return storage.NewInvalidObjError(e.key, "unsafe deletion is not allowed because the object is decodable from storage")
		}
		return validate(ctx, nil)
	}
	if e.err != nil {
		return readError(e)
	}
	obj := shallowCopy(e.obj)
	if err := preconditions.Check(e.key, obj); err != nil {
		return err
	}
	return validate(ctx, obj)
}

// GuaranteedUpdate implements storage.Interface. tryUpdate gets a deep copy of
// the current object; the suggestion is not used. An update that changes no
// byte writes nothing. Without a time to live, the object keeps the one it has.
func (r *Resource) GuaranteedUpdate(ctx context.Context, key string, out runtime.Object, ignoreNotFound bool,
	preconditions *storage.Preconditions, tryUpdate storage.UpdateFunc, _ runtime.Object,
) error {
	key, err := storage.PrepareKey(r.prefix, key, false)
	if err != nil {
		return err
	}
	for {
		e, err := r.tryUpdate(ctx, key, ignoreNotFound, preconditions, tryUpdate)
		if isConflict(err) {
			continue
		}
		if err != nil {
			return err
		}
		return copyInto(out, e.obj)
	}
}

// tryUpdate makes one attempt; a *kv.ConflictError asks for another.
func (r *Resource) tryUpdate(ctx context.Context, key string, ignoreNotFound bool,
	preconditions *storage.Preconditions, update storage.UpdateFunc,
) (*entry, error) {
	cur, err := r.lookup(key)
	if err != nil {
		return nil, err
	}
	obj, err := r.updateInput(key, cur, ignoreNotFound)
	if err != nil {
		return nil, err
	}
	if err := preconditions.Check(key, obj); err != nil {
		return nil, err
	}
	var head kv.Head
	if cur != nil {
		head = cur.head
	}
	next, ttl, err := update(obj, storage.ResponseMeta{ResourceVersion: uint64(head.ModRev)})
	if err != nil {
		return nil, err
	}
	data, err := r.encode(next)
	if err != nil {
		return nil, err
	}
	if cur != nil && !cur.stale && bytes.Equal(data, cur.data) {
		now, err := r.lookup(key)
		if err != nil {
			return nil, err
		}
		if now == nil || now.head != cur.head {
			return nil, &kv.ConflictError{Key: key}
		}
		return cur, nil
	}
	expiry := head.Expiry
	if ttl != nil {
		expiry = expiryAfter(*ttl)
	}
	return r.put(ctx, key, data, head.ModRev, expiry)
}

func (r *Resource) updateInput(key string, cur *entry, ignoreNotFound bool) (runtime.Object, error) {
	switch {
	case cur == nil && !ignoreNotFound:
		return nil, storage.NewKeyNotFoundError(key, 0)
	case cur == nil:
		return r.cfg.NewFunc(), nil
	case cur.err != nil:
		return nil, readError(cur)
	}
	return cur.obj.DeepCopyObject(), nil
}
