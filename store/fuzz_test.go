package store

import (
	"context"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apiserver/pkg/storage"

	"github.com/pintle-io/pintle/store/kv"
)

// Stored bytes that are damaged become an entry with an error, never a panic, and
// what can be read is what would be written again.
func FuzzStoredObject(f *testing.F) {
	r := configMaps(f, openStore(f, Options{}))
	good, err := r.encode(configMap("good"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(good[:len(good)/2])
	f.Add([]byte("k8s\x00"))
	f.Add([]byte(`{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"a"}}`))
	f.Add([]byte(`{"kind":"Pod","apiVersion":"v1"}`))
	f.Fuzz(func(t *testing.T, value []byte) {
		e := r.decodeEntry("/configmaps/default/a", value, kv.Head{ModRev: 7})
		if (e.err == nil) != (e.obj != nil) {
			t.Fatalf("object %v with error %v", e.obj, e.err)
		}
		if e.err != nil {
			return
		}
		again, err := r.encode(shallowCopy(e.obj))
		if err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		if obj, err := r.decode(again); err != nil || obj == nil {
			t.Errorf("what was written cannot be read: %v", err)
		}
	})
}

// A continue token or a revision from a client is a page or an error, and no token
// leads out of the resource.
func FuzzList(f *testing.F) {
	r := configMaps(f, openStore(f, Options{}))
	fill(f, r, 5)
	for _, key := range []string{"default/a", "../secrets/a", "", "\x00", "/"} {
		if token, err := storage.EncodeContinue("/configmaps/"+key, "/configmaps/", 3); err == nil {
			f.Add(token, "", int64(2))
		}
	}
	f.Add("eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6MSwic3RhcnQiOiIuLi9hIn0", "0", int64(1))
	f.Add("", "99999999999999999999", int64(-1))
	f.Fuzz(func(t *testing.T, token, revision string, limit int64) {
		list := &corev1.ConfigMapList{}
		err := r.GetList(context.Background(), "/configmaps", storage.ListOptions{
			Recursive: true, ResourceVersion: revision,
			Predicate: storage.SelectionPredicate{Label: labels.Everything(), Field: fields.Everything(), Limit: limit, Continue: token},
		}, list)
		if err == nil && len(list.Items) > 5 {
			t.Errorf("%d items, there are 5", len(list.Items))
		}
	})
}
