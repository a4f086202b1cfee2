package host_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/pintle-io/pintle/wasm/abi"
	"github.com/pintle-io/pintle/wasm/host"
)

const schedulingModule = "github.com/pintle-io/pintle/wasm/strategies/scheduling/module"

var guests = struct {
	sync.Mutex
	built map[string][]byte
}{built: map[string][]byte{}}

// guest compiles a Go package to a module, once per test binary.
func guest(t testing.TB, pkg string) []byte {
	t.Helper()
	guests.Lock()
	defer guests.Unlock()
	if b, ok := guests.built[pkg]; ok {
		return b
	}
	out := filepath.Join(t.TempDir(), "guest.wasm")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-buildmode=c-shared", "-o", out, pkg)
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", pkg, err, text)
	}
	b, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	guests.built[pkg] = b
	return b
}

func newRuntime(t testing.TB) *host.Runtime {
	t.Helper()
	r, err := host.New(t.Context(), host.Config{CacheDir: cacheDir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
	return r
}

func newScheduler(t testing.TB, name string, module []byte) *host.Scheduler {
	t.Helper()
	m, err := newRuntime(t).Load(t.Context(), name, module)
	if err != nil {
		t.Fatal(err)
	}
	s, err := host.NewScheduler(m)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// cacheDir is shared by the tests of this package, so that each guest is compiled
// to machine code once.
var cacheDir string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "pintle-host-test")
	if err != nil {
		panic(err)
	}
	cacheDir = dir
	code := m.Run()
	if err := os.RemoveAll(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(code)
}

// uniform is a cluster of equal nodes in three zones, empty.
func uniform(nodes int) *abi.Snapshot {
	s := abi.NewSnapshot(nodes)
	ensureBase(s)
	s.Ensure(abi.Domain.Column(0), abi.U32)
	s.Ensure(abi.Domain.Column(1), abi.U32)
	s.Ensure(abi.Count.Column(0), abi.I32)
	for i := range nodes {
		s.U8(abi.Flags.Column(0))[i] = abi.RowPresent
		for slot, amount := range []int64{32000, 256 << 30, 0, 110} {
			s.I64(abi.Alloc.Column(slot))[i] = amount
			s.I64(abi.Free.Column(slot))[i] = amount
			if slot < 2 {
				s.I64(abi.ScoreFree.Column(slot))[i] = amount
			}
		}
		s.U32(abi.Domain.Column(0))[i] = uint32(1 + i%3)
		s.U32(abi.Domain.Column(1))[i] = uint32(1 + i)
		s.Touch(i)
	}
	return s
}

func ensureBase(s *abi.Snapshot) {
	s.Ensure(abi.Flags.Column(0), abi.U8)
	s.Ensure(abi.Taint.Column(0), abi.U64)
	s.Ensure(abi.SoftTaint.Column(0), abi.U64)
	for slot := range 4 {
		s.Ensure(abi.Alloc.Column(slot), abi.I64)
		s.Ensure(abi.Free.Column(slot), abi.I64)
		if slot < 2 {
			s.Ensure(abi.ScoreFree.Column(slot), abi.I64)
		}
	}
}

// plain is a class of pods that ask 100m and 100 MiB.
func plain(count int) abi.Class {
	return abi.Class{
		ClassHeader: abi.ClassHeader{Count: uint32(count), Node: abi.NoNode, ScoreCPU: 100, ScoreMemory: 100 << 20},
		Entries: []abi.Entry{
			{Op: abi.OpRequest, Column: abi.Free.Column(abi.SlotCPU), A: 100},
			{Op: abi.OpRequest, Column: abi.Free.Column(abi.SlotMemory), A: 100 << 20},
			{Op: abi.OpRequest, Column: abi.Free.Column(abi.SlotPods), A: 1},
			{Op: abi.OpTaint, Column: abi.Taint.Column(0), A: 1},
		},
	}
}

// drawn is a random small cluster with every kind of column.
func drawn(t *rapid.T) *abi.Snapshot {
	rows := rapid.IntRange(1, 150).Draw(t, "rows")
	s := abi.NewSnapshot(rows)
	ensureBase(s)
	for i := range 2 {
		s.Ensure(abi.Mask.Column(i), abi.Bits)
		s.Ensure(abi.Port.Column(i), abi.Bits)
		s.Ensure(abi.Domain.Column(i), abi.U32)
		s.Ensure(abi.Count.Column(i), abi.I32)
		s.Ensure(abi.Image.Column(i), abi.U8)
	}
	rng := rapid.Uint64().Draw(t, "cluster")
	next := func(n uint64) uint64 {
		rng ^= rng<<13 | 1
		rng ^= rng >> 7
		rng ^= rng << 17
		return rng % n
	}
	for i := range rows {
		s.U8(abi.Flags.Column(0))[i] = [...]uint8{1, 1, 1, 1, 3, 0}[next(6)]
		s.U64(abi.Taint.Column(0))[i] = []uint64{0, 0, 1, 6}[next(4)]
		s.U64(abi.SoftTaint.Column(0))[i] = next(8)
		for slot, unit := range []int64{500, 1 << 29, 1 << 20, 3} {
			alloc := unit * int64(1+next(8))
			free := alloc - unit/2*int64(next(16))
			s.I64(abi.Alloc.Column(slot))[i], s.I64(abi.Free.Column(slot))[i] = alloc, free
			if slot < 2 {
				s.I64(abi.ScoreFree.Column(slot))[i] = free - unit/4
			}
		}
		for c := range 2 {
			if next(2) == 0 {
				s.Bits(abi.Mask.Column(c))[i>>6] |= 1 << (i & 63)
			}
			if next(5) == 0 {
				s.Bits(abi.Port.Column(c))[i>>6] |= 1 << (i & 63)
			}
			s.U32(abi.Domain.Column(c))[i] = uint32(next([]uint64{4, uint64(rows) + 1}[c]))
			s.I32(abi.Count.Column(c))[i] = int32(next(3) / 2)
			s.U8(abi.Image.Column(c))[i] = uint8(next(101))
		}
		s.Touch(i)
	}
	return s
}

// drawnBatch is a random batch for a drawn cluster.
func drawnBatch(t *rapid.T, rows int) *abi.Batch {
	b := &abi.Batch{Seed: rapid.Uint64().Draw(t, "seed")}
	for range rapid.IntRange(1, 4).Draw(t, "classes") {
		b.Classes = append(b.Classes, drawnClass(t, rows))
	}
	return b
}

func drawnClass(t *rapid.T, rows int) abi.Class {
	ask := func(slot int, unit int64) int64 { return unit * rapid.Int64Range(0, 4).Draw(t, "ask") }
	cpu, memory := ask(abi.SlotCPU, 125), ask(abi.SlotMemory, 1<<27)
	c := abi.Class{ClassHeader: abi.ClassHeader{
		Count: rapid.Uint32Range(1, 40).Draw(t, "count"),
		Flags: rapid.Uint32Range(0, 1).Draw(t, "flags"),
		Node:  abi.NoNode, ScoreCPU: max(cpu, 100), ScoreMemory: max(memory, 200<<20),
	}}
	if rapid.IntRange(0, 19).Draw(t, "named") == 0 {
		c.Node = rapid.Int32Range(abi.NodeMissing, int32(rows)-1).Draw(t, "node")
	}
	add := func(e abi.Entry) { c.Entries = append(c.Entries, e) }
	maybe := func(name string, e abi.Entry) {
		if rapid.IntRange(0, 3).Draw(t, name) == 0 {
			add(e)
		}
	}
	add(abi.Entry{Op: abi.OpRequest, Column: abi.Free.Column(abi.SlotCPU), A: cpu})
	add(abi.Entry{Op: abi.OpRequest, Column: abi.Free.Column(abi.SlotMemory), A: memory})
	add(abi.Entry{Op: abi.OpRequest, Column: abi.Free.Column(abi.SlotPods), A: 1})
	maybe("taint", abi.Entry{Op: abi.OpTaint, Column: abi.Taint.Column(0), A: rapid.Int64Range(1, 7).Draw(t, "refused")})
	maybe("mask", abi.Entry{Op: abi.OpMask, Column: abi.Mask.Column(0)})
	if rapid.IntRange(0, 5).Draw(t, "port") == 0 {
		add(abi.Entry{Op: abi.OpPort, Column: abi.Port.Column(0)})
		add(abi.Entry{Op: abi.OpSetBit, Column: abi.Port.Column(0)})
	}
	maybe("soft", abi.Entry{Op: abi.OpSoftTaint, Column: abi.SoftTaint.Column(0), A: 7})
	maybe("prefer", abi.Entry{Op: abi.OpPreferMask, Column: abi.Mask.Column(1), A: 5})
	maybe("image", abi.Entry{Op: abi.OpImage, Column: abi.Image.Column(1)})
	for i := range 2 {
		domains := int64([]int{4, rows + 1}[i]) << 32
		self := rapid.Int64Range(0, 1).Draw(t, "self")
		col, key := abi.Count.Column(i), abi.Domain.Column(i)
		maybe("spread", abi.Entry{
			Op: abi.OpSpread, Column: col, Key: key, Mask: abi.Mask.Column(0) * abi.ID(self),
			A: rapid.Int64Range(1, 3).Draw(t, "skew") | rapid.Int64Range(0, 4).Draw(t, "least")<<32, B: domains | self,
		})
		maybe("soft spread", abi.Entry{Op: abi.OpSpreadSoft, Column: col, Key: key, A: 1, B: domains | self})
		maybe("near", abi.Entry{Op: abi.OpAffinity, Column: col, Key: key, A: self, B: domains})
		maybe("apart", abi.Entry{Op: abi.OpAntiAffinity, Column: col, Key: key, A: self, B: domains})
		maybe("rather", abi.Entry{
			Op: abi.OpPrefer, Column: col, Key: key, B: domains,
			A: rapid.Int64Range(-100, 100).Draw(t, "weight"),
		})
		if self == 1 {
			add(abi.Entry{Op: abi.OpAdd, Column: col, A: 1})
		}
	}
	return c
}
