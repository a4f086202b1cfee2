package store

import (
	"testing"
	"unsafe"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/storage"
)

// What two stored objects say alike about managers and owners is in memory once, and
// each says what it said.
func TestMetadataIsShared(t *testing.T) {
	r := configMaps(t, openStore(t, Options{}))
	owner := metav1.OwnerReference{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: "web", UID: "8f0a7f0e"}
	for _, name := range []string{"a", "b"} {
		cm := configMap(name)
		cm.OwnerReferences = []metav1.OwnerReference{owner}
		cm.ManagedFields = []metav1.ManagedFieldsEntry{{
			Manager: "kubectl-of-somebody", Operation: metav1.ManagedFieldsOperationUpdate,
			APIVersion: "v1", FieldsType: "FieldsV1", FieldsV1: metav1.NewFieldsV1(`{"f:data":{}}`),
		}}
		if err := r.Create(t.Context(), "/configmaps/default/"+name, cm, nil, 0); err != nil {
			t.Fatal(err)
		}
	}
	list := &ObjectList{}
	if err := r.GetList(t.Context(), "/configmaps", storage.ListOptions{Recursive: true, Predicate: storage.Everything}, list); err != nil {
		t.Fatal(err)
	}
	var metas []metav1.Object
	for _, obj := range list.Items {
		m := obj.(metav1.Object)
		metas = append(metas, m)
		if got := m.GetManagedFields()[0]; got.Manager != "kubectl-of-somebody" || got.Subresource != "" || got.FieldsV1.GetRawString() != `{"f:data":{}}` {
			t.Errorf("%s: managed fields %+v", m.GetName(), got)
		}
		if got := m.GetOwnerReferences()[0]; got != owner {
			t.Errorf("%s: owner %+v", m.GetName(), got)
		}
	}
	if len(metas) != 2 {
		t.Fatalf("%d objects", len(metas))
	}
	for what, text := range map[string]func(metav1.Object) string{
		"manager": func(m metav1.Object) string { return m.GetManagedFields()[0].Manager },
		"owner":   func(m metav1.Object) string { return m.GetOwnerReferences()[0].Name },
		"uid":     func(m metav1.Object) string { return string(m.GetOwnerReferences()[0].UID) },
	} {
		if unsafe.StringData(text(metas[0])) != unsafe.StringData(text(metas[1])) {
			t.Errorf("%s %q is in memory twice", what, text(metas[0]))
		}
	}
}
