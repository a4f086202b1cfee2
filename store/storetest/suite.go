// Package storetest is the contract of a storage backend. Every backend passes all
// of it, against whatever its test hands over:
//
//   - Run: upstream's own tests of storage.Interface, all of them;
//   - Model: random calls against a model that keeps every state there ever was:
//     preconditions, lists at a revision and in pages, watches from any revision,
//     compaction, copies;
//   - Linear: histories of many goroutines, checked to be linearizable key by key,
//     with every list and every watch compared with what was committed.
//
// It knows of no backend. crashfs, below it, is for those that keep files.
package storetest

import (
	"context"
	"testing"

	"k8s.io/apimachinery/pkg/api/apitesting"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apiserver/pkg/apis/example"
	examplev1 "k8s.io/apiserver/pkg/apis/example/v1"
	"k8s.io/apiserver/pkg/storage"
	storagetesting "k8s.io/apiserver/pkg/storage/testing"
	"k8s.io/apiserver/pkg/storage/value"
)

// Prefix is the key prefix of the resource under test.
const Prefix = "/pods/"

// ValuePrefix is what the transformer of the tests puts before each value.
const ValuePrefix = "test!"

// Backend is a fresh storage of example.Pod.
type Backend struct {
	storage.Interface
	// Compact forgets history below a resource version. Upstream's tests count
	// on it raising the revision by one, as its own compactor does.
	Compact storagetesting.Compaction
	// IncreaseRV raises the revision without touching the pods.
	IncreaseRV storagetesting.IncreaseRVFunc
	// Stored returns the bytes on disk of a key.
	Stored func(t *testing.T, key string) []byte
	// SetTransformer replaces the transformer, and makes the backend read what
	// it has in memory again through the new one.
	SetTransformer func(value.Transformer)
	// Reload makes the backend read what it has in memory again.
	Reload func()
	// Copy makes a backend of its own of a snapshot of this one, which Close
	// closes; nil where there is none.
	Copy  func(t *testing.T) *Backend
	Close func()
	// Corrupt makes of err one by which the backend knows a corrupt object.
	Corrupt func(err error) error
}

// Config is what a Backend is to be opened with.
type Config struct {
	Codec       runtime.Codec
	Transformer value.Transformer
	NewFunc     func() runtime.Object
	NewListFunc func() runtime.Object
}

// Open makes a fresh Backend that is closed with the test. Periodic bookmarks
// for ListOptions.ProgressNotify come at least every second.
type Open func(t *testing.T, cfg Config) *Backend

// Codec is the codec of the example API group.
func Codec(t testing.TB) runtime.Codec {
	t.Helper()
	scheme := runtime.NewScheme()
	metav1.AddToGroupVersion(scheme, metav1.SchemeGroupVersion)
	if err := example.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	if err := examplev1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	return apitesting.TestCodec(serializer.NewCodecFactory(scheme), examplev1.SchemeGroupVersion)
}

// DefaultConfig is the configuration most tests use.
func DefaultConfig(t testing.TB) Config {
	return Config{
		Codec:       Codec(t),
		Transformer: storagetesting.NewPrefixTransformer([]byte(ValuePrefix), false),
		NewFunc:     func() runtime.Object { return &example.Pod{} },
		NewListFunc: func() runtime.Object { return &example.PodList{} },
	}
}

// Run runs the whole contract.
func Run(t *testing.T, open Open) {
	t.Run("Write", func(t *testing.T) { runWrite(t, open) })
	t.Run("Unreadable", func(t *testing.T) { runUnreadable(t, open) })
	t.Run("Read", func(t *testing.T) { runRead(t, open) })
	t.Run("Watch", func(t *testing.T) { runWatch(t, open) })
}

// fixture is a Backend with what upstream's tests ask of one.
type fixture struct {
	*Backend
	cfg         Config
	transformer *storagetesting.PrefixTransformer
}

func newFixture(t *testing.T, open Open) *fixture {
	cfg := DefaultConfig(t)
	return &fixture{Backend: open(t, cfg), cfg: cfg, transformer: cfg.Transformer.(*storagetesting.PrefixTransformer)}
}

// UpdatePrefixTransformer implements storagetesting.InterfaceWithPrefixTransformer.
func (f *fixture) UpdatePrefixTransformer(modify storagetesting.PrefixTransformerModifier) func() {
	changed := *f.transformer
	f.SetTransformer(modify(&changed))
	return func() { f.SetTransformer(f.transformer) }
}

// UpdateTransformer implements storagetesting.InterfaceWithTransformerOverride.
func (f *fixture) UpdateTransformer(modify storagetesting.TransformerModifier) func() {
	f.SetTransformer(modify(f.transformer))
	return func() { f.SetTransformer(f.transformer) }
}

// checkStored verifies that stored objects carry no resource version.
func (f *fixture) checkStored(_ context.Context, t *testing.T, key string) {
	t.Helper()
	raw := f.Stored(t, key)
	if len(raw) < len(ValuePrefix) {
		t.Fatalf("nothing stored at %s", key)
	}
	obj, err := runtime.Decode(f.cfg.Codec, raw[len(ValuePrefix):])
	if err != nil {
		t.Fatalf("stored bytes of %s: %v", key, err)
	}
	if pod := obj.(*example.Pod); pod.ResourceVersion != "" || pod.SelfLink != "" {
		t.Errorf("stored object has resourceVersion %q, selfLink %q", pod.ResourceVersion, pod.SelfLink)
	}
}

// anyCalls accepts any number of reads: that is not part of the contract.
func anyCalls(*testing.T, uint64, uint64) {}
