// Package garbage deletes objects whose owners are gone, in the background or,
// for owners deleted in the foreground, before the owner; and orphans dependents
// when asked to.
//
// It watches every kind that can be deleted, built-in and custom, but remembers
// only the links between objects (graph.go). A key is the UID of one object; the
// plan sees that object and its owners as they are in the store at that moment,
// so a link seen too early or too late never deletes anything by mistake.
package garbage

import (
	"encoding/json"
	"slices"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/pintle-io/pintle/engine/reconcile"
)

// State is what became of an owner.
type State int

// An owner is present, absent, or present but waiting for its dependents to go.
const (
	Present State = iota
	Absent
	Waiting
)

// Owner is one owner reference and what it points to.
type Owner struct {
	metav1.OwnerReference
	State State
}

// Dependent is an object that refers to the object planned.
type Dependent struct {
	Item Item
	// Blocks reports blockOwnerDeletion in its reference.
	Blocks bool
}

// Item is an object as it is in the store now.
type Item struct {
	Resource schema.GroupVersionResource
	// Object is the typed object of a built-in kind, else its partial metadata.
	Object runtime.Object
	Meta   metav1.Object
}

// Observed is the snapshot of one object.
type Observed struct {
	Item
	Owners     []Owner
	Dependents []Dependent
}

// Plan decides what becomes of one object.
func Plan(o Observed) reconcile.Result {
	var result reconcile.Result
	if o.Meta.GetDeletionTimestamp() != nil {
		switch {
		case has(o.Meta, metav1.FinalizerOrphanDependents):
			orphan(&result, o)
		case has(o.Meta, metav1.FinalizerDeleteDependents):
			deleteDependents(&result, o)
		}
		return result
	}
	collect(&result, o)
	return result
}

// orphan takes the reference off every dependent, then lets the owner go.
func orphan(result *reconcile.Result, o Observed) {
	uid := o.Meta.GetUID()
	for _, d := range o.Dependents {
		result.Add(rewrite(d.Item, func(m metav1.Object) {
			m.SetOwnerReferences(without(m.GetOwnerReferences(), uid))
		}, "ownerReferences"))
	}
	if len(result.Actions) > 0 {
		return // plan again when the dependents show it
	}
	result.Add(dropFinalizer(o.Item, metav1.FinalizerOrphanDependents))
}

// deleteDependents lets the owner go once no dependent blocks it. The dependents
// themselves see that their owner waits and go by their own plans.
func deleteDependents(result *reconcile.Result, o Observed) {
	for _, d := range o.Dependents {
		if d.Blocks {
			return
		}
	}
	result.Add(dropFinalizer(o.Item, metav1.FinalizerDeleteDependents))
}

// collect deletes an object that no present owner keeps.
func collect(result *reconcile.Result, o Observed) {
	var kept, going []Owner
	waiting := false
	for _, owner := range o.Owners {
		switch owner.State {
		case Present:
			kept = append(kept, owner)
		case Waiting:
			waiting = true
			going = append(going, owner)
		case Absent:
			going = append(going, owner)
		}
	}
	switch {
	case len(going) == 0:
	case len(kept) > 0:
		result.Add(rewrite(o.Item, func(m metav1.Object) {
			refs := m.GetOwnerReferences()
			for _, owner := range going {
				refs = without(refs, owner.UID)
			}
			m.SetOwnerReferences(refs)
		}, "ownerReferences"))
	case waiting && len(o.Dependents) > 0:
		unblockCycle(result, o)
		result.Add(remove(o, metav1.DeletePropagationForeground))
	case has(o.Meta, metav1.FinalizerOrphanDependents):
		result.Add(remove(o, metav1.DeletePropagationOrphan))
	case has(o.Meta, metav1.FinalizerDeleteDependents):
		result.Add(remove(o, metav1.DeletePropagationForeground))
	default:
		result.Add(remove(o, metav1.DeletePropagationBackground))
	}
}

// unblockCycle breaks a ring of owners that would wait for each other: a
// dependent that is itself waiting means nobody would ever go first, so this
// object stops blocking its owners.
func unblockCycle(result *reconcile.Result, o Observed) {
	for _, d := range o.Dependents {
		if d.Item.Meta.GetDeletionTimestamp() == nil || !has(d.Item.Meta, metav1.FinalizerDeleteDependents) {
			continue
		}
		result.Add(rewrite(o.Item, func(m metav1.Object) {
			refs := slices.Clone(m.GetOwnerReferences())
			for i := range refs {
				refs[i].BlockOwnerDeletion = nil
			}
			m.SetOwnerReferences(refs)
		}, "ownerReferences"))
		return
	}
}

func remove(o Observed, propagation metav1.DeletionPropagation) reconcile.Action {
	d := reconcile.DeleteOf(o.Resource, o.Meta)
	d.Propagation = propagation
	// A reference added since must keep the object; after unblockCycle the
	// version moves on by our own hand, and the retry sees it.
	d.ResourceVersion = o.Meta.GetResourceVersion()
	return d
}

func dropFinalizer(item Item, finalizer string) reconcile.Action {
	return rewrite(item, func(m metav1.Object) {
		m.SetFinalizers(slices.DeleteFunc(slices.Clone(m.GetFinalizers()), func(f string) bool { return f == finalizer }))
	}, "finalizers")
}

// rewrite changes an object's metadata: built-in kinds by update, others by a
// merge patch of the one field, both on condition of the version seen.
func rewrite(item Item, change func(metav1.Object), field string) reconcile.Action {
	obj := item.Object.DeepCopyObject()
	m, err := meta.Accessor(obj)
	if err != nil {
		return nil
	}
	change(m)
	if _, partial := obj.(*metav1.PartialObjectMetadata); !partial {
		return reconcile.Update{Object: obj}
	}
	var value any = m.GetFinalizers()
	if field == "ownerReferences" {
		value = m.GetOwnerReferences()
	}
	data, err := json.Marshal(map[string]any{"metadata": map[string]any{
		"uid": m.GetUID(), "resourceVersion": m.GetResourceVersion(), field: value,
	}})
	if err != nil {
		return nil
	}
	return reconcile.Patch{Resource: item.Resource, Namespace: m.GetNamespace(), Name: m.GetName(), Type: types.MergePatchType, Data: data}
}

func without(refs []metav1.OwnerReference, uid types.UID) []metav1.OwnerReference {
	return slices.DeleteFunc(slices.Clone(refs), func(r metav1.OwnerReference) bool { return r.UID == uid })
}

func has(m metav1.Object, finalizer string) bool {
	return slices.Contains(m.GetFinalizers(), finalizer)
}
