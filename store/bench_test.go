package store

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/storage"
	"k8s.io/client-go/kubernetes/scheme"

	corev1 "k8s.io/api/core/v1"
)

// configMaps opens the resource the benchmarks use: protobuf, as the server does.
func configMaps(t testing.TB, s *Store) *Resource {
	t.Helper()
	r, err := s.Resource(configMapConfig(t))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func configMapConfig(t testing.TB) ResourceConfig {
	return ResourceConfig{
		Prefix: "/configmaps", GroupResource: schema.GroupResource{Resource: "configmaps"},
		Codec:       protobufCodec(t),
		NewFunc:     func() runtime.Object { return &corev1.ConfigMap{} },
		NewListFunc: func() runtime.Object { return &corev1.ConfigMapList{} },
	}
}

func protobufCodec(t testing.TB) runtime.Codec {
	info, ok := runtime.SerializerInfoForMediaType(scheme.Codecs.SupportedMediaTypes(), runtime.ContentTypeProtobuf)
	if !ok {
		t.Fatal("no protobuf serializer")
	}
	return scheme.Codecs.CodecForVersions(info.Serializer, scheme.Codecs.UniversalDeserializer(), corev1.SchemeGroupVersion, corev1.SchemeGroupVersion)
}

func configMap(name string) *corev1.ConfigMap {
	return &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "default", UID: "uid"},
		Data:       map[string]string{"data": strings.Repeat("x", 1024)},
	}
}

// BenchmarkCreate creates ConfigMaps of 1 KiB on the real file system.
func BenchmarkCreate(b *testing.B) {
	for _, writers := range []int{1, 32, 256} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			r := configMaps(b, openStore(b, Options{}))
			inParallel(b, writers, func(i int) error {
				name := fmt.Sprintf("cm-%d", i)
				return r.Create(context.Background(), "/configmaps/default/"+name, configMap(name), &corev1.ConfigMap{}, 0)
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "creates/s")
		})
	}
}

// BenchmarkUpdate changes 1,000 ConfigMaps of 1 KiB again and again.
func BenchmarkUpdate(b *testing.B) {
	for _, writers := range []int{1, 32, 256} {
		b.Run(fmt.Sprintf("writers=%d", writers), func(b *testing.B) {
			r := configMaps(b, openStore(b, Options{}))
			fill(b, r, 1000)
			b.ResetTimer()
			inParallel(b, writers, func(i int) error {
				key := fmt.Sprintf("/configmaps/default/cm-%d", i%1000)
				return r.GuaranteedUpdate(context.Background(), key, &corev1.ConfigMap{}, false, nil,
					storage.SimpleUpdate(func(obj runtime.Object) (runtime.Object, error) {
						obj.(*corev1.ConfigMap).Data["n"] = fmt.Sprint(i)
						return obj, nil
					}), nil)
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "updates/s")
		})
	}
}

func inParallel(b *testing.B, workers int, do func(i int) error) {
	var next atomic.Int64
	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= b.N {
					return
				}
				if err := do(i); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
	b.StopTimer()
}

func fill(t testing.TB, r *Resource, n int) {
	t.Helper()
	var next atomic.Int64
	var group sync.WaitGroup
	for range 128 {
		group.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				name := fmt.Sprintf("cm-%d", i)
				if err := r.Create(context.Background(), "/configmaps/default/"+name, configMap(name), nil, 0); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
}

// BenchmarkLoad opens a store with 100,000 objects and reads them all.
func BenchmarkLoad(b *testing.B) {
	const objects = 100_000
	dir := b.TempDir()
	s, err := Open(dir, Options{})
	if err != nil {
		b.Fatal(err)
	}
	fill(b, configMaps(b, s), objects)
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	var opened, loaded time.Duration
	for b.Loop() {
		start := time.Now()
		s, err := Open(dir, Options{})
		if err != nil {
			b.Fatal(err)
		}
		r := configMaps(b, s)
		opened += time.Since(start)
		stats, err := r.Stats(context.Background())
		if err != nil || stats.ObjectCount != objects {
			b.Fatalf("%d objects, %v", stats.ObjectCount, err)
		}
		loaded += time.Since(start)
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(opened.Milliseconds())/float64(b.N), "open-ms")
	b.ReportMetric(float64(loaded.Milliseconds())/float64(b.N), "load-ms")
}

// BenchmarkOpen opens an empty directory.
func BenchmarkOpen(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		dir := b.TempDir()
		b.StartTimer()
		s, err := Open(dir, Options{})
		if err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
}

// BenchmarkWatch delivers each create to 200 watches that encode it.
func BenchmarkWatch(b *testing.B) {
	const watchers = 200
	r := configMaps(b, openStore(b, Options{}))
	codec := protobufCodec(b)
	var group sync.WaitGroup
	for range watchers {
		w, err := r.Watch(WithSharedEncodings(b.Context()), "/configmaps/", storage.ListOptions{Recursive: true, Predicate: storage.Everything})
		if err != nil {
			b.Fatal(err)
		}
		group.Go(func() {
			defer w.Stop()
			for range b.N {
				ev, ok := <-w.ResultChan()
				if !ok {
					b.Error("watch closed")
					return
				}
				if err := codec.Encode(ev.Object, io.Discard); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	b.ResetTimer()
	fill(b, r, b.N)
	group.Wait()
	b.ReportMetric(float64(b.N)*watchers/b.Elapsed().Seconds(), "events/s")
}

// BenchmarkList lists 10,000 objects.
func BenchmarkList(b *testing.B) {
	r := configMaps(b, openStore(b, Options{}))
	fill(b, r, 10_000)
	opts := storage.ListOptions{Recursive: true, Predicate: storage.Everything}
	b.Run("copies", func(b *testing.B) {
		for b.Loop() {
			var list corev1.ConfigMapList
			if err := r.GetList(context.Background(), "/configmaps/", opts, &list); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("shared", func(b *testing.B) {
		for b.Loop() {
			var list ObjectList
			if err := r.GetList(context.Background(), "/configmaps/", opts, &list); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("pages of 500", func(b *testing.B) {
		opts := opts
		opts.Predicate = storage.SelectionPredicate{
			Label: labels.Everything(), Field: fields.Everything(), GetAttrs: storage.DefaultNamespaceScopedAttr, Limit: 500,
		}
		for b.Loop() {
			for {
				var list corev1.ConfigMapList
				if err := r.GetList(context.Background(), "/configmaps/", opts, &list); err != nil {
					b.Fatal(err)
				}
				if opts.Predicate.Continue = list.Continue; list.Continue == "" {
					break
				}
			}
		}
	})
}
