package host

import (
	"context"
	"errors"
	"fmt"

	"github.com/tetratelabs/wazero/api"

	"github.com/pintle-io/pintle/wasm/abi"
)

// Fuel of a call: per unit of its work, several times what the default strategy
// needs, and what it may use regardless, because a Go guest may have to collect
// garbage. One fuel is about a third of a nanosecond.
const (
	workFuel = 100
	baseFuel = 5_000_000
)

// PlaceFuel is what a call may use that has this much work (see abi.Part).
func PlaceFuel(work int64) uint64 { return uint64(baseFuel + workFuel*work) }

// Scheduler places pods by asking a module at level L2. It keeps one instance
// whose memory holds a copy of the node columns and brings in only what changed,
// and a warm spare for the moment that instance fails. It belongs to one
// goroutine.
type Scheduler struct {
	module *Module
	active *attached
	spare  chan spare
	// results is the answer being put together.
	results []abi.Result
}

type spare struct {
	guest *guest
	err   error
}

// attached is a guest with the snapshot in its memory.
type attached struct {
	*guest
	attach, place   api.Function
	cursor          abi.Cursor
	image, imageLen uint32
	batch, batchCap uint32
	out, outCap     uint32
	buf             []byte
}

// NewScheduler checks that the module answers at level L2 and starts an instance.
func NewScheduler(m *Module) (*Scheduler, error) {
	err := errors.Join(m.checkFunction("sched_attach", 1, 1), m.checkFunction("sched_place", 3, 1))
	if err != nil {
		return nil, fmt.Errorf("use %s for scheduling: %w", m.Name, err)
	}
	s := &Scheduler{module: m, spare: make(chan spare, 1)}
	g, err := m.instantiate()
	if err != nil {
		return nil, err
	}
	s.activate(g)
	s.warm()
	return s, nil
}

// Identity is the module's name and, behind an @, its digest.
func (s *Scheduler) Identity() string { return s.module.Name + "@" + s.module.Digest }

// Close ends the instances.
func (s *Scheduler) Close() error {
	var errs []error
	if s.active != nil {
		errs = append(errs, s.active.close())
		s.active = nil
	}
	if sp := <-s.spare; sp.guest != nil {
		errs = append(errs, sp.guest.close())
	}
	return errors.Join(errs...)
}

// warm starts the next spare; exactly one is under way or waiting at any time.
func (s *Scheduler) warm() {
	go func() {
		g, err := s.module.instantiate()
		s.spare <- spare{g, err}
	}()
}

func (s *Scheduler) activate(g *guest) {
	s.active = &attached{
		guest:  g,
		attach: g.inst.ExportedFunction("sched_attach"),
		place:  g.inst.ExportedFunction("sched_place"),
	}
}

// Place answers the batch in calls of bounded length. After an error the instance
// is gone and the next Place gets the spare. The answer is valid until then.
func (s *Scheduler) Place(_ context.Context, snap *abi.Snapshot, b *abi.Batch) (abi.Answer, error) {
	if s.active == nil {
		next := <-s.spare
		s.warm()
		if next.err != nil {
			return abi.Answer{}, next.err
		}
		s.activate(next.guest)
	}
	answer, err := s.placeAll(snap, b)
	if err != nil {
		closing := s.active.close()
		s.active = nil
		return answer, errors.Join(err, closing)
	}
	return answer, nil
}

func (s *Scheduler) placeAll(snap *abi.Snapshot, b *abi.Batch) (abi.Answer, error) {
	a := s.active
	if err := a.sync(snap); err != nil {
		return abi.Answer{}, err
	}
	s.results = s.results[:0]
	answer := abi.Answer{}
	for part := range b.Parts(snap.Rows()) {
		results, fuel, err := a.placePart(part.Batch, part.Work)
		answer.Fuel += uint64(fuel)
		if err != nil {
			return answer, err
		}
		for _, r := range results {
			if r.Node < abi.NoNode || int(r.Node) >= snap.Rows() {
				return answer, fmt.Errorf("%w: node %d of %d", ErrAnswer, r.Node, snap.Rows())
			}
			a.cursor.Dirty(int(r.Node))
		}
		s.results = append(s.results, results...)
	}
	answer.Results = s.results
	return answer, nil
}

// sync brings the guest's copy of the snapshot up to date.
func (a *attached) sync(snap *abi.Snapshot) error {
	size := uint32(len(snap.Image()))
	fresh := !a.cursor.Current(snap)
	if fresh && size != a.imageLen {
		if err := a.reallocate(&a.image, &a.imageLen, size); err != nil {
			return err
		}
	}
	image, ok := a.inst.Memory().Read(a.image, size)
	if !ok {
		return fmt.Errorf("%w: its memory is gone", ErrAnswer)
	}
	snap.Sync(image, &a.cursor)
	if !fresh {
		return nil
	}
	code, _, err := a.call(a.attach, smallCallFuel+int64(size), uint64(a.image))
	if err == nil && uint32(code) != 0 {
		err = fmt.Errorf("%w: sched_attach returned %d", ErrAnswer, int32(uint32(code)))
	}
	return err
}

// reallocate replaces a buffer in the guest by one of the given size.
func (a *attached) reallocate(ptr, have *uint32, size uint32) error {
	if release := a.inst.ExportedFunction("release"); release != nil && *ptr != 0 &&
		a.module.checkFunction("release", 1, 0) == nil {
		if _, _, err := a.call(release, smallCallFuel, uint64(*ptr)); err != nil {
			return err
		}
	}
	p, err := a.allocate(size, abi.Align)
	if err != nil {
		return err
	}
	*ptr, *have = p, size
	return nil
}

// placePart is one call of sched_place.
func (a *attached) placePart(b abi.Batch, work int64) ([]abi.Result, int64, error) {
	pods := b.Pods()
	a.buf = b.Append(a.buf[:0])
	outLen := uint32(pods * abi.ResultSize)
	if n := uint32(len(a.buf)); n > a.batchCap {
		if err := a.reallocate(&a.batch, &a.batchCap, n+n/2); err != nil {
			return nil, 0, err
		}
	}
	if outLen > a.outCap {
		if err := a.reallocate(&a.out, &a.outCap, outLen+outLen/2); err != nil {
			return nil, 0, err
		}
	}
	if !a.inst.Memory().Write(a.batch, a.buf) {
		return nil, 0, fmt.Errorf("%w: its memory is gone", ErrAnswer)
	}
	code, fuel, err := a.call(a.place, int64(PlaceFuel(work)), uint64(a.batch), uint64(pods), uint64(a.out))
	if err != nil {
		return nil, fuel, err
	}
	if uint32(code) != 0 {
		return nil, fuel, fmt.Errorf("%w: sched_place returned %d", ErrAnswer, int32(uint32(code)))
	}
	raw, ok := a.inst.Memory().Read(a.out, outLen)
	if !ok {
		return nil, fuel, fmt.Errorf("%w: its memory is gone", ErrAnswer)
	}
	results := abi.Results(raw, pods)
	if results == nil {
		return nil, fuel, fmt.Errorf("%w: results are not aligned", ErrAnswer)
	}
	return results, fuel, nil
}
