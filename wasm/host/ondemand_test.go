package host_test

import (
	"sync"
	"testing"
	"time"

	"github.com/pintle-io/pintle/wasm/host"
)

func newOnDemand(t *testing.T, rest time.Duration) *host.OnDemand {
	t.Helper()
	r, err := host.New(t.Context(), host.Config{CacheDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	module := guest(t, hostileCallModule)
	d, err := host.NewOnDemand(t.Context(), r, "echo", func() []byte { return module }, rest)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
		if err := r.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
	return d
}

func TestModuleRestsUnlessAsked(t *testing.T) {
	d := newOnDemand(t, time.Hour)
	if !d.Resting() {
		t.Error("the module is loaded before anything was asked")
	}
	want := d.Identity()
	if out, fuel, err := d.Call(t.Context(), 0, []byte(`"x"`)); err != nil || string(out) != `"x"` || fuel == 0 {
		t.Fatalf("%s, %d fuel, %v", out, fuel, err)
	}
	if d.Resting() {
		t.Error("the module rests within the hour")
	}
	if d.Identity() != want {
		t.Errorf("identity changed from %s to %s", want, d.Identity())
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if !d.Resting() {
		t.Error("the module is loaded after Close")
	}
	if _, _, err := d.Call(t.Context(), 0, nil); err == nil {
		t.Error("a closed module answers")
	}
}

func TestModuleGoesToRestBetweenCalls(t *testing.T) {
	d := newOnDemand(t, 0)
	var wait sync.WaitGroup
	for range 4 {
		wait.Go(func() {
			for range 5 {
				if out, _, err := d.Call(t.Context(), 0, []byte(`"x"`)); err != nil || string(out) != `"x"` {
					t.Errorf("%s, %v", out, err)
				}
			}
		})
	}
	wait.Wait()
	for !d.Resting() {
		select {
		case <-t.Context().Done():
			t.Fatal("the module stays")
		case <-time.After(time.Millisecond):
		}
	}
}
