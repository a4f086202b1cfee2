package apistest

import (
	"context"
	"fmt"
	"math/rand"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/apitesting/fuzzer"
	metafuzzer "k8s.io/apimachinery/pkg/apis/meta/fuzzer"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"sigs.k8s.io/randfill"

	"github.com/pintle-io/pintle/engine/apis"
)

// Robust runs every rule of every row over empty and random objects: no rule may
// panic or change the old object, and defaults must be stable: applied twice they
// give the same object as once.
func Robust(t *testing.T, rows []apis.Resource) {
	t.Helper()
	codecs := serializer.NewCodecFactory(runtime.NewScheme())
	fill := fuzzer.FuzzerFor(fuzzer.MergeFuzzerFuncs(metafuzzer.Funcs), rand.NewSource(1), codecs).NilChance(0.3).NumElements(0, 3)
	fill = fill.Funcs(func(r *runtime.RawExtension, _ randfill.Continue) { r.Raw = []byte(`{"a":1}`) })
	for _, row := range rows {
		t.Run(row.GVK.Kind, func(t *testing.T) {
			exercise(t, row, row.New())
			for range 30 {
				exercise(t, row, random(fill, row))
			}
		})
	}
}

func random(fill *randfill.Filler, row apis.Resource) runtime.Object {
	obj := row.New()
	fill.Fill(obj)
	obj.GetObjectKind().SetGroupVersionKind(row.GVK)
	return obj
}

func exercise(t *testing.T, row apis.Resource, obj runtime.Object) {
	t.Helper()
	defer func() {
		if p := recover(); p != nil {
			t.Fatalf("panic: %v\nwith %s", p, fmt.Sprintf("%+v", obj))
		}
	}()
	ctx, rules := context.Background(), row.Rules
	call(rules.Default, obj)
	once := obj.DeepCopyObject()
	call(rules.Default, obj)
	if diff := cmp.Diff(once, obj); diff != "" {
		t.Errorf("defaults are not stable (-once +twice):\n%s", diff)
	}
	old := obj.DeepCopyObject()
	if rules.PrepareForCreate != nil {
		rules.PrepareForCreate(ctx, obj)
	}
	valid := rules.Validate == nil || len(rules.Validate(ctx, obj)) == 0
	if valid && rules.WarningsOnCreate != nil {
		rules.WarningsOnCreate(ctx, obj)
	}
	before := old.DeepCopyObject()
	update := obj.DeepCopyObject()
	if rules.PrepareForUpdate != nil {
		rules.PrepareForUpdate(ctx, update, old)
	}
	if rules.ValidateUpdate != nil {
		rules.ValidateUpdate(ctx, update, old)
	}
	if valid && rules.WarningsOnUpdate != nil {
		rules.WarningsOnUpdate(ctx, update, old)
	}
	status := obj.DeepCopyObject()
	if rules.PrepareForStatusUpdate != nil {
		rules.PrepareForStatusUpdate(ctx, status, old)
	}
	if rules.ValidateStatusUpdate != nil {
		rules.ValidateStatusUpdate(ctx, status, old)
	}
	if rules.CheckGracefulDelete != nil {
		rules.CheckGracefulDelete(ctx, obj.DeepCopyObject(), &metav1.DeleteOptions{})
	}
	if diff := cmp.Diff(before, old); diff != "" {
		t.Errorf("the old object was changed (-was +is):\n%s", diff)
	}
	if row.Fields != nil {
		row.Fields(obj)
	}
	if row.Scale != nil {
		row.Scale.Selector(obj)
		row.Scale.Replicas(obj)
	}
	Cells(row, obj)
}
