package registry

import (
	"bytes"
	"context"
	"fmt"
	"math/rand"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/api/apitesting/fuzzer"
	metafuzzer "k8s.io/apimachinery/pkg/apis/meta/fuzzer"
	metainternalversion "k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/endpoints/request"
	"sigs.k8s.io/randfill"

	"github.com/pintle-io/pintle/engine/apis/served"
	"github.com/pintle-io/pintle/store"
)

// open builds a registry of everything that is served over a file system.
func open(t *testing.T, fs vfs.FS) (*Registry, *store.Store) {
	t.Helper()
	db, err := store.Open("db", store.Options{FS: fs})
	if err != nil {
		t.Fatal(err)
	}
	r, err := New(Config{Table: served.Table(), Scheme: served.Scheme(), Codecs: served.Codecs(), Store: db})
	if err != nil {
		t.Fatal(err)
	}
	return r, db
}

// TestAnswersFromStoredBytes holds what is written from stored bytes against
// upstream's encoders: every kind, every version and form, alone and in lists,
// selected and in pages, byte for byte; as this process stored it, and as it was
// found by a later one.
func TestAnswersFromStoredBytes(t *testing.T) {
	const objects = 12
	fs := vfs.NewMem()
	r, db := open(t, fs)
	fill := fuzzer.FuzzerFor(fuzzer.MergeFuzzerFuncs(metafuzzer.Funcs), rand.NewSource(1), served.Codecs()).NilChance(0.3).NumElements(0, 3)
	fill = fill.Funcs(func(e *runtime.RawExtension, _ randfill.Continue) { e.Raw = []byte(`{"a":1}`) })
	ctx := request.WithNamespace(context.Background(), "default")
	for _, row := range r.table {
		gvr := row.GVR()
		s := r.stores[gvr]
		for i := range objects {
			obj := s.row.New()
			if i > 0 {
				fill.Fill(obj)
			}
			m := obj.(metav1.Object)
			m.SetName(fmt.Sprintf("object-%02d", i))
			m.SetNamespace("")
			if s.row.Namespaced {
				m.SetNamespace("default")
			}
			m.SetResourceVersion("")
			m.SetLabels(map[string]string{"half": fmt.Sprint(i % 2), "<&>": "é"})
			key, err := s.KeyFunc(ctx, m.GetName())
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Storage.Create(ctx, key, obj, nil, 0, false); err != nil {
				t.Fatalf("%s: %v", gvr, err)
			}
		}
	}
	t.Run("stored now", func(t *testing.T) { compareAnswers(t, ctx, r) })
	t.Run("read again", func(t *testing.T) { compareAnswers(t, ctx, r) })
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	r, db = open(t, fs)
	defer db.Close()
	t.Run("stored earlier", func(t *testing.T) { compareAnswers(t, ctx, r) })
}

func compareAnswers(t *testing.T, ctx context.Context, r *Registry) {
	for _, s := range r.stores {
		versions := []schema.GroupVersion{s.row.GVK.GroupVersion()}
		for _, gvk := range s.row.OtherVersions {
			versions = append(versions, gvk.GroupVersion())
		}
		for _, gv := range versions {
			t.Run(s.row.Plural+"."+gv.String(), func(t *testing.T) { compareKind(t, ctx, r, s, gv) })
		}
	}
}

func compareKind(t *testing.T, ctx context.Context, r *Registry, s *REST, gv schema.GroupVersion) {
	marked := ForHTTP(ctx)
	get := func(ctx context.Context) (runtime.Object, error) {
		return s.Get(ctx, "object-03", &metav1.GetOptions{})
	}
	list := func(options metainternalversion.ListOptions) func(context.Context) (runtime.Object, error) {
		return func(ctx context.Context) (runtime.Object, error) { return s.List(ctx, &options) }
	}
	half, none := labels.SelectorFromSet(labels.Set{"half": "1"}), labels.SelectorFromSet(labels.Set{"half": "3"})
	for name, read := range map[string]func(context.Context) (runtime.Object, error){
		"get":      get,
		"list":     list(metainternalversion.ListOptions{}),
		"page":     list(metainternalversion.ListOptions{Limit: 5}),
		"selected": list(metainternalversion.ListOptions{LabelSelector: half}),
		"empty":    list(metainternalversion.ListOptions{LabelSelector: none}),
	} {
		plain, err := read(ctx)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		stored, err := read(marked)
		if err != nil {
			t.Fatalf("%s from stored bytes: %v", name, err)
		}
		if _, ok := stored.(runtime.CacheableObject); !ok {
			t.Fatalf("%s: got %T", name, stored)
		}
		for _, info := range r.codecs.SupportedMediaTypes() {
			if info.MediaType == runtime.ContentTypeYAML {
				continue // its encoder orders some keys at random
			}
			for form, serializer := range map[string]runtime.Serializer{info.MediaType: info.Serializer, info.MediaType + ", pretty": info.PrettySerializer} {
				if serializer == nil {
					continue
				}
				encoder := r.codecs.EncoderForVersion(serializer, gv)
				var want, got bytes.Buffer
				if err := encoder.Encode(plain, &want); err != nil {
					t.Fatalf("%s as %s: %v", name, form, err)
				}
				if err := encoder.Encode(stored, &got); err != nil {
					t.Fatalf("%s as %s from stored bytes: %v", name, form, err)
				}
				if !bytes.Equal(want.Bytes(), got.Bytes()) {
					t.Errorf("%s as %s differs (-encoder +stored):\n%s", name, form, cmp.Diff(want.String(), got.String()))
				}
			}
		}
	}
}
