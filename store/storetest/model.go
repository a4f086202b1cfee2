package storetest

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apiserver/pkg/apis/example"
	"k8s.io/apiserver/pkg/storage"
	"pgregory.net/rapid"
)

// pod is what the model knows of an object: its revision and its one value.
type pod struct {
	rev   int64
	value int
}

// change is one committed write, as a watch of everything is told of it.
type change struct {
	rev     int64
	name    string
	now     pod // zero if deleted
	before  pod // zero if created
	deleted bool
}

// model is a namespace of a backend, kept the simple way: a list of changes. All
// its calls are made by one goroutine, one after the other.
type model struct {
	t       *testing.T // of the backend
	backend *Backend
	ns      string
	// base is the revision before the first change.
	base, compacted int64
	changes         []change
	pods            map[string]pod
	watches         []*modelWatch
	pages           *modelPages
	copies          int
	lastValue       int
}

// Model drives a backend and the model by random calls and compares every answer:
// writes with all kinds of preconditions, reads and lists now, at a revision and in
// pages, watches from any revision, compaction, and copies where the backend can
// make them.
func Model(t *testing.T, open Open) {
	backend := open(t, DefaultConfig(t))
	round := 0
	rapid.Check(t, func(rt *rapid.T) {
		round++
		m := &model{t: t, backend: backend, ns: fmt.Sprintf("round%d", round), pods: map[string]pod{}}
		m.base = m.revision(rt)
		defer m.stop()
		actions := map[string]func(*rapid.T){
			"create1": m.create, "create2": m.create,
			"update1": m.update, "update2": m.update, "update3": m.update,
			"delete": m.delete, "get": m.get,
			"list": m.list, "listAt": m.listAt, "page1": m.page, "page2": m.page,
			"watch": m.watch, "compact": m.compact, "other": m.writeElsewhere,
			"": m.check,
		}
		if backend.Copy != nil {
			actions["copy"] = m.copy
		}
		rt.Repeat(actions)
		m.finish(rt)
	})
}

var (
	nameGen   = rapid.SampledFrom([]string{"a", "a-1", "a.b", "ab", "b", "c"})
	everyPod  = storage.SelectionPredicate{Label: labels.Everything(), Field: fields.Everything(), GetAttrs: podAttrs, AllowWatchBookmarks: false}
	oddPods   = storage.SelectionPredicate{Label: labels.SelectorFromSet(labels.Set{"odd": "true"}), Field: fields.Everything(), GetAttrs: podAttrs}
	selectors = []storage.SelectionPredicate{everyPod, oddPods}
)

func podAttrs(obj runtime.Object) (labels.Set, fields.Set, error) {
	p := obj.(*example.Pod)
	return p.Labels, fields.Set{"metadata.name": p.Name}, nil
}

// selected is the model's own idea of a selector.
func selected(sel int, p pod) bool { return p.rev != 0 && (sel == 0 || p.value%2 == 1) }

func newPod(ns, name string, value int) *example.Pod {
	p := &example.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name, UID: types.UID(ns + "-" + strconv.Itoa(value))}}
	setValue(p, value)
	return p
}

func setValue(p *example.Pod, value int) {
	p.Spec.NodeName = "v" + strconv.Itoa(value)
	p.Labels = map[string]string{"odd": strconv.FormatBool(value%2 == 1)}
}

// podOf reads back what newPod and setValue put into an object.
func podOf(obj runtime.Object) (string, pod, error) {
	p, ok := obj.(*example.Pod)
	if !ok {
		return "", pod{}, fmt.Errorf("got a %T", obj)
	}
	rev, err := strconv.ParseInt(p.ResourceVersion, 10, 64)
	if err != nil {
		return "", pod{}, err
	}
	value, err := strconv.Atoi(strings.TrimPrefix(p.Spec.NodeName, "v"))
	if err == nil && p.Labels["odd"] != strconv.FormatBool(value%2 == 1) {
		err = fmt.Errorf("pod of value %d has labels %v", value, p.Labels)
	}
	return p.Name, pod{rev, value}, err
}

func (m *model) key(name string) string { return m.prefix() + name }
func (m *model) prefix() string         { return Prefix + m.ns + "/" }

func (m *model) revision(t *rapid.T) int64 {
	rev, err := m.backend.GetCurrentResourceVersion(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return int64(rev)
}

// now is the revision of the last change.
func (m *model) now() int64 {
	if n := len(m.changes); n > 0 {
		return m.changes[n-1].rev
	}
	return m.base
}

// at is the state at a revision.
func (m *model) at(rev int64) map[string]pod {
	state := map[string]pod{}
	for _, c := range m.changes {
		if c.rev > rev {
			break
		}
		if c.deleted {
			delete(state, c.name)
		} else {
			state[c.name] = c.now
		}
	}
	return state
}

func (m *model) committed(t *rapid.T, name string, now pod, rev int64) {
	if rev <= m.now() {
		t.Fatalf("%s was written at revision %d, after one at %d", name, rev, m.now())
	}
	m.changes = append(m.changes, change{rev: rev, name: name, now: now, before: m.pods[name], deleted: now.rev == 0})
	if now.rev == 0 {
		delete(m.pods, name)
	} else {
		m.pods[name] = now
	}
}

func (m *model) nextValue() int { m.lastValue++; return m.lastValue }

func (m *model) create(t *rapid.T) {
	name, out := nameGen.Draw(t, "name"), &example.Pod{}
	value := m.nextValue()
	err := m.backend.Create(context.Background(), m.key(name), newPod(m.ns, name, value), out, 0)
	if _, exists := m.pods[name]; exists {
		if !storage.IsExist(err) {
			t.Fatalf("create what exists: %v", err)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	_, got, err := podOf(out)
	if err != nil || got.value != value {
		t.Fatalf("created %d, got %+v, %v", value, got, err)
	}
	m.committed(t, name, got, got.rev)
}

// preconditions draws some, and reports whether they hold for the object.
func (m *model) preconditions(t *rapid.T, current *example.Pod) (*storage.Preconditions, bool) {
	wrongUID, wrongRev := types.UID("wrong"), "1"
	switch rapid.IntRange(0, 5).Draw(t, "preconditions") {
	case 0:
		return &storage.Preconditions{UID: &current.UID, ResourceVersion: &current.ResourceVersion}, true
	case 1:
		return &storage.Preconditions{UID: &wrongUID}, false
	case 2:
		return &storage.Preconditions{ResourceVersion: &wrongRev}, false
	}
	return nil, true
}

// current reads the object that preconditions are made from; it is a copy.
func (m *model) current(t *rapid.T, name string) *example.Pod {
	out := &example.Pod{}
	if err := m.backend.Get(context.Background(), m.key(name), storage.GetOptions{IgnoreNotFound: true}, out); err != nil {
		t.Fatal(err)
	}
	return out.DeepCopy()
}

func (m *model) update(t *rapid.T) {
	name, orCreate := nameGen.Draw(t, "name"), rapid.Bool().Draw(t, "create if absent")
	before, exists := m.pods[name]
	var preconditions *storage.Preconditions
	holds := true
	if exists {
		preconditions, holds = m.preconditions(t, m.current(t, name))
	}
	value := m.nextValue()
	if exists && rapid.IntRange(0, 4).Draw(t, "no change") == 0 {
		value = before.value
	}
	out := &example.Pod{}
	err := m.backend.GuaranteedUpdate(context.Background(), m.key(name), out, orCreate, preconditions,
		storage.SimpleUpdate(func(obj runtime.Object) (runtime.Object, error) {
			if !exists {
				return newPod(m.ns, name, value), nil
			}
			setValue(obj.(*example.Pod), value)
			return obj, nil
		}), nil)
	switch {
	case !exists && !orCreate:
		if !storage.IsNotFound(err) {
			t.Fatalf("update of what is absent: %v", err)
		}
		return
	case !holds:
		if !storage.IsInvalidObj(err) {
			t.Fatalf("update with preconditions that do not hold: %v", err)
		}
		return
	case err != nil:
		t.Fatal(err)
	}
	_, got, err := podOf(out)
	if err != nil || got.value != value {
		t.Fatalf("updated to %d, got %+v, %v", value, got, err)
	}
	if exists && value == before.value {
		if got.rev != before.rev {
			t.Fatalf("an update without a change went from %+v to %+v", before, got)
		}
		return
	}
	m.committed(t, name, got, got.rev)
}

func (m *model) delete(t *rapid.T) {
	name := nameGen.Draw(t, "name")
	before, exists := m.pods[name]
	preconditions, holds := m.preconditions(t, m.current(t, name))
	out := &example.Pod{}
	err := m.backend.Delete(context.Background(), m.key(name), out, preconditions, storage.ValidateAllObjectFunc, nil, storage.DeleteOptions{})
	switch {
	case !exists:
		if !storage.IsNotFound(err) {
			t.Fatalf("delete of what is absent: %v", err)
		}
		return
	case !holds:
		if !storage.IsInvalidObj(err) {
			t.Fatalf("delete with preconditions that do not hold: %v", err)
		}
		return
	case err != nil:
		t.Fatal(err)
	}
	_, got, err := podOf(out)
	if err != nil || got.value != before.value {
		t.Fatalf("deleted %+v, got %+v, %v", before, got, err)
	}
	m.committed(t, name, pod{}, got.rev)
}

// writeElsewhere raises the revision without touching the pods.
func (m *model) writeElsewhere(*rapid.T) { m.backend.IncreaseRV(context.Background(), m.t) }

func (m *model) compact(t *rapid.T) {
	rev := rapid.Int64Range(max(m.base, m.compacted), m.now()).Draw(t, "compact")
	m.backend.Compact(context.Background(), m.t, strconv.FormatInt(rev, 10))
	m.compacted = max(m.compacted, rev)
}

// copy compares a copy of the backend with the model, and shows that the two then
// live their own lives.
func (m *model) copy(t *rapid.T) {
	if m.copies++; m.copies > 1 {
		t.Skip("one copy is enough")
	}
	c := *m
	c.backend, c.watches, c.pages = m.backend.Copy(m.t), nil, nil
	c.pods, c.changes = maps.Clone(m.pods), slices.Clone(m.changes)
	c.list(t)
	c.listAt(t)
	c.watch(t)
	c.create(t)
	c.update(t)
	c.check(t)
	c.stop()
	c.backend.Close()
}

// expired reports whether a read at rev must be refused as expired.
func (m *model) expired(rev int64) bool { return rev < m.compacted }

func (m *model) check(t *rapid.T) {
	for _, w := range m.watches {
		w.compare(t)
	}
}

func (m *model) stop() {
	for _, w := range m.watches {
		w.watch.Stop()
	}
}

// finish writes one last pod. A watch that was told anything twice, or of anything
// that did not happen, is told of something else first.
func (m *model) finish(t *rapid.T) {
	out := &example.Pod{}
	value := m.nextValue()*2 + 1 // odd: every watch sees it
	if err := m.backend.Create(context.Background(), m.key("last"), newPod(m.ns, "last", value), out, 0); err != nil {
		t.Fatal(err)
	}
	_, got, err := podOf(out)
	if err != nil {
		t.Fatal(err)
	}
	m.committed(t, "last", got, got.rev)
	m.check(t)
	state := map[string]pod{}
	if _, _, err := m.fetch(storage.ListOptions{Recursive: true, Predicate: everyPod}, state); err != nil {
		t.Fatal(err)
	}
	compareStates(t, "at the end", m.pods, state)
}

func isExpired(err error) bool { return apierrors.IsResourceExpired(err) || apierrors.IsGone(err) }
