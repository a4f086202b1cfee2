package scheduling

import (
	"context"
	"fmt"
	"hash/fnv"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pintle-io/pintle/engine/decision"
	"github.com/pintle-io/pintle/wasm/abi"
)

const (
	// batchPods and batchClasses bound one batch, so that events are never kept
	// waiting long.
	batchPods    = 2000
	batchClasses = 128
)

// group is pods of one class, in the order in which they are to be placed.
type group struct {
	class *class
	pods  []*pending
}

// decisionInput is what the records of one batch have in common.
type decisionInput struct {
	decider  string
	strategy string // the name of its object, if it has one
	hash     string
	fuel     uint64        // share of one pod
	duration time.Duration // share of one pod
	now      time.Time
	// note says why another than the configured strategy decided.
	note string
	// trial is what another strategy would have done.
	trial *trial
}

// schedule places a batch, each pod by the strategy that is chosen for it.
func (s *Scheduler) schedule(ctx context.Context, pods []*pending, now time.Time) {
	for _, p := range s.split(pods) {
		s.schedulePart(ctx, p, now)
	}
}

// schedulePart asks the strategy, believes what can be verified, and has the next
// one answer for the rest.
func (s *Scheduler) schedulePart(ctx context.Context, p part, now time.Time) {
	groups := s.group(p.pods)
	if s.cluster.present == 0 {
		s.refuseAll(groups, now)
		return
	}
	in := decisionInput{now: now, trial: s.try(ctx, p.trial, groups, now)}
	var chain []*Strategy
	chain, in.note = s.chain(p.chosen)
	for _, of := range chain {
		rest, err := s.ask(ctx, of, groups, in)
		if err == nil {
			return
		}
		s.strategyFailed(of, rest[0].pods[0], err, now)
		if of.Hold {
			s.hold(of, rest, err, now)
			return
		}
		in.note = fmt.Sprintf("instead of strategy %s, which failed: %v", of.Placer.Identity(), err)
		groups = rest
	}
	for len(groups) > 0 {
		rest, err := s.ask(ctx, &s.fallback, groups, in)
		if err == nil {
			return
		}
		// The native strategy and the verifier disagree about this pod: a defect
		// of ours. Nobody else waits for it.
		broken := rest[0].pods[0]
		s.config.Logger.Error("the native strategy's answer was not believed", "namespace", broken.pod.Namespace,
			"name", broken.pod.Name, "err", err)
		s.queue.retry(broken, now)
		groups = skipFirst(rest)
	}
}

// group gathers equal pods, keeping the order of classes; what exceeds
// batchClasses goes back to the queue.
func (s *Scheduler) group(pods []*pending) []group {
	var groups []group
	index := map[*class]int{}
	for _, p := range pods {
		i, ok := index[p.class]
		if !ok {
			if len(groups) == batchClasses {
				p.attempts--
				s.queue.activate(p)
				continue
			}
			i = len(groups)
			index[p.class] = i
			groups = append(groups, group{class: p.class})
		}
		groups[i].pods = append(groups[i].pods, p)
	}
	return groups
}

// ask has a strategy place the groups and acts on the answer. On an error, the groups
// that are returned have not been acted on.
func (s *Scheduler) ask(ctx context.Context, of *Strategy, groups []group, in decisionInput) ([]group, error) {
	batch := s.batch(groups)
	start := time.Now()
	answer, err := of.Placer.Place(ctx, s.cluster.snap, batch)
	took := time.Since(start)
	of.Health.Called(answer.Fuel, took)
	count := batch.Pods()
	if err == nil && len(answer.Results) != count {
		err = fmt.Errorf("%d answers for %d pods", len(answer.Results), count)
	}
	if err != nil {
		return groups, err
	}
	in.decider, in.strategy, in.hash = of.Placer.Identity(), of.Name, inputHash(s.cluster.snap, batch)
	in.fuel, in.duration = answer.Fuel/uint64(count), took/time.Duration(count)
	return s.accept(groups, answer.Results, in)
}

func (s *Scheduler) batch(groups []group) *abi.Batch {
	s.seed = s.seed*6364136223846793005 + 1442695040888963407
	b := &abi.Batch{Seed: s.seed >> 11}
	for _, g := range groups {
		c := s.classFor(g.class)
		c.Count = uint32(len(g.pods))
		b.Classes = append(b.Classes, c)
	}
	return b
}

// classFor is what a strategy is told about a class.
func (s *Scheduler) classFor(cl *class) abi.Class {
	k := s.cluster.compile(cl)
	if cl.claims {
		s.cluster.judgeVolumes(cl)
	}
	c := abi.Class{ClassHeader: k.header, Entries: k.entries}
	if e, ok := s.cluster.imageEntry(cl); ok {
		c.Entries = append(c.Entries[:len(c.Entries):len(c.Entries)], e)
	}
	return c
}

// inputHash identifies the batch and the state of the snapshot.
func inputHash(snap *abi.Snapshot, b *abi.Batch) string {
	h := fnv.New64a()
	_, _ = h.Write(b.Append(nil)) // never fails
	return fmt.Sprintf("%016x-%d", h.Sum64(), snap.Generation())
}

// accept acts on the answers one by one, each verified against the state that the
// ones before it have left. It stops at the first that cannot be believed.
func (s *Scheduler) accept(groups []group, results []abi.Result, in decisionInput) ([]group, error) {
	records := make([]decision.Record, 0, len(results))
	defer func() { s.config.Decisions.Add(records...) }()
	for gi := range groups {
		g := &groups[gi]
		for pi, p := range g.pods {
			r := results[0]
			results = results[1:]
			if r.Node < 0 {
				d := s.diagnose(g.class)
				if d.fits > 0 {
					return from(groups, gi, pi), fmt.Errorf("it found no node for pod %s/%s, which fits %d", p.pod.Namespace, p.pod.Name, d.fits)
				}
				// A class that no longer fits will not fit later in this batch.
				for _, p := range g.pods[pi:] {
					records = append(records, in.trial.compare(p, s.refuse(p, d, in))...)
				}
				results = results[len(g.pods)-pi-1:]
				break
			}
			n := s.row(r.Node)
			if n == nil {
				return from(groups, gi, pi), fmt.Errorf("it chose node number %d for pod %s/%s, and there is none", r.Node, p.pod.Namespace, p.pod.Name)
			}
			if failed := s.cluster.check(g.class, n); failed != 0 {
				return from(groups, gi, pi), fmt.Errorf("it chose node %s for pod %s/%s: %v", n.name, p.pod.Namespace, p.pod.Name,
					s.cluster.messages(g.class, n, failed))
			}
			records = append(records, in.trial.compare(p, s.assume(p, n, r, in))...)
		}
	}
	return nil, nil
}

func (s *Scheduler) row(i int32) *nodeInfo {
	if int(i) >= len(s.cluster.rows) {
		return nil
	}
	return s.cluster.rows[i]
}

// from is what is left of the groups from a pod on.
func from(groups []group, gi, pi int) []group {
	rest := []group{{class: groups[gi].class, pods: groups[gi].pods[pi:]}}
	return append(rest, groups[gi+1:]...)
}

func skipFirst(groups []group) []group {
	if groups[0].pods = groups[0].pods[1:]; len(groups[0].pods) == 0 {
		return groups[1:]
	}
	return groups
}

// assume takes the choice as made, and has it bound.
func (s *Scheduler) assume(p *pending, n *nodeInfo, r abi.Result, in decisionInput) decision.Record {
	choices := s.cluster.promiseVolumes(p.class, n)
	s.cluster.place(p.pod, p.class, n.name, true)
	s.forget(p.pod.UID)
	select {
	case s.bindings <- binding{pod: p.pod, node: n.name, attempts: p.attempts, choices: choices}:
	case <-s.stopped:
	}
	rec := in.record(p)
	rec.Verdict, rec.Target, rec.Score, rec.Candidates = decision.Scheduled, n.name, int64(r.Score), s.cluster.present
	rec.Message = in.note
	return rec
}

// refuse parks the pod and reports why.
func (s *Scheduler) refuse(p *pending, d *diagnosis, in decisionInput) decision.Record {
	message, node := d.message, ""
	if s.cluster.present > 0 {
		var more string
		if node, more = s.preempt(p, d, in.now); more != "" {
			message += " " + more
		}
	}
	s.queue.giveUp(p, d.failed, in.now)
	s.report(p, message, node)
	if node != "" {
		p.ready = in.now // as soon as the victims are gone
		message += " Pods of lower priority make room on node " + node + "."
	}
	rec := in.record(p)
	rec.Verdict, rec.Candidates, rec.Reasons, rec.Message = decision.Unschedulable, s.cluster.present, d.reasons, message
	return rec
}

// refuseAll answers for a cluster without nodes.
func (s *Scheduler) refuseAll(groups []group, now time.Time) {
	d := &diagnosis{failed: anyReason, message: "no nodes available to schedule pods"}
	for _, g := range groups {
		for _, p := range g.pods {
			s.config.Decisions.Add(s.refuse(p, d, decisionInput{decider: "engine", now: now}))
		}
	}
}

func (in *decisionInput) record(p *pending) decision.Record {
	return decision.Record{
		Time: metav1.NewMicroTime(in.now), Revision: p.pod.ResourceVersion, Object: podObject(p),
		Decider: in.decider, Strategy: in.strategy, InputHash: in.hash, Fuel: in.fuel, Duration: in.duration,
	}
}

func podObject(p *pending) decision.Object {
	return decision.Object{Kind: "pod", Namespace: p.pod.Namespace, Name: p.pod.Name, UID: string(p.pod.UID)}
}
