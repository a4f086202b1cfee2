package host

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"

	"github.com/pintle-io/pintle/wasm/meter"
)

// guest is one instance of a module. After a failed call it is dead: close is all
// that may be called.
type guest struct {
	module *Module
	ctx    context.Context // carries the guest to host functions
	inst   api.Module
	fuel   api.MutableGlobal
	depth  api.Global
	alloc  api.Function
	stack  [4]uint64

	clock  uint64
	random uint64
	logged int
}

type guestKey struct{}

func guestFrom(ctx context.Context) *guest {
	g, _ := ctx.Value(guestKey{}).(*guest)
	return g
}

// instantiate starts an instance and initialises its language runtime, on the
// module's start fuel.
func (m *Module) instantiate() (*guest, error) {
	g := &guest{module: m, random: 0x9e3779b97f4a7c15, clock: 1e9}
	g.ctx = context.WithValue(context.Background(), guestKey{}, g)
	g.ctx = experimental.WithMemoryAllocator(g.ctx, m.runtime.mappings)
	inst, err := m.runtime.wazero.InstantiateModule(g.ctx, m.code,
		wazero.NewModuleConfig().WithName("").WithStartFunctions())
	if err != nil {
		return nil, fmt.Errorf("instantiate strategy %s: %w", m.Name, shorten(err))
	}
	g.inst = inst
	g.fuel, _ = inst.ExportedGlobal(meter.FuelGlobal).(api.MutableGlobal)
	g.depth = inst.ExportedGlobal(meter.DepthGlobal)
	g.alloc = inst.ExportedFunction("alloc")
	if f := inst.ExportedFunction("_initialize"); f != nil {
		if _, _, err := g.call(f, m.runtime.config.Limits.StartFuel); err != nil {
			return nil, errors.Join(fmt.Errorf("initialise strategy %s: %w", m.Name, err), g.close())
		}
	}
	minor, _, err := g.call(inst.ExportedFunction("strategy_abi_v1"), smallCallFuel)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("ask strategy %s for its version: %w", m.Name, err), g.close())
	}
	m.minor.Store(int32(uint32(minor)))
	return g, nil
}

// smallCallFuel pays for calls that have nothing much to do; a Go guest may run
// its garbage collector in any of them.
const smallCallFuel = 20_000_000

func (g *guest) close() error { return g.inst.Close(g.ctx) }

// call runs f with the given fuel and returns its first result and what it used.
func (g *guest) call(f api.Function, fuel int64, args ...uint64) (result uint64, used int64, err error) {
	copy(g.stack[:], args)
	g.logged = 0
	g.fuel.Set(uint64(fuel))
	err = f.CallWithStack(g.ctx, g.stack[:])
	used = fuel - int64(g.fuel.Get())
	if err == nil {
		return g.stack[0], used, nil
	}
	switch {
	case used > fuel:
		return 0, fuel, fmt.Errorf("%w: limit %d", ErrFuel, fuel)
	case int32(uint32(g.depth.Get())) > g.module.runtime.config.Limits.CallDepth:
		return 0, used, fmt.Errorf("%w: limit %d", ErrDepth, g.module.runtime.config.Limits.CallDepth)
	}
	return 0, used, fmt.Errorf("%w: %w", ErrTrap, shorten(err))
}

// allocate asks the guest for memory and checks that what it gave is its own.
func (g *guest) allocate(size, align uint32) (uint32, error) {
	result, _, err := g.call(g.alloc, smallCallFuel+int64(size)/4, uint64(size), uint64(align))
	if err != nil {
		return 0, err
	}
	ptr := uint32(result)
	if _, ok := g.inst.Memory().Read(ptr, size); !ok || ptr == 0 || ptr%align != 0 {
		return 0, fmt.Errorf("%w: alloc of %d bytes returned %#x", ErrAnswer, size, ptr)
	}
	return ptr, nil
}

// charge takes fuel for a host call; the guest traps at its next test.
func (g *guest) charge(n int64) {
	if g.fuel != nil {
		g.fuel.Set(uint64(int64(g.fuel.Get()) - n))
	}
}

// log passes on what the guest says, within the limit of one call.
func (g *guest) log(level slog.Level, text []byte) {
	text = text[:min(len(text), logBytes-g.logged)]
	if len(text) == 0 {
		return
	}
	g.logged += len(text)
	g.charge(logFuel * int64(len(text)))
	g.module.runtime.config.Logger.Log(g.ctx, level, "strategy says", "strategy", g.module.Name,
		"text", strings.ToValidUTF8(strings.TrimRight(string(text), "\n"), "?"))
}

// shorten cuts the guest's stack trace off an error.
func shorten(err error) error {
	first, _, found := strings.Cut(err.Error(), "\n")
	if !found {
		return err
	}
	return errors.New(strings.TrimSuffix(first, " (recovered by wazero)"))
}
