package scheduling

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/pintle-io/pintle/engine/decision"
)

// trial is what a strategy that does not count would have chosen for a batch. A nil
// trial compares nothing.
type trial struct {
	of       *Strategy
	nodes    map[types.UID]string // empty for none
	hash     string
	fuel     uint64        // share of one pod
	duration time.Duration // share of one pod
}

// try asks a strategy on trial before anything is decided, from the same input as the
// one that decides.
func (s *Scheduler) try(ctx context.Context, of *Strategy, groups []group, now time.Time) *trial {
	if of == nil {
		return nil
	}
	seed := s.seed
	batch := s.batch(groups)
	s.seed = seed // the one that decides breaks ties alike
	start := time.Now()
	answer, err := of.Placer.Place(ctx, s.cluster.snap, batch)
	took := time.Since(start)
	of.Health.Called(answer.Fuel, took)
	count := batch.Pods()
	if err == nil && len(answer.Results) != count {
		err = fmt.Errorf("%d answers for %d pods", len(answer.Results), count)
	}
	t := &trial{of: of, nodes: make(map[types.UID]string, count)}
	if err == nil {
		t.hash = inputHash(s.cluster.snap, batch)
		t.fuel, t.duration = answer.Fuel/uint64(count), took/time.Duration(count)
		i := 0
		for _, g := range groups {
			for _, p := range g.pods {
				r := answer.Results[i]
				i++
				n := s.row(r.Node)
				if n == nil && r.Node >= 0 {
					err = fmt.Errorf("it chose node number %d for pod %s/%s, and there is none", r.Node, p.pod.Namespace, p.pod.Name)
					break
				}
				t.nodes[p.pod.UID] = ""
				if n != nil {
					t.nodes[p.pod.UID] = n.name
				}
			}
		}
	}
	if err != nil {
		s.strategyFailed(of, groups[0].pods[0], err, now)
		return nil
	}
	return t
}

// compare says whether the strategy on trial would have decided as the record says.
func (t *trial) compare(p *pending, r decision.Record) []decision.Record {
	if t == nil {
		return []decision.Record{r}
	}
	would := t.nodes[p.pod.UID]
	shadow := decision.Record{
		Time: r.Time, Revision: r.Revision, Object: r.Object, Decider: t.of.Placer.Identity(), Strategy: t.of.Name,
		InputHash: t.hash, Fuel: t.fuel, Duration: t.duration, Verdict: decision.ShadowAgreed, Target: would,
	}
	if would == r.Target {
		t.of.Health.Compared(1, 0)
		return []decision.Record{r, shadow}
	}
	t.of.Health.Compared(0, 1)
	shadow.Verdict, shadow.Message = decision.ShadowDiffered, "it would have found no node"
	if would != "" {
		shadow.Message = "it would have chosen node " + would
	}
	return []decision.Record{r, shadow}
}
