package store

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/conversion"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/storage"

	"github.com/pintle-io/pintle/store/kv"
)

// GetList implements storage.Interface. listObj may be an *ObjectList
// or an *EncodedList.
func (r *Resource) GetList(_ context.Context, key string, opts storage.ListOptions, listObj runtime.Object) error {
	key, err := storage.PrepareKey(r.prefix, key, opts.Recursive)
	if err != nil {
		return err
	}
	began := time.Now()
	sink, err := newListSink(listObj)
	if err != nil {
		return err
	}
	if sink.encoded != nil {
		sink.encoded.from = r
	}
	withRev, start, err := storage.ValidateListOptions(key, r.versioner, opts)
	if err != nil {
		return err
	}
	if err := r.ready(); err != nil {
		return err
	}
	state, rev, err := r.listState(key, withRev, opts)
	if err != nil {
		return err
	}
	if key == r.prefix && opts.Predicate.Limit <= 0 && opts.Predicate.Empty() {
		sink.expect(state.Len())
	}
	page, err := r.fillPage(state, rangeStart{rev, key, start}, opts, sink)
	if err != nil {
		return err
	}
	token, remaining, err := storage.PrepareContinueToken(page.lastKey, key, rev, page.remaining, page.more, opts)
	if err != nil {
		return err
	}
	sink.finish()
	r.series.listed(page.looked, sink.len(), began)
	if err := r.versioner.UpdateList(listObj, uint64(rev), token, remaining); err != nil {
		return err
	}
	opts.Predicate.SetShardInfoOnList(listObj)
	return nil
}

// listState picks the state of the index a list is to show.
func (r *Resource) listState(key string, withRev int64, opts storage.ListOptions) (*tree, int64, error) {
	if withRev <= 0 {
		if opts.Predicate.Continue == "" {
			if err := r.waitForMinimum(opts.ResourceVersion); err != nil {
				return nil, 0, err
			}
		}
		r.series.consistent.Inc()
		state, rev := r.newest()
		return state, rev, nil
	}
	if durable := r.store.kv.Revision(); withRev > durable {
		return nil, 0, storage.NewTooLargeResourceVersionError(uint64(withRev), uint64(durable), 0)
	}
	r.waitForPublication(withRev)
	if opts.Predicate.Continue != "" && withRev < r.store.oldestPage.Load() {
		return nil, 0, continueTooOld(key, opts.Predicate.Continue)
	}
	state, err := r.stateAt(withRev)
	if errors.Is(err, kv.ErrCompacted) {
		return nil, 0, continueTooOld(key, opts.Predicate.Continue)
	}
	return state, withRev, err
}

// continueTooOld refuses a revision that is gone; token, if there is one, is where
// the list was to go on.
func continueTooOld(key, token string) error {
	continueKey := ""
	if token != "" {
		continueKey, _, _ = storage.DecodeContinue(token, key)
	}
	return expiredError(key, continueKey)
}

// page is what a list found besides the items.
type page struct {
	lastKey string
	more    bool
	// remaining counts the keys from the start of the page to the end of the
	// range; kept only for unfiltered pages, where it is shown.
	remaining int64
	looked    int // objects that were looked at
}

func (r *Resource) fillPage(state *tree, at rangeStart, opts storage.ListOptions, sink *listSink) (page, error) {
	failures := listErrors{resource: r.cfg.GroupResource}
	if !opts.Recursive {
		e, ok := state.Get(&entry{key: at.key})
		if !ok {
			return page{}, nil
		}
		e = r.readable(e)
		if err := sink.add(e, &opts.Predicate); err != nil {
			failures.add(e, err)
		}
		return page{lastKey: at.key, looked: 1}, failures.err()
	}
	var p page
	limit, counting := opts.Predicate.Limit, opts.Predicate.Empty()
	known, ok := r.remaining.load(at)
	var visited int64
	ascend(state, at.key, at.start, func(e *entry) bool {
		p.remaining++
		if p.more {
			return counting
		}
		if limit > 0 && int64(sink.len()) >= limit {
			p.more = true
			visited = p.remaining - 1
			return counting && !ok
		}
		p.looked++
		p.lastKey = e.key
		e = r.readable(e)
		if err := sink.add(e, &opts.Predicate); err != nil {
			return failures.add(e, err)
		}
		return true
	})
	if p.more && counting {
		if ok {
			p.remaining = known
		}
		r.remaining.store(rangeStart{at.rev, at.key, p.lastKey + "\x00"}, p.remaining-visited)
	}
	return p, failures.err()
}

// listSink appends objects to the items of a list.
type listSink struct {
	shared  *ObjectList
	encoded *EncodedList
	maps    *unstructured.UnstructuredList
	items   reflect.Value // of another list type
}

func newListSink(listObj runtime.Object) (*listSink, error) {
	switch l := listObj.(type) {
	case *ObjectList:
		l.Items = l.Items[:0]
		return &listSink{shared: l}, nil
	case *EncodedList:
		l.entries = l.entries[:0]
		return &listSink{encoded: l}, nil
	case *unstructured.UnstructuredList:
		return &listSink{maps: l}, nil
	}
	ptr, err := meta.GetItemsPtr(listObj)
	if err != nil {
		return nil, err
	}
	v, err := conversion.EnforcePtr(ptr)
	if err != nil || v.Kind() != reflect.Slice || v.Type().Elem().Kind() != reflect.Struct {
		return nil, fmt.Errorf("need a list of structs, got %T: %w", listObj, err)
	}
	return &listSink{items: v}, nil
}

func (s *listSink) len() int {
	switch {
	case s.shared != nil:
		return len(s.shared.Items)
	case s.encoded != nil:
		return len(s.encoded.entries)
	case s.maps != nil:
		return len(s.maps.Items)
	}
	return s.items.Len()
}

func (s *listSink) expect(n int) {
	if s.encoded != nil {
		s.encoded.entries = make([]*entry, 0, n)
	}
	if s.items.IsValid() && s.items.Cap() < n {
		s.items.Set(reflect.MakeSlice(s.items.Type(), 0, n))
	}
}

// add appends the object of e if it matches.
func (s *listSink) add(e *entry, pred *storage.SelectionPredicate) error {
	if e.err != nil {
		return itemError(e)
	}
	// An object whose attributes cannot be read is not selected.
	if matched, err := pred.Matches(e.obj); !matched || err != nil {
		return nil
	}
	return s.put(e)
}

func (s *listSink) put(e *entry) error {
	switch {
	case s.shared != nil:
		s.shared.Items = append(s.shared.Items, e.obj)
	case s.encoded != nil:
		s.encoded.entries = append(s.encoded.entries, e)
	case s.maps != nil:
		s.maps.Items = append(s.maps.Items, *shallowCopy(e.obj).(*unstructured.Unstructured))
	default:
		item := reflect.ValueOf(e.obj).Elem()
		if item.Type() != s.items.Type().Elem() {
			return fmt.Errorf("cannot list %T in []%s", e.obj, s.items.Type().Elem())
		}
		n := s.items.Len()
		s.items.Grow(1)
		s.items.SetLen(n + 1)
		s.items.Index(n).Set(item)
	}
	return nil
}

// finish makes the items of an empty list an empty slice, not nil.
func (s *listSink) finish() {
	switch {
	case s.maps != nil && s.maps.Items == nil:
		s.maps.Items = []unstructured.Unstructured{}
	case s.items.IsValid() && s.items.IsNil():
		s.items.Set(reflect.MakeSlice(s.items.Type(), 0, 0))
	}
}
