package store

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// ObjectList is a list for callers inside the process. GetList fills it with the
// pointers of the index itself: nothing is copied, so nothing reachable from
// Items may ever be changed. client-go's reflector accepts it as a list.
type ObjectList struct {
	metav1.TypeMeta
	metav1.ListMeta
	Items []runtime.Object
}

var _ runtime.Object = (*ObjectList)(nil)

// DeepCopyObject copies the list and every object in it.
func (l *ObjectList) DeepCopyObject() runtime.Object {
	out := &ObjectList{TypeMeta: l.TypeMeta}
	l.ListMeta.DeepCopyInto(&out.ListMeta)
	out.Items = make([]runtime.Object, len(l.Items))
	for i, item := range l.Items {
		out.Items[i] = item.DeepCopyObject()
	}
	return out
}
