package scheduling

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pintle-io/pintle/engine/decision"
)

// diagnosis is why a class fits no node.
type diagnosis struct {
	fits    int // nodes that would do after all
	helpful int // nodes where only what other pods hold is in the way
	failed  reasons
	reasons []decision.Reason
	message string
	// hopeless is what preemption said to a pod of the class for which it found
	// nothing; it would say the same to the next.
	hopeless string
}

// diagnose checks the class against every node.
func (s *Scheduler) diagnose(cl *class) *diagnosis {
	d := &diagnosis{}
	if why := s.cluster.blocked(cl); why != "" {
		d.failed, d.message = reasonVolumes, fmt.Sprintf("0/%d nodes are available: %s.", s.cluster.present, why)
		d.reasons = []decision.Reason{{Message: why, Count: s.cluster.present}}
		return d
	}
	counts := map[string]int{}
	for _, n := range s.cluster.rows {
		if n == nil {
			continue
		}
		failed := s.cluster.check(cl, n)
		if failed == 0 {
			d.fits++
			continue
		}
		d.failed |= failed
		if failed&^freed == 0 {
			d.helpful++
		}
		for _, m := range s.cluster.messages(cl, n, failed) {
			counts[m]++
		}
	}
	for m, count := range counts {
		d.reasons = append(d.reasons, decision.Reason{Message: m, Count: count})
	}
	slices.SortFunc(d.reasons, func(a, b decision.Reason) int {
		if a.Count != b.Count {
			return b.Count - a.Count
		}
		return strings.Compare(a.Message, b.Message)
	})
	d.message = failureMessage(s.cluster.present, d.reasons)
	return d
}

// failureMessage is upstream's sentence, with the reasons in its order: sorted as
// text, counts included.
func failureMessage(nodes int, rs []decision.Reason) string {
	parts := make([]string, len(rs))
	for i, r := range rs {
		parts[i] = fmt.Sprintf("%d %s", r.Count, r.Message)
	}
	slices.Sort(parts)
	return fmt.Sprintf("0/%d nodes are available: %s.", nodes, strings.Join(parts, ", "))
}
