package scheduling

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/pintle-io/pintle/engine/decision"
)

// mostCandidates bounds the nodes on which preemption is worked out for one pod.
const mostCandidates = 100

// candidate is a node that would do if the victims went.
type candidate struct {
	node       *nodeInfo
	victims    []*podInfo
	violations int // victims beyond what disruption budgets allow
}

// better orders candidates as upstream does: fewest violations, lowest priority of
// the foremost victim, lowest sum of priorities, fewest victims, name.
func (a *candidate) better(b *candidate) int {
	foremost := func(c *candidate) int32 { return priorityOf(c.victims[0].pod) }
	total := func(c *candidate) (sum int64) {
		for _, v := range c.victims {
			sum += int64(priorityOf(v.pod)) + 1<<31
		}
		return sum
	}
	return cmp.Or(cmp.Compare(a.violations, b.violations), cmp.Compare(foremost(a), foremost(b)),
		cmp.Compare(total(a), total(b)), cmp.Compare(len(a.victims), len(b.victims)), cmp.Compare(a.node.name, b.node.name))
}

// preempt looks for a node where pods of lower priority make way for p. It
// returns the node's name, empty if there is none, and what to tell.
func (s *Scheduler) preempt(p *pending, d *diagnosis, now time.Time) (node, message string) {
	if policy := p.pod.Spec.PreemptionPolicy; policy != nil && *policy == corev1.PreemptNever {
		return "", "preemption: not eligible due to preemptionPolicy=Never."
	}
	for _, n := range s.cluster.rows {
		if n != nil && n.nominee == p.pod.UID && n.makingRoom() {
			return "", "preemption: not eligible due to terminating pods on the nominated node."
		}
	}
	if d.hopeless == "" && !s.cluster.anyBelow(p.priority) {
		d.hopeless = d.preemption(s.cluster.present)
	}
	if d.hopeless != "" {
		return "", d.hopeless
	}
	var best *candidate
	tried := 0
	for _, n := range s.cluster.rows {
		if n == nil || tried == mostCandidates || n.makingRoom() {
			continue
		}
		if failed := s.cluster.check(p.class, n); failed == 0 || failed&^freed != 0 {
			continue
		}
		c := s.victims(p, n)
		if c == nil {
			continue
		}
		tried++
		if best == nil || c.better(best) < 0 {
			best = c
		}
	}
	if best == nil {
		d.hopeless = d.preemption(s.cluster.present)
		return "", d.hopeless
	}
	best.node.nominee = p.pod.UID
	for _, v := range best.victims {
		v.doomed = true
		s.evict(eviction{victim: v.pod, by: p.pod, node: best.node.name})
	}
	s.config.Decisions.Add(decision.Record{
		Time: metav1.NewMicroTime(now), Revision: p.pod.ResourceVersion, Object: podObject(p), Decider: "engine",
		Verdict: decision.Preempting, Target: best.node.name, Message: victimNames(best.victims),
	})
	return best.node.name, ""
}

func victimNames(victims []*podInfo) string {
	names := make([]string, len(victims))
	for i, v := range victims {
		names[i] = v.pod.Namespace + "/" + v.pod.Name
	}
	return "evicts " + strings.Join(names, ", ")
}

// preemption is upstream's sentence for a preemption that found nothing.
func (d *diagnosis) preemption(nodes int) string {
	var parts []string
	if d.helpful > 0 {
		parts = append(parts, fmt.Sprintf("%d No preemption victims found for incoming pod", d.helpful))
	}
	if n := nodes - d.helpful; n > 0 {
		parts = append(parts, fmt.Sprintf("%d Preemption is not helpful for scheduling", n))
	}
	slices.Sort(parts)
	return fmt.Sprintf("preemption: 0/%d nodes are available: %s.", nodes, strings.Join(parts, ", "))
}

// makingRoom reports whether pods on the node are going because of a preemption.
func (n *nodeInfo) makingRoom() bool {
	if n.nominee == "" {
		return false
	}
	for _, p := range n.pods {
		if p.doomed {
			return true
		}
	}
	n.nominee = ""
	return false
}

// anyBelow reports whether a pod of lower priority is on some node.
func (c *cluster) anyBelow(priority int32) bool {
	for have := range c.priorities {
		if have < priority {
			return true
		}
	}
	return false
}

// victims works out which pods would have to leave the node: all of lower
// priority are taken off, then put back one by one, the most important first and
// before them those whose budget allows no disruption, as long as p still fits.
// The tallies are as before when it returns. nil means that it would not help.
func (s *Scheduler) victims(p *pending, n *nodeInfo) *candidate {
	var lower []*podInfo
	for _, v := range n.pods {
		if priorityOf(v.pod) < p.priority && !v.assumed {
			lower = append(lower, v)
		}
	}
	if len(lower) == 0 {
		return nil
	}
	slices.SortFunc(lower, func(a, b *podInfo) int {
		return cmp.Or(cmp.Compare(priorityOf(b.pod), priorityOf(a.pod)),
			startTime(a.pod).Compare(startTime(b.pod)), cmp.Compare(a.pod.Name, b.pod.Name))
	})
	for _, v := range lower {
		s.cluster.account(v, -1)
	}
	gone := map[*podInfo]bool{}
	for _, v := range lower {
		gone[v] = true
	}
	defer func() {
		for v := range gone {
			s.cluster.account(v, 1)
		}
	}()
	if s.cluster.check(p.class, n) != 0 {
		return nil
	}
	protected := s.protected(lower)
	c := &candidate{node: n}
	for _, first := range []bool{true, false} {
		for _, v := range lower {
			if protected[v] != first {
				continue
			}
			s.cluster.account(v, 1)
			if s.cluster.check(p.class, n) == 0 {
				delete(gone, v)
				continue
			}
			s.cluster.account(v, -1)
			if first {
				c.violations++
			}
		}
	}
	for _, v := range lower {
		if gone[v] {
			c.victims = append(c.victims, v)
		}
	}
	if len(c.victims) == 0 {
		return nil
	}
	return c
}

func startTime(p *corev1.Pod) time.Time {
	if p.Status.StartTime != nil {
		return p.Status.StartTime.Time
	}
	return p.CreationTimestamp.Time
}

// protected are the pods that no disruption budget has a disruption left for.
func (s *Scheduler) protected(pods []*podInfo) map[*podInfo]bool {
	if s.config.Budgets == nil {
		return nil
	}
	left := map[*policyv1.PodDisruptionBudget]int32{}
	out := map[*podInfo]bool{}
	for _, p := range pods {
		budgets, err := s.config.Budgets.PodDisruptionBudgets(p.pod.Namespace).List(labels.Everything())
		if err != nil {
			continue // a lister over a cache has no errors
		}
		for _, b := range budgets {
			selector, err := metav1.LabelSelectorAsSelector(b.Spec.Selector)
			if err != nil || selector.Empty() || !selector.Matches(labels.Set(p.pod.Labels)) {
				continue
			}
			if _, again := b.Status.DisruptedPods[p.pod.Name]; again {
				continue
			}
			if _, ok := left[b]; !ok {
				left[b] = b.Status.DisruptionsAllowed
			}
			if left[b]--; left[b] < 0 {
				out[p] = true
			}
		}
	}
	return out
}

// eviction is a victim to be deleted.
type eviction struct {
	victim, by *corev1.Pod
	node       string
}

func (s *Scheduler) evict(e eviction) {
	select {
	case s.evictions <- e:
	case <-s.stopped:
	}
}

func (s *Scheduler) evictLoop(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case e := <-s.evictions:
			if err := s.deleteVictim(ctx, e); err != nil && !apierrors.IsNotFound(err) && ctx.Err() == nil {
				s.config.Logger.Warn("preemption", "namespace", e.victim.Namespace, "name", e.victim.Name, "err", err)
				s.inbox.put(event{spared: e.victim})
			}
		}
	}
}

// deleteVictim says in the victim's status why it goes, and deletes it.
func (s *Scheduler) deleteVictim(ctx context.Context, e eviction) error {
	_, err := s.config.Client.UpdateFunc(ctx, podsResource, e.victim.Namespace, e.victim.Name, "status", func(obj runtime.Object) error {
		pod, ok := obj.(*corev1.Pod)
		if !ok || pod.UID != e.victim.UID {
			return nil
		}
		setCondition(&pod.Status, corev1.PodCondition{
			Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue, Reason: corev1.PodReasonPreemptionByScheduler,
			Message: s.config.Name + ": preempting to accommodate a higher priority pod", LastTransitionTime: metav1.Now(),
		})
		return nil
	})
	if err != nil {
		return fmt.Errorf("mark victim %s/%s: %w", e.victim.Namespace, e.victim.Name, err)
	}
	err = s.config.Client.Delete(ctx, podsResource, e.victim.Namespace, e.victim.Name, metav1.DeleteOptions{
		Preconditions: metav1.NewUIDPreconditions(string(e.victim.UID)),
	})
	if err != nil {
		return fmt.Errorf("delete victim %s/%s: %w", e.victim.Namespace, e.victim.Name, err)
	}
	s.config.Recorder.Eventf(e.victim, corev1.EventTypeNormal, "Preempted", "Preempted by pod %s on node %s", e.by.UID, e.node)
	return nil
}
