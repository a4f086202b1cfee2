package store

import (
	"context"
	"errors"
	"fmt"

	"k8s.io/apimachinery/pkg/runtime"

	"github.com/pintle-io/pintle/store/kv"
)

// ErrFenced refuses a write whose Fence does not hold.
var ErrFenced = errors.New("the writer was replaced by another")

// Fence is what must still be true of another object at the very moment a write is
// committed, however long the writer was paused before.
type Fence struct {
	// Key is where that object is stored.
	Key string
	// Holds looks at the object as it is; nil if there is none. It must not change it,
	// and may be called more than once.
	Holds func(obj runtime.Object) bool
}

type fenceKey struct{}

// WithFence lets what is written with the returned context through only while f holds.
// A write that changes nothing is not refused: there is nothing to commit.
func WithFence(ctx context.Context, f Fence) context.Context {
	return context.WithValue(ctx, fenceKey{}, f)
}

// write submits txn under the fence of ctx. The fence is read from the index, and the
// revision that was read becomes a condition of the transaction; if only that one
// fails, the fence is read again. So a *kv.ConflictError is always one of txn's own.
func (s *Store) write(ctx context.Context, txn kv.Txn) (int64, error) {
	fence, ok := ctx.Value(fenceKey{}).(Fence)
	if !ok {
		return s.kv.Write(ctx, txn)
	}
	own := txn.Conds
	for {
		cond, err := s.fenceCond(fence)
		if err != nil {
			return 0, err
		}
		txn.Conds = append(own[:len(own):len(own)], cond)
		rev, err := s.kv.Write(ctx, txn)
		var conflict *kv.ConflictError
		if errors.As(err, &conflict) && conflict.Key == fence.Key && !conditioned(own, fence.Key) {
			continue
		}
		return rev, err
	}
}

// conditioned reports that a transaction has a condition of its own on key: a write
// to the very object of its fence.
func conditioned(conds []kv.Cond, key string) bool {
	for _, c := range conds {
		if c.Key == key {
			return true
		}
	}
	return false
}

// fenceCond is the condition that nothing changes about a fence that holds now.
func (s *Store) fenceCond(f Fence) (kv.Cond, error) {
	resources := s.route(f.Key)
	if len(resources) == 0 {
		return kv.Cond{}, fmt.Errorf("no resource holds the fence %s", f.Key)
	}
	e, err := resources[0].lookup(f.Key)
	if err != nil {
		return kv.Cond{}, err
	}
	cond, obj := kv.Cond{Key: f.Key, ModRev: kv.Absent}, runtime.Object(nil)
	if e != nil {
		if e.err != nil {
			return kv.Cond{}, readError(e)
		}
		cond.ModRev, obj = e.head.ModRev, e.obj
	}
	if !f.Holds(obj) {
		return kv.Cond{}, ErrFenced
	}
	return cond, nil
}
