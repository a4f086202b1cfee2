// Package plantest runs plans in a world without a server: objects in a map,
// actions applied to it, time moved by hand. Scenario files say what happens and
// show what a plan decides; properties drive the same world at random.
package plantest

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/pintle-io/pintle/engine/apis/served"
	"github.com/pintle-io/pintle/engine/reconcile"
)

// World holds objects and the time.
type World struct {
	Now     time.Time
	objects map[string]runtime.Object
	created int
	version int
	log     []string
}

// NewWorld returns an empty world at the start of 2030.
func NewWorld() *World {
	return &World{Now: time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC), objects: map[string]runtime.Object{}}
}

func key(obj runtime.Object) (string, metav1.Object) {
	m, err := meta.Accessor(obj)
	if err != nil {
		panic(err)
	}
	return fmt.Sprintf("%T %s/%s", obj, m.GetNamespace(), m.GetName()), m
}

// Put adds or replaces an object, completing its identity.
func (w *World) Put(obj runtime.Object) {
	served.Scheme().Default(obj)
	k, m := key(obj)
	if m.GetUID() == "" {
		m.SetUID(types.UID("uid-" + m.GetName()))
	}
	if created := m.GetCreationTimestamp(); created.IsZero() {
		m.SetCreationTimestamp(metav1.NewTime(w.Now))
	}
	if m.GetGeneration() == 0 {
		m.SetGeneration(1)
	}
	w.version++
	m.SetResourceVersion(fmt.Sprint(w.version))
	w.objects[k] = obj
}

// Remove takes an object out of the world.
func (w *World) Remove(obj runtime.Object) {
	k, _ := key(obj)
	delete(w.objects, k)
}

// List returns the objects of one type, sorted by name.
func List[T runtime.Object](w *World) []T {
	var out []T
	for _, k := range slices.Sorted(maps.Keys(w.objects)) {
		if obj, ok := w.objects[k].(T); ok {
			out = append(out, obj)
		}
	}
	return out
}

// Act applies a plan's actions and returns them in words. An event shows as its
// reason and message.
func (w *World) Act(result reconcile.Result) string {
	w.log = nil
	for _, action := range result.Actions {
		w.act(action)
	}
	if result.RequeueAfter > 0 {
		w.log = append(w.log, "again in "+result.RequeueAfter.String())
	}
	if len(w.log) == 0 {
		return "nothing to do\n"
	}
	return strings.Join(w.log, "\n") + "\n"
}

func (w *World) act(action reconcile.Action) {
	switch a := action.(type) {
	case reconcile.Batch:
		for _, member := range a {
			w.act(member)
		}
	case reconcile.Create:
		_, m := key(a.Object)
		if m.GetName() == "" {
			w.created++
			m.SetName(m.GetGenerateName() + fmt.Sprint(w.created))
		}
		w.Put(a.Object)
		w.say("create", a.Object, nil)
		w.announce(a.Announce, m.GetName())
	case reconcile.Update:
		verb := cmp.Or(a.Subresource, "update")
		w.replace(verb, a.Object)
		_, m := key(a.Object)
		w.announce(a.Announce, m.GetName())
	case reconcile.UpdateStatus:
		w.replace("status", a.Object)
	case reconcile.Delete:
		w.delete(a)
	case reconcile.DeleteCollection:
		w.log = append(w.log, fmt.Sprintf("delete all %s in %s", a.Resource.Resource, a.Namespace))
	case reconcile.Patch:
		w.log = append(w.log, fmt.Sprintf("patch %s %s: %s", a.Resource.Resource, a.Name, a.Data))
	case reconcile.Request:
		w.log = append(w.log, fmt.Sprintf("request %s %s", a.Method, a.Path))
	case reconcile.Event:
		w.log = append(w.log, fmt.Sprintf("event %s: %s", a.Reason, a.Message))
	}
}

func (w *World) announce(a *reconcile.Announce, name string) {
	if a != nil && a.Done.Reason != "" {
		w.log = append(w.log, fmt.Sprintf("event %s: "+a.Done.Format, a.Done.Reason, name))
	}
}

func (w *World) replace(verb string, obj runtime.Object) {
	k, _ := key(obj)
	old, ok := w.objects[k]
	if !ok {
		w.log = append(w.log, "conflict: "+verb+" of "+describe(obj)+", which is gone")
		return
	}
	w.say(verb, obj, old)
	w.Put(obj)
}

func (w *World) delete(a reconcile.Delete) {
	suffix := ""
	if a.Propagation != "" {
		suffix = " " + string(a.Propagation)
	}
	for k, obj := range w.objects {
		_, m := key(obj)
		if plural, _ := meta.UnsafeGuessKindToResource(kindOf(obj)); m.GetUID() != a.UID || m.GetName() != a.Name || plural.Resource != a.Resource.Resource {
			continue
		}
		w.log = append(w.log, "delete "+describe(obj)+suffix)
		delete(w.objects, k)
		w.announce(a.Announce, a.Name)
		return
	}
	w.log = append(w.log, "delete "+a.Resource.Resource+" "+a.Name+", which is gone")
}

func describe(obj runtime.Object) string {
	_, m := key(obj)
	return kindOf(obj).Kind + " " + m.GetName()
}

func kindOf(obj runtime.Object) schema.GroupVersionKind {
	kinds, _, err := served.Scheme().ObjectKinds(obj)
	if err != nil {
		panic(err)
	}
	return kinds[0]
}

func (w *World) say(verb string, obj, old runtime.Object) {
	w.log = append(w.log, verb+" "+describe(obj))
	if old == nil {
		return
	}
	for _, change := range changes(old, obj) {
		w.log = append(w.log, "  "+change)
	}
}
