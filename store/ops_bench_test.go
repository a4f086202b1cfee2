package store

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/apis/example"

	"github.com/pintle-io/pintle/store/snapshot"
)

const benchObjects = 100_000

// benchPlace is a store of many pods of about a kilobyte.
func benchPlace(b *testing.B) (place, *Store) {
	b.Helper()
	p := newPlace(b)
	s := p.open(b)
	pods := resourceOf(b, s, "pods")
	work := make(chan int)
	done := make(chan error)
	const writers = 256
	for range writers {
		go func() {
			var failure error
			for i := range work {
				obj := &example.Pod{ObjectMeta: metav1.ObjectMeta{
					Name: fmt.Sprintf("pod-%06d", i), Namespace: "ns", Annotations: map[string]string{"filler": strings.Repeat("x", 900)},
				}}
				if err := pods.Create(b.Context(), "/pods/ns/"+obj.Name, obj, nil, 0); err != nil {
					failure = err
				}
			}
			done <- failure
		}()
	}
	for i := range benchObjects {
		work <- i
	}
	close(work)
	for range writers {
		if err := <-done; err != nil {
			b.Fatal(err)
		}
	}
	return p, s
}

// BenchmarkOperations measures what looks after 100,000 objects.
func BenchmarkOperations(b *testing.B) {
	p, s := benchPlace(b)
	b.Run("snapshot", func(b *testing.B) {
		for i := range b.N {
			if _, err := s.Snapshot(p.snapshots(), fmt.Sprintf("s%d-%d", b.N, i), false); err != nil {
				b.Fatal(err)
			}
		}
	})
	var file bytes.Buffer
	b.Run("export", func(b *testing.B) {
		for b.Loop() {
			file.Reset()
			if _, err := s.Export(b.Context(), &file, ExportOptions{}); err != nil {
				b.Fatal(err)
			}
		}
		b.SetBytes(int64(file.Len()))
		b.ReportMetric(float64(benchObjects*b.N)/b.Elapsed().Seconds(), "objects/s")
	})
	b.Run("import", func(b *testing.B) {
		for b.Loop() {
			to := newPlace(b)
			if err := os.WriteFile(to.keys(), mustRead(b, p.keys()), 0o600); err != nil {
				b.Fatal(err)
			}
			if _, err := ImportDir(b.Context(), to.store(), to.keys(), bytes.NewReader(file.Bytes())); err != nil {
				b.Fatal(err)
			}
		}
		b.SetBytes(int64(file.Len()))
		b.ReportMetric(float64(benchObjects*b.N)/b.Elapsed().Seconds(), "objects/s")
	})
	b.Run("verify", func(b *testing.B) {
		for b.Loop() {
			report, err := s.Verify(b.Context())
			if err != nil || len(report.Damages) > 0 {
				b.Fatal(report, err)
			}
		}
		b.SetBytes(int64(file.Len()))
		b.ReportMetric(float64(benchObjects*b.N)/b.Elapsed().Seconds(), "objects/s")
	})
	closeStore(b, s)
	all, err := snapshot.List(p.snapshots())
	if err != nil {
		b.Fatal(err)
	}
	b.Run("restore", func(b *testing.B) {
		for b.Loop() {
			if err := Restore(all[0], p.store()); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkSealing measures what encryption adds to a write and to a first read.
func BenchmarkSealing(b *testing.B) {
	s := newPlace(b).open(b)
	r := resourceOf(b, s, "secrets")
	data := bytes.Repeat([]byte("x"), 1024)
	sealed, err := r.toStorage(b.Context(), "/secrets/ns/a", data)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("write", func(b *testing.B) {
		b.SetBytes(1024)
		for b.Loop() {
			if _, err := r.toStorage(b.Context(), "/secrets/ns/a", data); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("read", func(b *testing.B) {
		b.SetBytes(1024)
		for b.Loop() {
			if _, _, err := r.fromStorage("/secrets/ns/a", sealed); err != nil {
				b.Fatal(err)
			}
		}
	})
}
