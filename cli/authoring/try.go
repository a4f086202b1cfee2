package authoring

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/pintle-io/pintle/wasm/abi"
	"github.com/pintle-io/pintle/wasm/abi/rollout"
	"github.com/pintle-io/pintle/wasm/abi/scaling"
	"github.com/pintle-io/pintle/wasm/host"
)

// Trial is how a module did in the sandbox.
type Trial struct {
	Digest, ABI string
	Bytes       int
	// Took and Fuel are of each call, in ascending order; Budget is the fuel that a
	// call may use.
	Took   []time.Duration
	Fuel   []uint64
	Budget uint64
}

// Quantile is the value below which the share q of sorted values is.
func Quantile[T any](sorted []T, q float64) T {
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}

// asker asks a module one question, and says what fuel it used.
type asker func() (fuel uint64, err error)

// Try loads the module as the server does and asks it calls times: to place a pod on
// one of so many nodes, or for the replicas or the next step of an ordinary workload.
func (p *Project) Try(ctx context.Context, nodes, calls int) (*Trial, error) {
	module, err := os.ReadFile(p.Module())
	if err != nil {
		return nil, fmt.Errorf("read the module, which `pintle strategy build` makes: %w", err)
	}
	config := host.Config{}
	if p.Type != "Scheduling" {
		config.MemoryPages = host.JSONMemoryPages
	}
	runtime, err := host.New(ctx, config)
	if err != nil {
		return nil, err
	}
	trial, err := p.tryIn(ctx, runtime, module, nodes, calls)
	return trial, errors.Join(err, runtime.Close(ctx))
}

func (p *Project) tryIn(ctx context.Context, runtime *host.Runtime, raw []byte, nodes, calls int) (*Trial, error) {
	module, err := runtime.Load(ctx, p.Name, raw)
	if err != nil {
		return nil, err
	}
	t := &Trial{Digest: module.Digest, Bytes: len(raw)}
	ask, end, err := p.asker(ctx, t, module, nodes)
	if err != nil {
		return nil, errors.Join(err, module.Close(ctx))
	}
	t.ABI = module.ABI()
	for range calls {
		began := time.Now()
		fuel, err := ask()
		if err != nil {
			return nil, errors.Join(err, end(), module.Close(ctx))
		}
		t.Took, t.Fuel = append(t.Took, time.Since(began)), append(t.Fuel, fuel)
	}
	slices.Sort(t.Took)
	slices.Sort(t.Fuel)
	return t, errors.Join(end(), module.Close(ctx))
}

func (p *Project) asker(ctx context.Context, t *Trial, module *host.Module, nodes int) (asker, func() error, error) {
	if p.Type == "Scheduling" {
		scheduler, err := host.NewScheduler(module)
		if err != nil {
			return nil, nil, err
		}
		snap, batch := cluster(nodes), onePod()
		for part := range batch.Parts(nodes) {
			t.Budget += host.PlaceFuel(part.Work)
		}
		return func() (uint64, error) {
			answer, err := scheduler.Place(ctx, snap, batch)
			// What the guest placed is taken back with the row.
			for _, r := range answer.Results {
				if err == nil && r.Node >= 0 {
					snap.Touch(int(r.Node))
				}
			}
			return answer.Fuel, err
		}, scheduler.Close, nil
	}
	caller, err := host.NewCaller(module)
	if err != nil {
		return nil, nil, err
	}
	op, question := p.question()
	raw, err := json.Marshal(question)
	if err != nil {
		return nil, nil, errors.Join(err, caller.Close())
	}
	t.Budget = host.CallFuel(len(raw))
	return func() (uint64, error) {
		_, fuel, err := caller.Call(ctx, op, raw)
		return fuel, err
	}, caller.Close, nil
}

// question is an ordinary one: an autoscaler with one pod under load, or a Deployment
// whose new set is to grow.
func (p *Project) question() (op int32, question any) {
	if p.Type == "Autoscaling" {
		half := int32(50)
		return scaling.OpDecide, &scaling.Request{
			Now: 1_700_000_000_000, Namespace: "default", Name: "web", Min: 1, Max: 10, Replicas: 1, Running: 1,
			DownTolerance: 0.1, UpTolerance: 0.1, DownWindow: 300_000,
			Metrics: []scaling.Metric{{Type: scaling.Resource, Name: "cpu", Utilization: &half}},
			Pods:    []scaling.Pod{{}},
		}
	}
	return rollout.OpStep, &rollout.Request{
		Now: 1_700_000_000_000, Namespace: "default", Name: "web", Kind: rollout.RollingUpdate,
		Replicas: 10, Surge: 3, Unavailable: 2, Total: 10,
		New: &rollout.Set{Name: "web-new", Hash: "new", Seen: true},
		Old: []rollout.Set{{Name: "web-old", Hash: "old", Size: 10, Pods: 10, Available: 10, Seen: true}},
	}
}

// cluster has nodes of 8 cores and 32 GiB that are more or less full.
func cluster(nodes int) *abi.Snapshot {
	const cores, memory, pods = 8000, 32 << 30, 110
	snap := abi.NewSnapshot(nodes)
	snap.Ensure(abi.Flags.Column(0), abi.U8)
	for _, kind := range []abi.Kind{abi.Alloc, abi.Free, abi.ScoreFree} {
		for slot := range abi.SlotExtended {
			snap.Ensure(kind.Column(slot), abi.I64)
		}
	}
	for row := range nodes {
		snap.U8(abi.Flags.Column(0))[row] = abi.RowPresent
		left := int64(1 + row%8)
		for kind, eighths := range map[abi.Kind]int64{abi.Alloc: 8, abi.Free: left, abi.ScoreFree: left} {
			snap.I64(kind.Column(abi.SlotCPU))[row] = cores * eighths / 8
			snap.I64(kind.Column(abi.SlotMemory))[row] = memory * eighths / 8
			snap.I64(kind.Column(abi.SlotPods))[row] = pods * eighths / 8
		}
		snap.Touch(row)
	}
	return snap
}

func onePod() *abi.Batch {
	const cpu, memory = 100, 200 << 20
	request := func(slot int, amount int64) abi.Entry {
		return abi.Entry{Op: abi.OpRequest, Column: abi.Free.Column(slot), A: amount}
	}
	return &abi.Batch{Seed: 1, Classes: []abi.Class{{
		ClassHeader: abi.ClassHeader{Count: 1, Node: abi.NoNode, ScoreCPU: cpu, ScoreMemory: memory},
		Entries:     []abi.Entry{request(abi.SlotCPU, cpu), request(abi.SlotMemory, memory), request(abi.SlotPods, 1)},
	}}}
}
