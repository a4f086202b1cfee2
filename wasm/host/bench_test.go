package host_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/pintle-io/pintle/wasm/abi"
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
					pods, fuel := 0, uint64(0)
					for b.Loop() {
						answer, err := p.Place(b.Context(), s, batch)
						if err != nil {
							b.Fatal(err)
						}
						pods += len(answer.Results)
						fuel += answer.Fuel
					}
					b.ReportMetric(float64(pods)/b.Elapsed().Seconds(), "pods/s")
					b.ReportMetric(float64(fuel)/float64(b.Elapsed().Microseconds()), "fuel/us")
				})
			}
		}
	}
}
