package host_test

import (
	"context"
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"

	"github.com/pintle-io/pintle/wasm/abi"
	"github.com/pintle-io/pintle/wasm/meter"
	"github.com/pintle-io/pintle/wasm/strategies/scheduling"
)

type placer interface {
	Place(context.Context, *abi.Snapshot, *abi.Batch) (abi.Answer, error)
}

// BenchmarkPlace prints pods a second: every pod its own class (full scan), one
// class of 1,000, and the same with soft zone spread and hostname anti-affinity.
func BenchmarkPlace(b *testing.B) {
	spread := func(count int) abi.Class {
		c := plain(count)
		c.Entries = append(c.Entries,
			abi.Entry{Op: abi.OpSpreadSoft, Column: abi.Count.Column(0), Key: abi.Domain.Column(0), A: 1, B: 4<<32 | 1},
			abi.Entry{Op: abi.OpAdd, Column: abi.Count.Column(0), A: 1})
		return c
	}
	apart := func(nodes int) func(int) abi.Class {
		return func(count int) abi.Class {
			c := plain(count)
			c.Entries = append(c.Entries,
				abi.Entry{Op: abi.OpAntiAffinity, Column: abi.Count.Column(0), Key: abi.Domain.Column(1), B: int64(nodes+1) << 32},
				abi.Entry{Op: abi.OpAdd, Column: abi.Count.Column(0), A: 1})
			return c
		}
	}
	module := guest(b, schedulingModule)
	for _, nodes := range []int{1000, 5000, 15000} {
		for _, kind := range []struct {
			name  string
			class func(int) abi.Class
			count int
		}{
			{"scan", plain, 1}, {"class", plain, 1000}, {"zone-spread", spread, 100}, {"host-apart", apart(nodes), 100},
		} {
			for _, decider := range []struct {
				name string
				make func(testing.TB) placer
			}{
				{"native", func(testing.TB) placer { return &scheduling.Native{} }},
				{"wasm", func(t testing.TB) placer { return newScheduler(t, "scheduling", module) }},
			} {
				b.Run(fmt.Sprintf("%s/nodes=%d/%s", kind.name, nodes, decider.name), func(b *testing.B) {
					p, s := decider.make(b), uniform(nodes)
					batch := &abi.Batch{Classes: []abi.Class{kind.class(kind.count)}}
					if kind.count == 1 {
						for range 19 {
							batch.Classes = append(batch.Classes, kind.class(1))
						}
					}
					pods, fuel, start := 0, uint64(0), cpuTime()
					for b.Loop() {
						answer, err := p.Place(b.Context(), s, batch)
						if err != nil {
							b.Fatal(err)
						}
						pods += len(answer.Results)
						fuel += answer.Fuel
					}
					b.ReportMetric(float64(pods)/b.Elapsed().Seconds(), "pods/s")
					b.ReportMetric(float64(pods)/(cpuTime()-start).Seconds(), "pods/cpu-s")
					b.ReportMetric(float64(fuel)/float64(b.Elapsed().Microseconds()), "fuel/us")
				})
			}
		}
	}
}

// cpuTime is the processor time this process has had: unlike the wall clock it
// says something on a machine that is busy with other things.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkMetering runs the default strategy in a guest of its own with and without
// metering, one pod over 1,000 rows.
func BenchmarkMetering(b *testing.B) {
	plainModule := guest(b, "github.com/pintle-io/pintle/wasm/host/testdata/work")
	metered, err := meter.Rewrite(plainModule, meter.DefaultLimits())
	if err != nil {
		b.Fatal(err)
	}
	for name, module := range map[string][]byte{"plain": plainModule, "metered": metered.Module} {
		b.Run(name, func(b *testing.B) {
			r := wazero.NewRuntime(b.Context())
			defer func() { _ = r.Close(b.Context()) }()
			wasi_snapshot_preview1.MustInstantiate(b.Context(), r)
			if _, err := r.NewHostModuleBuilder("pintle/v1").NewFunctionBuilder().
				WithFunc(func(int32, int32, int32) {}).Export("log").Instantiate(b.Context()); err != nil {
				b.Fatal(err)
			}
			code, err := r.CompileModule(b.Context(), module)
			if err != nil {
				b.Fatal(err)
			}
			mod, err := r.InstantiateModule(b.Context(), code, wazero.NewModuleConfig().WithStartFunctions("_initialize"))
			if err != nil {
				b.Fatal(err)
			}
			work, fuel := mod.ExportedFunction("work"), mod.ExportedGlobal(meter.FuelGlobal)
			start, rounds := cpuTime(), 0
			for b.Loop() {
				if f, ok := fuel.(api.MutableGlobal); ok {
					f.Set(1 << 60)
				}
				if _, err := work.Call(b.Context(), 1000); err != nil {
					b.Fatal(err)
				}
				rounds++
			}
			b.ReportMetric(float64((cpuTime()-start).Nanoseconds())/float64(rounds), "cpu-ns/op")
		})
	}
}
