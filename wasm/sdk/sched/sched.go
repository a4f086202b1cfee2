// Package sched makes a Go program a scheduling strategy at level L1: the author says
// how good one node is for one pod, and the default strategy, compiled in, does the
// rest: it filters, breaks ties, and places identical pods as one class. It decides
// nothing itself. A guest has one thread; natively nothing here is safe for
// concurrent use.
package sched

import (
	"github.com/pintle-io/pintle/wasm/abi"
	sdk "github.com/pintle-io/pintle/wasm/sdk/scheduling"
	"github.com/pintle-io/pintle/wasm/strategies/scheduling"
)

// Pod is what is to be placed: its requests, where a pod that asks for nothing counts
// with the default request. CPU is in millicores, Memory in bytes.
type Pod struct {
	CPU, Memory int64
}

// Node is a node that the pod may go to, before it does. Free is what no pod asked for.
type Node struct {
	CPU, Memory, Pods             int64
	FreeCPU, FreeMemory, FreePods int64
}

// MostScore is the highest score; what is above counts as it, and what is negative as 0.
const MostScore = 100

// OnScore makes f the strategy of this program: the nodes that pass all filters are
// ranked by it first, and those that it scores alike, or nearly so, by the scores of
// the default strategy. It must answer the same for the same pod and node.
func OnScore(f func(p *Pod, n Node) int64) { sdk.OnPlace(Placer(f)) }

// Placer is the strategy that OnScore makes, for tests of whole placements.
func Placer(f func(p *Pod, n Node) int64) *scheduling.Strategy {
	return &scheduling.Strategy{Prefer: func(v *abi.View, c *abi.Class) func(row int) int64 {
		pod, nodes := &Pod{CPU: c.ScoreCPU, Memory: c.ScoreMemory}, columnsOf(v)
		return func(row int) int64 {
			return min(max(f(pod, nodes.node(row)), 0), MostScore) * (scheduling.MostPreference / MostScore)
		}
	}}
}

// columns are those that a Node is made of; to find one costs more than to read it.
type columns struct{ cpu, memory, pods, freeCPU, freeMemory, freePods []int64 }

func columnsOf(v *abi.View) *columns {
	at := func(k abi.Kind, slot int) []int64 {
		if column := v.I64(k.Column(slot)); column != nil {
			return column
		}
		return make([]int64, v.Rows)
	}
	return &columns{
		at(abi.Alloc, abi.SlotCPU), at(abi.Alloc, abi.SlotMemory), at(abi.Alloc, abi.SlotPods),
		at(abi.Free, abi.SlotCPU), at(abi.Free, abi.SlotMemory), at(abi.Free, abi.SlotPods),
	}
}

func (c *columns) node(row int) Node {
	return Node{c.cpu[row], c.memory[row], c.pods[row], c.freeCPU[row], c.freeMemory[row], c.freePods[row]}
}
