package storetest

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/apiserver/pkg/apis/example"
	"k8s.io/apiserver/pkg/storage"
	"pgregory.net/rapid"
)

// patience is how long a watch may take to tell of what has happened.
const patience = 30 * time.Second

func compareStates(t *rapid.T, when string, want, got map[string]pod) {
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(pod{})); diff != "" {
		t.Fatalf("%s (-model +backend): %s", when, diff)
	}
}

func (m *model) get(t *rapid.T) {
	name := nameGen.Draw(t, "name")
	minimum := rapid.SampledFrom([]string{"", "0", strconv.FormatInt(m.now(), 10)}).Draw(t, "minimum")
	out := &example.Pod{}
	err := m.backend.Get(context.Background(), m.key(name), storage.GetOptions{ResourceVersion: minimum}, out)
	want, exists := m.pods[name]
	if !exists {
		if !storage.IsNotFound(err) {
			t.Fatalf("get of what is absent: %v", err)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, got, err := podOf(out); err != nil || got != want {
		t.Fatalf("get %s: %+v, %v; want %+v", name, got, err, want)
	}
}

// fetch lists into state and returns the list's revision and continue token.
func (m *model) fetch(opts storage.ListOptions, state map[string]pod) (int64, string, error) {
	list := &example.PodList{}
	if err := m.backend.GetList(context.Background(), m.prefix(), opts, list); err != nil {
		return 0, "", err
	}
	for i := range list.Items {
		name, p, err := podOf(&list.Items[i])
		if err != nil {
			return 0, "", err
		}
		state[name] = p
	}
	rev, err := strconv.ParseInt(list.ResourceVersion, 10, 64)
	return rev, list.Continue, err
}

// selectFrom is the part of a state that a selector selects.
func selectFrom(state map[string]pod, sel int) map[string]pod {
	out := map[string]pod{}
	for name, p := range state {
		if selected(sel, p) {
			out[name] = p
		}
	}
	return out
}

func (m *model) list(t *rapid.T) {
	sel := rapid.IntRange(0, 1).Draw(t, "selector")
	opts := storage.ListOptions{Recursive: true, Predicate: selectors[sel]}
	if rapid.Bool().Draw(t, "not older than") {
		opts.ResourceVersion = strconv.FormatInt(m.now(), 10)
		opts.ResourceVersionMatch = metav1.ResourceVersionMatchNotOlderThan
	}
	state := map[string]pod{}
	rev, _, err := m.fetch(opts, state)
	if err != nil || rev < m.now() {
		t.Fatalf("list at %d, newest %d: %v", rev, m.now(), err)
	}
	compareStates(t, "list", selectFrom(m.pods, sel), state)
}

// listAt lists at any revision, compacted and future ones included.
func (m *model) listAt(t *rapid.T) {
	rev := rapid.Int64Range(max(m.base-1, 1), m.now()).Draw(t, "at")
	if rapid.IntRange(0, 7).Draw(t, "future") == 0 {
		rev = m.revision(t) + 1000
	}
	sel := rapid.IntRange(0, 1).Draw(t, "selector")
	state := map[string]pod{}
	got, _, err := m.fetch(storage.ListOptions{
		Recursive: true, Predicate: selectors[sel],
		ResourceVersion: strconv.FormatInt(rev, 10), ResourceVersionMatch: metav1.ResourceVersionMatchExact,
	}, state)
	switch {
	case rev > m.revision(t):
		if !storage.IsTooLargeResourceVersion(err) {
			t.Fatalf("list at a revision of the future: %v", err)
		}
		return
	case m.expired(rev):
		if !isExpired(err) {
			t.Fatalf("list at %d, compacted at %d: %v", rev, m.compacted, err)
		}
		return
	case rev < m.base && isExpired(err):
		return // another round compacted up to here
	case err != nil || got != rev:
		t.Fatalf("list at %d says it is at %d: %v", rev, got, err)
	}
	compareStates(t, "list at "+strconv.FormatInt(rev, 10), selectFrom(m.at(rev), sel), state)
}

// modelPages is a list in pages that goes on while other things happen.
type modelPages struct {
	rev   int64
	token string
	sel   int
	seen  map[string]pod
}

// page begins a list in pages, or reads the next page of one.
func (m *model) page(t *rapid.T) {
	p := m.pages
	if p == nil {
		p = &modelPages{sel: rapid.IntRange(0, 1).Draw(t, "selector"), seen: map[string]pod{}}
	}
	opts := storage.ListOptions{Recursive: true, Predicate: selectors[p.sel]}
	opts.Predicate.Limit = int64(rapid.IntRange(1, 3).Draw(t, "limit"))
	opts.Predicate.Continue = p.token
	before := len(p.seen)
	rev, token, err := m.fetch(opts, p.seen)
	m.pages = nil
	if p.token != "" && m.expired(p.rev) {
		m.expiredPage(t, p, err)
		return
	}
	if err != nil || p.token != "" && rev != p.rev || p.token == "" && rev < m.now() {
		t.Fatalf("page at %d of a list at %d, newest %d: %v", rev, p.rev, m.now(), err)
	}
	if n := len(p.seen) - before; n > int(opts.Predicate.Limit) || token != "" && n == 0 {
		t.Fatalf("page of %d with limit %d and more to come: %v", n, opts.Predicate.Limit, token != "")
	}
	p.rev, p.token = rev, token
	if token != "" {
		m.pages = p
		return
	}
	compareStates(t, "list in pages", selectFrom(m.at(p.rev), p.sel), p.seen)
}

// expiredPage checks the refusal of a page whose revision is compacted: its token
// continues at the newest revision, behind what was seen.
func (m *model) expiredPage(t *rapid.T, p *modelPages, err error) {
	status, ok := err.(apierrors.APIStatus)
	if !isExpired(err) || !ok || status.Status().ListMeta.Continue == "" {
		t.Fatalf("page at %d, compacted at %d: %v", p.rev, m.compacted, err)
	}
	opts := storage.ListOptions{Recursive: true, Predicate: selectors[p.sel]}
	opts.Predicate.Continue = status.Status().ListMeta.Continue
	rest := map[string]pod{}
	if _, _, err := m.fetch(opts, rest); err != nil {
		t.Fatalf("continue at the newest revision: %v", err)
	}
	last := ""
	if len(p.seen) > 0 {
		last = slices.Max(slices.Collect(maps.Keys(p.seen)))
	}
	want := selectFrom(m.pods, p.sel)
	maps.DeleteFunc(want, func(name string, _ pod) bool { return name <= last })
	compareStates(t, "the rest of an expired list", want, rest)
}

// modelWatch is a watch and how much of the model it has told of.
type modelWatch struct {
	m    *model
	sel  int
	name string // of the one pod watched, or ""
	// next is the index of the first change not yet compared.
	next  int
	watch watch.Interface
	// from is the revision it began after. A watch begins by itself: until it has
	// told something, compaction may overtake it.
	from  int64
	began bool
	// overtaken is set when that happened, and ends the watch.
	overtaken bool
}

// watch begins a watch from any revision, or one that begins with the present
// objects.
func (m *model) watch(t *rapid.T) {
	if len(m.watches) >= 8 {
		t.Skip("enough watches")
	}
	w := &modelWatch{m: m, sel: rapid.IntRange(0, 1).Draw(t, "selector")}
	key := m.prefix()
	if rapid.IntRange(0, 3).Draw(t, "one pod") == 0 {
		w.name = nameGen.Draw(t, "name")
		key = m.key(w.name)
	}
	from := rapid.Int64Range(max(m.base-1, 1), m.now()).Draw(t, "from")
	initial := rapid.IntRange(0, 2).Draw(t, "initial") == 0
	opts := storage.ListOptions{Recursive: w.name == "", Predicate: selectors[w.sel], ResourceVersion: strconv.FormatInt(from, 10)}
	if initial {
		opts.SendInitialEvents, opts.Predicate.AllowWatchBookmarks = &initial, true
		opts.ResourceVersionMatch = metav1.ResourceVersionMatchNotOlderThan
	}
	var err error
	if w.watch, err = m.backend.Watch(context.Background(), key, opts); err != nil {
		t.Fatal(err)
	}
	switch {
	case initial:
		w.compareInitial(t)
		w.began = true
	case from == m.compacted-1 || from < m.base:
		w.watch.Stop() // backends differ there, or another round compacted up to here
		return
	case m.expired(from):
		w.compareExpired(t, from)
		return
	default:
		w.from, w.next = from, len(m.changes)
		for w.next > 0 && m.changes[w.next-1].rev > from {
			w.next--
		}
	}
	m.watches = append(m.watches, w)
}

// receive returns the next event that is not a bookmark.
func (w *modelWatch) receive(t *rapid.T) watch.Event {
	for {
		if e := w.take(t); e.Type != watch.Bookmark {
			return e
		}
	}
}

func (w *modelWatch) take(t *rapid.T) watch.Event {
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	select {
	case e, ok := <-w.watch.ResultChan():
		if !ok {
			t.Fatal("the watch ended")
		}
		return e
	case <-timeout.C:
		t.Fatal("the watch tells nothing")
	}
	panic("unreachable")
}

func (w *modelWatch) compareInitial(t *rapid.T) {
	w.next = len(w.m.changes)
	want := selectFrom(w.m.pods, w.sel)
	maps.DeleteFunc(want, func(name string, _ pod) bool { return w.name != "" && name != w.name })
	got := map[string]pod{}
	for range want {
		e := w.receive(t)
		name, p, err := podOf(e.Object)
		if err != nil || e.Type != watch.Added {
			t.Fatalf("initial event %v: %v", e, err)
		}
		got[name] = p
	}
	compareStates(t, "initial events", want, got)
	end := w.take(t)
	if annotated, err := storage.HasInitialEventsEndBookmarkAnnotation(end.Object); end.Type != watch.Bookmark || !annotated {
		t.Fatalf("initial events end with %v, %v", end, err)
	}
}

func (w *modelWatch) compareExpired(t *rapid.T, from int64) {
	defer w.watch.Stop()
	e := w.receive(t)
	status, ok := e.Object.(*metav1.Status)
	if e.Type != watch.Error || !ok || !isExpired(&apierrors.StatusError{ErrStatus: *status}) {
		t.Fatalf("watch from %d, compacted at %d: %v", from, w.m.compacted, e)
	}
}

// compare reads the events of all changes since the last time.
func (w *modelWatch) compare(t *rapid.T) {
	for ; w.next < len(w.m.changes) && !w.overtaken; w.next++ {
		c := w.m.changes[w.next]
		want, shown := eventOf(c, w.sel)
		if !shown || w.name != "" && c.name != w.name {
			continue
		}
		got := w.receive(t)
		if got.Type == watch.Error && !w.began && w.m.expired(w.from) {
			w.overtaken = true
			w.watch.Stop()
			return
		}
		w.began = true
		name, p, err := podOf(got.Object)
		if err != nil || got.Type != want.kind || name != c.name || p != want.pod {
			t.Fatalf("watch told %s %s %+v (%v), want %s %s %+v", got.Type, name, p, err, want.kind, c.name, want.pod)
		}
	}
}

// told is what a watch is told.
type told struct {
	kind watch.EventType
	pod  pod
}

// eventOf is what a watch with a selector is told of a change, if anything.
func eventOf(c change, sel int) (told, bool) {
	before, now := selected(sel, c.before), !c.deleted && selected(sel, c.now)
	switch {
	case before && now:
		return told{watch.Modified, c.now}, true
	case now:
		return told{watch.Added, c.now}, true
	case before:
		return told{watch.Deleted, pod{rev: c.rev, value: c.before.value}}, true
	}
	return told{}, false
}
