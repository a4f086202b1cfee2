// Package host runs strategies: it meters and compiles Wasm modules with wazero,
// gives them memory and fuel within limits, and speaks the contract of wasm/abi
// with them. A module is never trusted: it links to nothing but a log function and
// a shim of WASI without files, clock or entropy, and after any trap its instance
// is thrown away. What a module answers is checked for form here and for sense by
// the engine.
//
// Runtime and Module are safe for concurrent use; a Scheduler belongs to one
// goroutine. Compiled guest code cannot be preempted, so every call is bounded by
// fuel; contexts do not stop guests.
package host

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/pintle-io/pintle/wasm/meter"
)

// Why a call did not end well. All of them mean that the instance is gone.
var (
	ErrFuel   = errors.New("strategy ran out of fuel")
	ErrDepth  = errors.New("strategy called too deep")
	ErrTrap   = errors.New("strategy trapped")
	ErrAnswer = errors.New("strategy gave an unusable answer")
)

// MemoryPages is the default cap on a guest's memory: 64 MiB.
const MemoryPages = 1024

// Config of a Runtime.
type Config struct {
	// CacheDir keeps compiled modules; it holds machine code, so nobody but the
	// engine may write there. Empty means that nothing is kept.
	CacheDir string
	// MemoryPages caps each guest's memory, in 64 KiB; 0 selects MemoryPages.
	MemoryPages uint32
	// Limits of modules; the zero value selects meter.DefaultLimits.
	Limits meter.Limits
	// Precompile, if set, is given each metered module before it is compiled in
	// this process; it may compile it elsewhere, into CacheDir, within limits
	// that this process cannot set for itself. Its error refuses the module.
	Precompile func(ctx context.Context, metered []byte) error
	Logger     *slog.Logger
}

// Runtime compiles modules and owns the compiled code.
type Runtime struct {
	config   Config
	wazero   wazero.Runtime
	cache    wazero.CompilationCache
	mappings *mappings
}

// New returns a runtime; Close releases it.
func New(ctx context.Context, c Config) (*Runtime, error) {
	if c.MemoryPages == 0 {
		c.MemoryPages = MemoryPages
	}
	if c.Limits == (meter.Limits{}) {
		c.Limits = meter.DefaultLimits()
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	cache := wazero.NewCompilationCache()
	if c.CacheDir != "" {
		var err error
		if cache, err = wazero.NewCompilationCacheWithDir(c.CacheDir); err != nil {
			return nil, fmt.Errorf("open compilation cache %s: %w", c.CacheDir, err)
		}
	}
	r := &Runtime{config: c, cache: cache, mappings: &mappings{}}
	r.wazero = wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfig().
		WithCoreFeatures(api.CoreFeaturesV2).
		WithMemoryLimitPages(c.MemoryPages).
		WithCompilationCache(cache).
		WithDebugInfoEnabled(false))
	if err := r.link(ctx); err != nil {
		return nil, errors.Join(err, r.Close(ctx))
	}
	return r, nil
}

// Close frees the compiled code. No guest may be running.
func (r *Runtime) Close(ctx context.Context) error {
	return errors.Join(r.wazero.Close(ctx), r.cache.Close(ctx), r.mappings.close())
}

// Module is a metered, compiled module.
type Module struct {
	Name    string
	Digest  string // "sha256:" and the digest of the module as it was given
	runtime *Runtime
	code    wazero.CompiledModule
	minor   atomic.Int32 // of the contract, as its first instance said
}

// ABI is the version of the contract that the module answers to, once an instance was
// started.
func (m *Module) ABI() string { return fmt.Sprintf("v1.%d", m.minor.Load()) }

// Close frees the compiled code. No instance may be left.
func (m *Module) Close(ctx context.Context) error { return m.code.Close(ctx) }

// Load checks, meters and compiles a module.
func (r *Runtime) Load(ctx context.Context, name string, module []byte) (*Module, error) {
	metered, err := meter.Rewrite(module, r.config.Limits)
	if err != nil {
		return nil, fmt.Errorf("load strategy %s: %w", name, err)
	}
	if unknown := r.unknown(metered.Imports); len(unknown) > 0 {
		return nil, fmt.Errorf("load strategy %s: %w: it imports %s, and a strategy may import only pintle/v1.log",
			name, meter.ErrRefused, strings.Join(unknown, ", "))
	}
	if r.config.Precompile != nil {
		if err := r.config.Precompile(ctx, metered.Module); err != nil {
			return nil, fmt.Errorf("compile strategy %s: %w", name, err)
		}
	}
	code, err := r.wazero.CompileModule(ctx, metered.Module)
	if err != nil {
		return nil, fmt.Errorf("compile strategy %s: %w", name, err)
	}
	// Compiling leaves a multiple of the module's size in garbage, in a process
	// that otherwise allocates little and would keep it for minutes.
	debug.FreeOSMemory()
	sum := sha256.Sum256(module)
	m := &Module{Name: name, Digest: "sha256:" + hex.EncodeToString(sum[:]), runtime: r, code: code}
	if err := m.checkExports(); err != nil {
		return nil, errors.Join(fmt.Errorf("load strategy %s: %w", name, err), code.Close(ctx))
	}
	return m, nil
}

// unknown lists imports that nothing will be linked to.
func (r *Runtime) unknown(imports []meter.Import) []string {
	var names []string
	for _, i := range imports {
		known := i.Module == logModule && i.Name == "log"
		if i.Module == wasiModule {
			_, known = wasi[i.Name]
		}
		if !known {
			names = append(names, i.Module+"."+i.Name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// checkExports looks for what every module must export.
func (m *Module) checkExports() error {
	if _, ok := m.code.ExportedMemories()["memory"]; !ok {
		return fmt.Errorf("%w: it does not export its memory as \"memory\"", meter.ErrRefused)
	}
	for _, f := range []struct {
		name            string
		params, results int
	}{{"alloc", 2, 1}, {"strategy_abi_v1", 0, 1}} {
		if err := m.checkFunction(f.name, f.params, f.results); err != nil {
			return err
		}
	}
	return nil
}

// checkFunction checks that an export exists and takes and returns i32s alone.
func (m *Module) checkFunction(name string, params, results int) error {
	def, ok := m.code.ExportedFunctions()[name]
	if !ok {
		return fmt.Errorf("%w: it does not export %s", meter.ErrRefused, name)
	}
	i32 := func(t api.ValueType) bool { return t != api.ValueTypeI32 }
	if len(def.ParamTypes()) != params || len(def.ResultTypes()) != results ||
		slices.ContainsFunc(def.ParamTypes(), i32) || slices.ContainsFunc(def.ResultTypes(), i32) {
		return fmt.Errorf("%w: its export %s has the wrong signature", meter.ErrRefused, name)
	}
	return nil
}
