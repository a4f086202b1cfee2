package host

import (
	"context"
	"encoding/binary"
	"log/slog"

	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/sys"
)

const (
	logModule  = "pintle/v1"
	wasiModule = "wasi_snapshot_preview1"

	// logBytes is what a guest may log in one call of the host.
	logBytes = 16 << 10
	// hostCallFuel is charged for any host call, logFuel more per byte logged.
	hostCallFuel = 200
	logFuel      = 4
)

// WASI error numbers.
const (
	errnoSuccess = 0
	errnoBadf    = 8
	errnoFault   = 21
	errnoInval   = 28
)

type wasiFunction struct {
	params []api.ValueType
	call   func(g *guest, mem api.Memory, stack []uint64) uint32
}

var (
	i32 = api.ValueTypeI32
	i64 = api.ValueTypeI64
)

func i32s(n int) []api.ValueType {
	types := make([]api.ValueType, n)
	for i := range types {
		types[i] = i32
	}
	return types
}

// wasi is the part of WASI that the Go runtime imports, deterministic and with
// nothing behind it: no arguments, no environment, no files, a clock that ticks
// when it is read, and random numbers that are the same in every instance.
var wasi = map[string]wasiFunction{
	"args_get":            {i32s(2), succeed},
	"args_sizes_get":      {i32s(2), zeroSizes},
	"environ_get":         {i32s(2), succeed},
	"environ_sizes_get":   {i32s(2), zeroSizes},
	"clock_time_get":      {[]api.ValueType{i32, i64, i32}, clockTimeGet},
	"fd_write":            {i32s(4), fdWrite},
	"fd_close":            {i32s(1), badFile},
	"fd_fdstat_get":       {i32s(2), badFile},
	"fd_fdstat_set_flags": {i32s(2), badFile},
	"fd_prestat_get":      {i32s(2), badFile},
	"fd_prestat_dir_name": {i32s(3), badFile},
	"poll_oneoff":         {i32s(4), pollOneoff},
	"proc_exit":           {i32s(1), procExit},
	"random_get":          {i32s(2), randomGet},
	"sched_yield":         {nil, succeed},
}

// link instantiates the host's side of all imports.
func (r *Runtime) link(ctx context.Context) error {
	b := r.wazero.NewHostModuleBuilder(wasiModule)
	for name, f := range wasi {
		results := i32s(1)
		if name == "proc_exit" {
			results = nil
		}
		b.NewFunctionBuilder().WithGoModuleFunction(api.GoModuleFunc(
			func(ctx context.Context, mod api.Module, stack []uint64) {
				g := guestFrom(ctx)
				g.charge(hostCallFuel)
				n := f.call(g, mod.Memory(), stack)
				if len(results) > 0 {
					stack[0] = uint64(n)
				}
			}), f.params, results).Export(name)
	}
	if _, err := b.Instantiate(ctx); err != nil {
		return err
	}
	_, err := r.wazero.NewHostModuleBuilder(logModule).NewFunctionBuilder().WithGoModuleFunction(
		api.GoModuleFunc(func(ctx context.Context, mod api.Module, stack []uint64) {
			g := guestFrom(ctx)
			g.charge(hostCallFuel)
			level := min(int32(uint32(stack[0])), 3)
			if text, ok := mod.Memory().Read(uint32(stack[1]), uint32(stack[2])); ok {
				g.log([]slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError}[max(level, 0)], text)
			}
		}), i32s(3), nil).Export("log").Instantiate(ctx)
	return err
}

func succeed(*guest, api.Memory, []uint64) uint32 { return errnoSuccess }
func badFile(*guest, api.Memory, []uint64) uint32 { return errnoBadf }

func zeroSizes(_ *guest, mem api.Memory, stack []uint64) uint32 {
	if !mem.WriteUint32Le(uint32(stack[0]), 0) || !mem.WriteUint32Le(uint32(stack[1]), 0) {
		return errnoFault
	}
	return errnoSuccess
}

func clockTimeGet(g *guest, mem api.Memory, stack []uint64) uint32 {
	g.clock += 1000
	if !mem.WriteUint64Le(uint32(stack[2]), g.clock) {
		return errnoFault
	}
	return errnoSuccess
}

func randomGet(g *guest, mem api.Memory, stack []uint64) uint32 {
	g.charge(int64(uint32(stack[1])))
	if g.fuel.Get() > 1<<63 {
		return errnoInval
	}
	buf, ok := mem.Read(uint32(stack[0]), uint32(stack[1]))
	if !ok {
		return errnoFault
	}
	for i := range buf {
		g.random ^= g.random << 13
		g.random ^= g.random >> 7
		g.random ^= g.random << 17
		buf[i] = byte(g.random >> 32)
	}
	return errnoSuccess
}

// fdWrite logs what the guest prints, which in Go is how a panic speaks.
func fdWrite(g *guest, mem api.Memory, stack []uint64) uint32 {
	fd, iovs, count, written := uint32(stack[0]), uint32(stack[1]), uint32(stack[2]), uint32(stack[3])
	if fd != 1 && fd != 2 {
		return errnoBadf
	}
	if count > 1024 {
		return errnoInval
	}
	total := uint32(0)
	for i := range count {
		at, ok1 := mem.ReadUint32Le(iovs + 8*i)
		size, ok2 := mem.ReadUint32Le(iovs + 8*i + 4)
		text, ok3 := mem.Read(at, size)
		if !ok1 || !ok2 || !ok3 {
			return errnoFault
		}
		g.log(slog.LevelWarn, text)
		total += size
	}
	if !mem.WriteUint32Le(written, total) {
		return errnoFault
	}
	return errnoSuccess
}

// pollOneoff lets every timer it is asked about fire at once, moving the guest's
// clock forward to it; other subscriptions fire with an error.
func pollOneoff(g *guest, mem api.Memory, stack []uint64) uint32 {
	in, out, count, result := uint32(stack[0]), uint32(stack[1]), uint32(stack[2]), uint32(stack[3])
	if count == 0 || count > 64 {
		return errnoInval
	}
	const subscription, event = 48, 32
	for i := range count {
		sub, ok := mem.Read(in+subscription*i, subscription)
		if !ok {
			return errnoFault
		}
		var ev [event]byte
		copy(ev[:8], sub[:8])
		ev[10] = sub[8]
		if sub[8] == 0 {
			timeout := min(binary.LittleEndian.Uint64(sub[24:]), 1<<40)
			if sub[40]&1 != 0 { // absolute time
				g.clock = max(g.clock, timeout)
			} else {
				g.clock += timeout
			}
		} else {
			binary.LittleEndian.PutUint16(ev[8:], errnoBadf)
		}
		if !mem.Write(out+event*i, ev[:]) {
			return errnoFault
		}
	}
	if !mem.WriteUint32Le(result, count) {
		return errnoFault
	}
	return errnoSuccess
}

// procExit unwinds the guest; the caller sees an error.
func procExit(_ *guest, _ api.Memory, stack []uint64) uint32 {
	panic(sys.NewExitError(uint32(stack[0])))
}
