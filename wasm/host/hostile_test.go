package host_test

import (
	"errors"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pintle-io/pintle/wasm/abi"
	"github.com/pintle-io/pintle/wasm/host"
	"github.com/pintle-io/pintle/wasm/meter"
)

const hostileModule = "github.com/pintle-io/pintle/wasm/host/testdata/hostile"

func TestHostileGuestsAreContained(t *testing.T) {
	s := newScheduler(t, "hostile", guest(t, hostileModule))
	snap := uniform(100)
	ask := func(seed uint64) (abi.Answer, error) {
		return s.Place(t.Context(), snap, &abi.Batch{Seed: seed, Classes: []abi.Class{plain(3)}})
	}
	well := func() {
		t.Helper()
		if answer, err := ask(0); err != nil || len(answer.Results) != 3 || answer.Results[2].Node != 0 {
			t.Fatalf("after a failure: %+v, %v", answer, err)
		}
	}
	well()
	before := resident(t)
	for _, tc := range []struct {
		name string
		seed uint64
		want error
	}{
		{"endless loop", 1, host.ErrFuel},
		{"exponential calls", 2, host.ErrFuel},
		{"deep recursion", 3, nil}, // Go grows its stack, which takes fuel
		{"memory bomb", 4, nil},    // out of fuel or of memory, whichever comes first
		{"bulk fill", 5, host.ErrFuel},
		{"log flood", 6, host.ErrFuel},
		{"panic", 7, host.ErrTrap},
		{"exit", 8, host.ErrTrap},
		{"garbage output", 9, host.ErrAnswer},
		{"wild pointer", 10, host.ErrTrap},
		{"error code", 11, host.ErrAnswer},
		{"endless goroutine", 12, host.ErrFuel},
	} {
		t.Run(tc.name, func(t *testing.T) {
			start := time.Now()
			_, err := ask(tc.seed)
			took := time.Since(start)
			if err == nil || tc.want != nil && !errors.Is(err, tc.want) {
				t.Errorf("error %v, want %v", err, tc.want)
			}
			// Fuel for some milliseconds; the machine may be busy.
			if took > 250*time.Millisecond {
				t.Errorf("stopped after %v", took)
			}
			t.Logf("%v after %v", err, took)
			well()
		})
	}
	if grown := resident(t) - before; grown > 200<<20 {
		t.Errorf("resident memory grew by %d MiB", grown>>20)
	}
}

// resident is the anonymous resident memory of this process in bytes.
func resident(t *testing.T) int {
	t.Helper()
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Skip("needs /proc")
	}
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "RssAnon:" {
			kib, err := strconv.Atoi(f[1])
			if err != nil {
				t.Fatal(err)
			}
			return kib << 10
		}
	}
	t.Skip("no RssAnon")
	return 0
}

// importing is a module that does nothing but import one function.
func importing(module, name string) []byte {
	entry := append([]byte{1, byte(len(module))}, module...)
	entry = append(append(entry, byte(len(name))), name...)
	entry = append(entry, 0, 0)
	b := append([]byte{0, 'a', 's', 'm', 1, 0, 0, 0}, 1, 4, 1, 0x60, 0, 0) // type () -> ()
	return append(append(b, 2, byte(len(entry))), entry...)
}

func TestRefusedModules(t *testing.T) {
	r := newRuntime(t)
	for name, tc := range map[string]struct {
		module []byte
		want   string
	}{
		"not a module":    {[]byte("#!/bin/sh"), "not a WebAssembly"},
		"unknown import":  {importing("env", "system"), "it imports env.system"},
		"unknown of WASI": {importing("wasi_snapshot_preview1", "path_open"), "it imports wasi_snapshot_preview1.path_open"},
		"no exports":      {[]byte{0, 'a', 's', 'm', 1, 0, 0, 0}, `export its memory as "memory"`},
		"too large":       {make([]byte, 9<<20), "at most 8388608 are allowed"},
	} {
		_, err := r.Load(t.Context(), "m", tc.module)
		if !errors.Is(err, meter.ErrRefused) || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want a refusal that says %q", name, err, tc.want)
		}
	}
}

func BenchmarkEmptyCall(b *testing.B) {
	s := newScheduler(b, "scheduling", guest(b, schedulingModule))
	for b.Loop() {
		if err := s.EmptyCall(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkSpare is what a trap costs: the call, and the next instance.
func BenchmarkSpare(b *testing.B) {
	s := newScheduler(b, "hostile", guest(b, hostileModule))
	snap, batch := uniform(100), &abi.Batch{Seed: 7, Classes: []abi.Class{plain(1)}}
	for b.Loop() {
		if _, err := s.Place(b.Context(), snap, batch); !errors.Is(err, host.ErrTrap) {
			b.Fatal(err)
		}
	}
}
