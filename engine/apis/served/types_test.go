package served_test

import (
	"math/rand"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"k8s.io/apimachinery/pkg/api/apitesting/fuzzer"
	metafuzzer "k8s.io/apimachinery/pkg/apis/meta/fuzzer"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"k8s.io/client-go/applyconfigurations"
	"sigs.k8s.io/randfill"

	"github.com/pintle-io/pintle/engine/apis/served"
)

// TestManagedFieldsAreUpstreams writes random objects of every kind with field
// managers over our types and over upstream's: a create by one writer, an update by
// another, an update that takes fields away, and one by the first again.
func TestManagedFieldsAreUpstreams(t *testing.T) {
	const objects = 8
	scheme := served.Scheme()
	reference := applyconfigurations.NewTypeConverter(scheme)
	fill := fuzzer.FuzzerFor(fuzzer.MergeFuzzerFuncs(metafuzzer.Funcs), rand.NewSource(7), served.Codecs()).NilChance(0.3).NumElements(0, 3)
	fill = fill.Funcs(
		func(e *runtime.RawExtension, _ randfill.Continue) { e.Raw = []byte(`{"a":1}`) },
		func(m *metav1.ManagedFieldsEntry, _ randfill.Continue) {},
	)
	// Entries are in the order of their times, which pass differently for both.
	sorted := cmpopts.SortSlices(func(a, b metav1.ManagedFieldsEntry) bool { return a.Manager < b.Manager })
	for _, row := range served.Table() {
		t.Run(row.GVK.Kind, func(t *testing.T) {
			ours, theirs := manager(t, served.Types(), row.GVK), manager(t, reference, row.GVK)
			random := func() runtime.Object {
				obj := row.New()
				fill.Fill(obj)
				obj.(metav1.Object).SetManagedFields(nil)
				return obj
			}
			for range objects {
				a, b := row.New(), row.New()
				first, second := random(), random()
				for step, write := range []struct {
					by  string
					obj runtime.Object
				}{{"one", first}, {"two", second}, {"two", row.New()}, {"one", first}} {
					got := ours.UpdateNoErrors(a, write.obj.DeepCopyObject(), write.by)
					want := theirs.UpdateNoErrors(b, write.obj.DeepCopyObject(), write.by)
					if diff := cmp.Diff(entries(want), entries(got), sorted, cmpopts.IgnoreFields(metav1.ManagedFieldsEntry{}, "Time")); diff != "" {
						t.Fatalf("step %d (-upstream +ours):\n%s", step, diff)
					}
					a, b = got, want
				}
			}
		})
	}
}

func manager(t *testing.T, types managedfields.TypeConverter, gvk schema.GroupVersionKind) *managedfields.FieldManager {
	t.Helper()
	scheme := served.Scheme()
	m, err := managedfields.NewDefaultFieldManager(types, runtime.UnsafeObjectConvertor(scheme), scheme, scheme, gvk, gvk.GroupVersion(), "", nil)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func entries(obj runtime.Object) []metav1.ManagedFieldsEntry {
	return obj.(metav1.Object).GetManagedFields()
}
