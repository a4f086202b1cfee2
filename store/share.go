package store

import (
	"unique"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// share makes obj, which was just decoded, use one copy of the texts that the metadata
// of many objects have in common: who manages fields, and what owns them. Of 5,000
// nodes and their leases these are a fifth of all that a garbage collection visits.
// The sets of fields themselves are shared by apimachinery (build tag fieldsv1string).
func share(obj runtime.Object) {
	accessor, ok := obj.(metav1.ObjectMetaAccessor)
	if !ok {
		return
	}
	meta, ok := accessor.GetObjectMeta().(*metav1.ObjectMeta)
	if !ok {
		return
	}
	for i := range meta.ManagedFields {
		entry := &meta.ManagedFields[i]
		entry.Manager, entry.Operation, entry.APIVersion = one(entry.Manager), one(entry.Operation), one(entry.APIVersion)
		entry.FieldsType, entry.Subresource = one(entry.FieldsType), one(entry.Subresource)
	}
	for i := range meta.OwnerReferences {
		owner := &meta.OwnerReferences[i]
		owner.APIVersion, owner.Kind, owner.Name, owner.UID = one(owner.APIVersion), one(owner.Kind), one(owner.Name), one(owner.UID)
	}
}

func one[T ~string](text T) T {
	if text == "" {
		return text
	}
	return unique.Make(text).Value()
}
