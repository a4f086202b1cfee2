// Package meter rewrites WebAssembly modules so that they can be run without
// trust: every basic block takes from a fuel counter, and running dry traps; calls
// count their depth; bulk instructions pay by length. It also refuses, before
// anything is compiled, modules too large to compile safely. It neither compiles
// nor runs anything, holds no state and is safe for concurrent use.
//
// The rewriter adds two exported mutable globals (FuelGlobal, DepthGlobal) behind
// those of the module. It checks that the module refers to no global it did not
// declare itself, so the module cannot reach them. Everything else about validity
// is left to the compiler that gets the output.
//
// While a function runs its fuel is in a local (see body); the global is exact
// whenever the host can look, but for a trap other than running dry.
//
// Fuel is charged at the start of each straight run of instructions (function
// entry, after loop, if, else and end) for the whole run; a conditional branch out
// of it refunds nothing. The counter is tested where it must be to stop any
// endless execution: at loop heads, at the entry of functions that call, and
// before bulk instructions. Fuel is therefore the same in every run.
package meter

import (
	"errors"
	"fmt"
)

// Version identifies the charging rules; it changes when fuel figures change.
const Version = 1

// Names of the exports added to a module: an i64 that holds the fuel left
// (negative after running dry) and an i32 that holds the call depth.
const (
	FuelGlobal  = "pintle:fuel"
	DepthGlobal = "pintle:depth"
)

// ErrRefused wraps every reason for which a module is not accepted.
var ErrRefused = errors.New("module refused")

func refuse(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrRefused, fmt.Sprintf(format, args...))
}

// Limits bound what is handed to the compiler, and what the module may do.
type Limits struct {
	ModuleBytes int
	BodyBytes   int    // one function's code
	Locals      int    // of one function, parameters aside
	Nesting     int    // open blocks in one function
	Functions   int    // defined functions
	TableSize   uint32 // elements a table may ever hold
	CallDepth   int32
	// StartFuel is in the counter when the module is instantiated; it pays for
	// the start function.
	StartFuel int64
}

// DefaultLimits are those of the built-in host.
func DefaultLimits() Limits {
	return Limits{
		ModuleBytes: 8 << 20, BodyBytes: 64 << 10, Locals: 2000, Nesting: 10_000, Functions: 50_000,
		TableSize: 1 << 17, CallDepth: 2000, StartFuel: 200_000_000,
	}
}

// Import is a function that the module asks of its host.
type Import struct{ Module, Name string }

// Result is an accepted module.
type Result struct {
	Module  []byte // rewritten
	Imports []Import
}

// Rewrite meters the module. The input is not changed.
func Rewrite(module []byte, limits Limits) (Result, error) {
	if len(module) > limits.ModuleBytes {
		return Result{}, refuse("%d bytes, at most %d are allowed", len(module), limits.ModuleBytes)
	}
	m, err := parse(module)
	if err != nil {
		return Result{}, err
	}
	if err := m.check(limits); err != nil {
		return Result{}, err
	}
	out, err := m.rewrite(limits)
	if err != nil {
		return Result{}, err
	}
	return Result{Module: out, Imports: m.imports}, nil
}
