package meter_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/pintle-io/pintle/wasm/meter"
)

// module encodes a module with one memory page, one i64 global, a table, and the
// functions given, each of type (i32) -> i32 and exported as a, b, c ...
func module(bodies ...[]byte) []byte {
	section := func(id byte, content ...byte) []byte { return append(vector(id, len(content)), content...) }
	b := []byte{0, 'a', 's', 'm', 1, 0, 0, 0}
	b = append(b, section(1, 1, 0x60, 1, 0x7f, 1, 0x7f)...)
	functions, exports := []byte{byte(len(bodies))}, []byte{byte(len(bodies))}
	code := []byte{byte(len(bodies))}
	for i, body := range bodies {
		functions = append(functions, 0)
		exports = append(exports, 1, 'a'+byte(i), 0, byte(i))
		code = append(append(code, vector(byte(len(body)+1), 0)...), body...)
	}
	b = append(b, section(3, functions...)...)
	b = append(b, section(4, 1, 0x70, 0, 1)...)
	b = append(b, section(5, 1, 0, 1)...)
	b = append(b, section(6, 1, 0x7e, 1, 0x42, 0, 0x0b)...)
	b = append(b, section(7, exports...)...)
	return append(b, section(10, code...)...)
}

// vector is a byte followed by a length below 16384.
func vector(first byte, n int) []byte {
	if n < 128 {
		return []byte{first, byte(n)}
	}
	return []byte{first, byte(n) | 0x80, byte(n >> 7)}
}

type instance struct {
	t    *testing.T
	mod  api.Module
	fuel api.MutableGlobal
}

func instantiate(t *testing.T, b []byte) *instance {
	t.Helper()
	out, err := meter.Rewrite(b, meter.DefaultLimits())
	if err != nil {
		t.Fatal(err)
	}
	r := wazero.NewRuntime(t.Context())
	t.Cleanup(func() {
		if err := r.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
	mod, err := r.Instantiate(t.Context(), out.Module)
	if err != nil {
		t.Fatal(err)
	}
	return &instance{t, mod, mod.ExportedGlobal(meter.FuelGlobal).(api.MutableGlobal)}
}

// call returns the result and the fuel used.
func (i *instance) call(name string, fuel int64, arg uint64) (int32, int64, error) {
	i.fuel.Set(uint64(fuel))
	result, err := i.mod.ExportedFunction(name).Call(i.t.Context(), arg)
	used := fuel - int64(i.fuel.Get())
	if err != nil {
		return 0, used, err
	}
	return int32(uint32(result[0])), used, nil
}

var (
	// identity: local.get 0
	identity = []byte{0x20, 0, 0x0b}
	// endless: loop br 0 end, i32.const 0
	endless = []byte{0x03, 0x40, 0x0c, 0, 0x0b, 0x41, 0, 0x0b}
	// sum of 1..n: a local is not needed; uses the global as accumulator:
	// loop: global += n; n -= 1; br_if n; then wrap the global
	sum = []byte{
		0x03, 0x40, 0x23, 0, 0x20, 0, 0xad, 0x7c, 0x24, 0, 0x20, 0, 0x41, 1, 0x6b, 0x22, 0, 0x0d, 0, 0x0b,
		0x23, 0, 0xa7, 0x0b,
	}
	// recurse: if n return self(n-1)+1 else 0, with an early return
	recurse = []byte{0x20, 0, 0x45, 0x04, 0x40, 0x41, 0, 0x0f, 0x0b, 0x20, 0, 0x41, 1, 0x6b, 0x10, 0, 0x41, 1, 0x6a, 0x0b}
	// branch out of the function's own label from inside a block
	branch = []byte{0x02, 0x40, 0x20, 0, 0x20, 0, 0x0d, 1, 0x1a, 0x0b, 0x41, 0, 0x10, 0, 0x0b}
	// fill n bytes at 0
	fill = []byte{0x41, 0, 0x41, 7, 0x20, 0, 0xfc, 11, 0, 0x41, 1, 0x0b}
	// grow by n pages
	grow = []byte{0x20, 0, 0x40, 0, 0x0b}
	// table.grow by n
	growTable = []byte{0xd0, 0x70, 0x20, 0, 0xfc, 15, 0, 0x0b}
)

func TestBehaviourIsKept(t *testing.T) {
	for _, tc := range []struct {
		name      string
		body      []byte
		arg, want int32
	}{
		{"identity", identity, 42, 42},
		{"sum", sum, 100, 5050},
		{"fill", fill, 1000, 1},
		{"grow", grow, 2, 1},
		{"table", growTable, 3, 1},
	} {
		got, _, err := instantiate(t, module(tc.body)).call("a", 1e6, uint64(tc.arg))
		if err != nil || got != tc.want {
			t.Errorf("%s: %d, %v, want %d", tc.name, got, err, tc.want)
		}
	}
	i := instantiate(t, module(identity, branch))
	if got, _, err := i.call("b", 1e6, 9); err != nil || got != 9 {
		t.Errorf("branch: %d, %v", got, err)
	}
	if got, _, err := i.call("b", 1e6, 0); err != nil || got != 0 {
		t.Errorf("no branch: %d, %v", got, err)
	}
}

func TestFuelFollowsWork(t *testing.T) {
	i := instantiate(t, module(sum))
	_, ten, err := i.call("a", 1e9, 10)
	if err != nil {
		t.Fatal(err)
	}
	_, thousand, err := i.call("a", 1e9, 1000)
	if err != nil {
		t.Fatal(err)
	}
	perTurn := (thousand - ten) / 990
	if perTurn < 1 || ten+990*perTurn != thousand {
		t.Errorf("10 turns cost %d and 1000 cost %d: not the same for each", ten, thousand)
	}
}

func TestTrapOnEmpty(t *testing.T) {
	for name, body := range map[string][]byte{"loop": endless, "fill": fill, "grow": grow} {
		i := instantiate(t, module(body))
		_, used, err := i.call("a", 1000, 1<<16)
		if err == nil || used <= 1000 {
			t.Errorf("%s: used %d of 1000 fuel, %v", name, used, err)
		}
	}
}

func TestCallDepth(t *testing.T) {
	i := instantiate(t, module(recurse))
	if got, _, err := i.call("a", 1e9, 1500); err != nil || got != 1500 {
		t.Errorf("1500 deep: %d, %v", got, err)
	}
	for range 3 {
		if got, _, err := i.call("a", 1e9, 1000); err != nil || got != 1000 {
			t.Errorf("again: %d, %v: the depth is not counted down on every way out", got, err)
		}
	}
	_, used, err := i.call("a", 1e9, 1e6)
	depth := int32(uint32(i.mod.ExportedGlobal(meter.DepthGlobal).Get()))
	if err == nil || used > 1e6 || depth != meter.DefaultLimits().CallDepth+1 {
		t.Errorf("a million deep: used %d, depth %d, %v", used, depth, err)
	}
}

func TestTableCannotGrowPastItsLimit(t *testing.T) {
	got, _, err := instantiate(t, module(growTable)).call("a", 1e9, uint64(meter.DefaultLimits().TableSize))
	if err != nil || got != -1 {
		t.Errorf("table.grow returned %d, %v, want -1", got, err)
	}
}

func TestRefusals(t *testing.T) {
	for name, tc := range map[string]struct {
		module []byte
		want   string
	}{
		"reaches the fuel":     {module([]byte{0x42, 0, 0x24, 1, 0x41, 0, 0x0b}), "unknown global 1"},
		"reads the depth":      {module([]byte{0x23, 2, 0x0b}), "unknown global 2"},
		"unknown instruction":  {module([]byte{0xfe, 0, 0x0b}), "unknown instruction"},
		"code after the end":   {module([]byte{0x41, 0, 0x0b, 0x01}), "code after its end"},
		"no end":               {module([]byte{0x41, 0}), "no end"},
		"cut short":            {module(identity)[:30], "cut short"},
		"a second memory":      {module([]byte{0x41, 0, 0x28, 0x42, 0, 0, 0x0b}), "unknown instruction"},
		"instruction is short": {module([]byte{0x41, 0x80}), "cut short"},
	} {
		_, err := meter.Rewrite(tc.module, meter.DefaultLimits())
		if !errors.Is(err, meter.ErrRefused) || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want a refusal that says %q", name, err, tc.want)
		}
	}
	for name, tail := range map[string][]byte{
		// Found by fuzzing: 18 bytes made the decoder ask for 100 GB.
		"elements":      {9, 8, 0xb3, 0xb3, 0xb3, 0xb3, 5, 0xff, 0xff, 5},
		"element items": {9, 9, 1, 0, 0x41, 0, 0x0b, 0xff, 0xff, 0xff, 0x7f},
		"data segments": {11, 5, 0xff, 0xff, 0xff, 0xff, 7},
		"data bytes":    {11, 8, 1, 1, 0xff, 0xff, 0xff, 0xff, 7, 0},
		"memories":      {5, 5, 0xff, 0xff, 0xff, 0xff, 7},
		"globals":       {6, 5, 0xff, 0xff, 0xff, 0xff, 7},
		"types":         {1, 5, 0xff, 0xff, 0xff, 0xff, 7},
		"parameters":    {1, 7, 1, 0x60, 0xff, 0xff, 0xff, 0xff, 7},
	} {
		b := append([]byte{0, 'a', 's', 'm', 1, 0, 0, 0}, tail...)
		if _, err := meter.Rewrite(b, meter.DefaultLimits()); !errors.Is(err, meter.ErrRefused) {
			t.Errorf("a vector of too many %s: %v", name, err)
		}
	}
	limits := meter.DefaultLimits()
	limits.BodyBytes = 2
	if _, err := meter.Rewrite(module(identity), limits); !errors.Is(err, meter.ErrRefused) {
		t.Errorf("a body over the limit: %v", err)
	}
}

func FuzzRewrite(f *testing.F) {
	for _, body := range [][]byte{identity, endless, sum, recurse, fill, grow, growTable} {
		f.Add(module(body))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		out, err := meter.Rewrite(b, meter.DefaultLimits())
		if err != nil {
			return
		}
		r := wazero.NewRuntimeWithConfig(t.Context(), wazero.NewRuntimeConfigInterpreter())
		defer func() { _ = r.Close(t.Context()) }()
		_, plain := r.CompileModule(t.Context(), b)
		_, metered := r.CompileModule(t.Context(), out.Module)
		if plain == nil && metered != nil {
			t.Errorf("valid before metering, then not: %v", metered)
		}
	})
}
