package host_test

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/pintle-io/pintle/wasm/host"
)

const hostileCallModule = "github.com/pintle-io/pintle/wasm/host/testdata/hostilecall"

func newCaller(t testing.TB, name string, module []byte) *host.Caller {
	t.Helper()
	m, err := newRuntime(t).Load(t.Context(), name, module)
	if err != nil {
		t.Fatal(err)
	}
	c, err := host.NewCaller(m)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func TestHostileCallsAreContained(t *testing.T) {
	c := newCaller(t, "hostile", guest(t, hostileCallModule))
	for name, tc := range map[string]struct {
		op   int32
		want error
	}{
		"endless loop":      {1, host.ErrFuel},
		"deep recursion":    {2, nil},
		"memory bomb":       {3, nil},
		"panic":             {4, host.ErrTrap},
		"exit":              {5, host.ErrTrap},
		"too long":          {6, host.ErrAnswer},
		"error text":        {7, host.ErrRefusal},
		"log flood":         {8, host.ErrFuel},
		"unknown operation": {99, host.ErrRefusal},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := c.Call(t.Context(), tc.op, []byte("{}"))
			if err == nil || tc.want != nil && !errors.Is(err, tc.want) {
				t.Errorf("error %v, want %v", err, tc.want)
			}
			out, fuel, err := c.Call(t.Context(), 0, []byte(`"again"`))
			if err != nil || string(out) != `"again"` || fuel == 0 {
				t.Errorf("afterwards: %s, %d fuel, %v", out, fuel, err)
			}
		})
	}
}

func TestCallsAreConcurrent(t *testing.T) {
	c := newCaller(t, "echo", guest(t, hostileCallModule))
	var wait sync.WaitGroup
	for i := range 8 {
		wait.Go(func() {
			want := strings.Repeat("a", 1000*i+1)
			for range 20 {
				if out, _, err := c.Call(t.Context(), 0, []byte(want)); err != nil || string(out) != want {
					t.Errorf("%d bytes, %v, want %d", len(out), err, len(want))
				}
			}
		})
	}
	wait.Wait()
}
