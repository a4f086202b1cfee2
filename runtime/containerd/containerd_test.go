package containerd

import (
	"log/slog"
	"os"
	"testing"

	"github.com/pintle-io/pintle/runtime/container"
	"github.com/pintle-io/pintle/runtime/container/containertest"
)

const testImage = "docker.io/library/busybox:test"

// newRuntime connects to a fresh containerd that has the busybox image.
func newRuntime(t *testing.T) (*Runtime, Config) {
	t.Helper()
	cfg := Config{Address: containertest.StartContainerd(t), Namespace: "test", StateDir: t.TempDir(), Logger: slog.New(slog.NewTextHandler(os.Stderr, nil))}
	r := open(t, cfg)
	f, err := os.Open(containertest.Archive(t, "busybox:test", containertest.BusyboxImage(t)))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := r.ImportImages(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	return r, cfg
}

func open(t *testing.T, cfg Config) *Runtime {
	t.Helper()
	r, err := New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

func TestContract(t *testing.T) {
	r, cfg := newRuntime(t)
	containertest.Run(t, func(*testing.T) containertest.Harness {
		return containertest.Harness{Runtime: r, Image: testImage, Restart: func(*testing.T) container.Runtime {
			r.Close()
			r = open(t, cfg)
			return r
		}}
	})
}
