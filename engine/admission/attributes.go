package admission

import (
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
)

// mirrorAnnotation marks the API's picture of a pod that a node runs by itself.
const mirrorAnnotation = corev1.MirrorPodAnnotationKey

// operations implements Handles.
type operations []admission.Operation

// Handles implements admission.Interface.
func (o operations) Handles(op admission.Operation) bool { return slices.Contains(o, op) }

var (
	onCreate       = operations{admission.Create}
	onWrite        = operations{admission.Create, admission.Update}
	onEvery        = operations{admission.Create, admission.Update, admission.Delete}
	podsResource   = corev1.Resource("pods")
	nodesResource  = corev1.Resource("nodes")
	claimsResource = corev1.Resource("persistentvolumeclaims")
)

// is reports whether a request is for a resource, or for its subresource.
func is(a admission.Attributes, resource schema.GroupResource, subresource string) bool {
	return a.GetSubresource() == subresource && a.GetResource().GroupResource() == resource
}

// subject returns the object of a request for the resource itself.
func subject[T runtime.Object](a admission.Attributes, resource schema.GroupResource) (T, bool) {
	var none T
	if !is(a, resource, "") {
		return none, false
	}
	obj, ok := a.GetObject().(T)
	return obj, ok
}

// newest picks the default among classes: the last created, then the first by
// name. The zero value means that there is none.
func newest[T interface {
	comparable
	GetName() string
}](list []T, isDefault func(T) bool, created func(T) time.Time) T {
	var best T
	var none T
	for _, c := range list {
		switch {
		case !isDefault(c):
		case best == none, created(c).After(created(best)),
			created(c).Equal(created(best)) && c.GetName() < best.GetName():
			best = c
		}
	}
	return best
}
