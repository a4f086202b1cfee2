package store

import (
	"errors"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/storage"
)

// converting is a codec that asks somebody to convert what is in another version.
type converting struct {
	runtime.Codec
	version string
	convert func() error
}

func (c converting) Decode(data []byte, defaults *schema.GroupVersionKind, into runtime.Object) (runtime.Object, *schema.GroupVersionKind, error) {
	obj, gvk, err := c.Codec.Decode(data, defaults, into)
	if err != nil || gvk.Version == c.version {
		return obj, gvk, err
	}
	if err := c.convert(); err != nil {
		return nil, gvk, err
	}
	obj.(*unstructured.Unstructured).SetAPIVersion("example.com/" + c.version)
	return obj, gvk, nil
}

func customResource(t *testing.T, s *Store, version string, convert func() error) *Resource {
	t.Helper()
	newFunc := func() runtime.Object {
		return &unstructured.Unstructured{Object: map[string]any{"apiVersion": "example.com/" + version, "kind": "Thing"}}
	}
	r, err := s.Resource(ResourceConfig{
		Prefix: "/example.com/things", GroupResource: schema.GroupResource{Group: "example.com", Resource: "things"},
		Codec:   converting{unstructured.UnstructuredJSONScheme, version, convert},
		NewFunc: newFunc, NewListFunc: func() runtime.Object { return &unstructured.UnstructuredList{} },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Stop)
	return r
}

// A converter that does not answer must not hold up those who write, and one that
// answered wrongly is asked again.
func TestConversionsAreForReaders(t *testing.T) {
	s := openStore(t, Options{})
	ctx := t.Context()
	asked, answer := make(chan struct{}, 100), make(chan error)
	old := customResource(t, s, "v1", nil)
	converted := customResource(t, s, "v2", func() error { asked <- struct{}{}; return <-answer })
	list := &unstructured.UnstructuredList{}
	everything := storage.ListOptions{Predicate: storage.Everything, Recursive: true}
	if err := converted.GetList(ctx, "/example.com/things", everything, list); err != nil {
		t.Fatal(err) // the index of v2 is loaded and follows the writes below
	}
	watch, err := converted.Watch(ctx, "/example.com/things", storage.ListOptions{Predicate: storage.Everything, Recursive: true, ResourceVersion: list.GetResourceVersion()})
	if err != nil {
		t.Fatal(err)
	}
	defer watch.Stop()
	thing := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "example.com/v1", "kind": "Thing", "metadata": map[string]any{"name": "a"}}}
	// Both return while the converter is still asked about the first.
	for _, name := range []string{"a", "b"} {
		thing.SetName(name)
		if err := old.Create(ctx, "/example.com/things/"+name, thing.DeepCopy(), &unstructured.Unstructured{}, 0); err != nil {
			t.Fatal(err)
		}
	}
	<-asked
	for range 2 {
		answer <- nil
		if ev := <-watch.ResultChan(); ev.Object.(*unstructured.Unstructured).GetAPIVersion() != "example.com/v2" {
			t.Errorf("the watch saw %v", ev.Object)
		}
	}
	if err := converted.GetList(ctx, "/example.com/things", everything, list); err != nil || len(list.Items) != 2 {
		t.Errorf("a list of what was converted before: %v, %v", list.Items, err)
	}
	get := func() error {
		return converted.Get(ctx, "/example.com/things/a", storage.GetOptions{}, &unstructured.Unstructured{})
	}
	for _, want := range []error{errors.New("the bridge is out"), nil} {
		go func() { answer <- want }()
		if err := get(); (err == nil) != (want == nil) || err != nil && !strings.Contains(err.Error(), want.Error()) {
			t.Errorf("get: %v, want %v", err, want)
		}
	}
}
