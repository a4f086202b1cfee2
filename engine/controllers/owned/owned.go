// Package owned answers, from informer caches, which objects a controller owns
// and which it could adopt, without scanning a namespace. It only reads.
package owned

import (
	"fmt"
	"reflect"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"

	"github.com/pintle-io/pintle/engine/reconcile"
)

// index maps the UID of the controlling owner, or "orphan/" and the namespace,
// to objects.
const index = "controlledBy"

// Index adds the owner index to an informer, once.
func Index(informer cache.SharedIndexInformer) error {
	if _, ok := informer.GetIndexer().GetIndexers()[index]; ok {
		return nil
	}
	return informer.AddIndexers(cache.Indexers{index: func(obj any) ([]string, error) {
		m, ok := obj.(metav1.Object)
		if !ok {
			return nil, fmt.Errorf("index owners: %T has no metadata", obj)
		}
		if ref := metav1.GetControllerOfNoCopy(m); ref != nil {
			return []string{string(ref.UID)}, nil
		}
		return []string{"orphan/" + m.GetNamespace()}, nil
	}})
}

// By lists what is controlled by uid.
func By[T metav1.Object](indexer cache.Indexer, uid types.UID) []T {
	return lookup[T](indexer, string(uid))
}

// Orphans lists what nobody controls in a namespace and the selector selects.
func Orphans[T metav1.Object](indexer cache.Indexer, namespace string, selector labels.Selector) []T {
	var out []T
	for _, obj := range lookup[T](indexer, "orphan/"+namespace) {
		if selector.Matches(labels.Set(obj.GetLabels())) {
			out = append(out, obj)
		}
	}
	return out
}

func lookup[T any](indexer cache.Indexer, key string) []T {
	objs, err := indexer.ByIndex(index, key)
	if err != nil {
		panic(fmt.Sprintf("owned: %v (Index was not called on the informer of %s)", err, reflect.TypeFor[T]()))
	}
	out := make([]T, 0, len(objs))
	for _, obj := range objs {
		if typed, ok := obj.(T); ok {
			out = append(out, typed)
		}
	}
	return out
}

// Controller names obj's controller if it is of the given kind.
func Controller(obj metav1.Object, kind string) (name string, ok bool) {
	ref := metav1.GetControllerOfNoCopy(obj)
	if ref == nil || ref.Kind != kind {
		return "", false
	}
	return ref.Name, true
}

// Keys names the controller of a pod if it is of the given kind, or those that,
// as adopters says, select it while nobody controls it.
func Keys[T metav1.Object](pod *corev1.Pod, kind string, adopters func(*corev1.Pod) ([]T, error)) []reconcile.Key {
	if metav1.GetControllerOfNoCopy(pod) != nil {
		name, ok := Controller(pod, kind)
		if !ok {
			return nil
		}
		return []reconcile.Key{{Namespace: pod.Namespace, Name: name}}
	}
	owners, err := adopters(pod)
	if err != nil {
		return nil // nobody selects it
	}
	var keys []reconcile.Key
	for _, owner := range owners {
		keys = append(keys, reconcile.KeyOf(owner))
	}
	return keys
}

// Claim sorts objects into those owner controls and matches (kept), those it must
// release, and those it may adopt.
func Claim[T metav1.Object](owner metav1.Object, selector labels.Selector, objs []T) (kept, release, adopt []T) {
	for _, obj := range objs {
		matches := selector.Matches(labels.Set(obj.GetLabels()))
		ref := metav1.GetControllerOfNoCopy(obj)
		switch {
		case ref != nil && ref.UID != owner.GetUID():
		case ref != nil && matches:
			kept = append(kept, obj)
		case ref != nil && owner.GetDeletionTimestamp() == nil:
			release = append(release, obj)
		case ref == nil && matches && owner.GetDeletionTimestamp() == nil && obj.GetDeletionTimestamp() == nil:
			adopt = append(adopt, obj)
		}
	}
	return kept, release, adopt
}

// Without returns refs less those to uid.
func Without(refs []metav1.OwnerReference, uid types.UID) []metav1.OwnerReference {
	var out []metav1.OwnerReference
	for _, ref := range refs {
		if ref.UID != uid {
			out = append(out, ref)
		}
	}
	return out
}

// With returns refs with ref in place of any other reference to the same UID.
func With(refs []metav1.OwnerReference, ref metav1.OwnerReference) []metav1.OwnerReference {
	return append(Without(refs, ref.UID), ref)
}
