package scheduling

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/pintle-io/pintle/engine/decision"
	"github.com/pintle-io/pintle/wasm/abi"
)

// ErrNotRunning is the answer of a scheduler that decides nothing at the moment:
// another server does, or the caches are still being filled.
var ErrNotRunning = errors.New("the scheduler does not run on this server, or has just started")

// ErrNoNode is the answer about a node that is not there.
var ErrNoNode = errors.New("there is no such node")

// Scorer is a Placer that tells its scores: what the next pod of a class would get
// on each row, negative where it may not go. Scheduler.Judge asks the Fallback, if it
// is one.
type Scorer interface {
	Scores(s *abi.Snapshot, c *abi.Class) ([]int32, error)
}

// answerWithin bounds how long a question waits for its turn between two batches.
const answerWithin = 5 * time.Second

// question is put to the loop, which owns what the answer is made of.
type question struct {
	pod    *corev1.Pod
	node   string
	result chan judged // of capacity 1
}

type judged struct {
	judgement *decision.Judgement
	err       error
}

// Judge tells what speaks against the pod on the node, as things are now and as if
// the pod were on no node, and how the node ranks. It changes nothing.
func (s *Scheduler) Judge(ctx context.Context, pod *corev1.Pod, node string) (*decision.Judgement, error) {
	if !s.running.Load() {
		return nil, ErrNotRunning
	}
	ctx, cancel := context.WithTimeoutCause(ctx, answerWithin, ErrNotRunning)
	defer cancel()
	q := &question{pod: pod, node: node, result: make(chan judged, 1)}
	s.inbox.put(event{asked: q})
	select {
	case r := <-q.result:
		return r.judgement, r.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func (s *Scheduler) answer(q *question) {
	j, err := s.judge(q.pod, q.node)
	q.result <- judged{j, err}
}

func (s *Scheduler) judge(pod *corev1.Pod, node string) (*decision.Judgement, error) {
	c := s.cluster
	cl := c.classOf(pod)
	c.use(cl)
	defer c.release(cl)
	j := &decision.Judgement{Pod: decision.Object{Kind: "pod", Namespace: pod.Namespace, Name: pod.Name, UID: string(pod.UID)}, Node: node}
	j.Notes = s.notes(pod)
	if on := c.pods[pod.UID]; on != nil {
		// The question is what the node would be for a pod that is nowhere.
		j.Chosen = on.node.name
		c.use(on.class)
		defer c.release(on.class)
		c.unplace(pod.UID)
		defer func() {
			c.place(on.pod, on.class, on.node.name, on.assumed)
			c.pods[pod.UID].doomed = on.doomed
		}()
	}
	n := c.nodes[node]
	if n == nil || n.node == nil {
		return nil, fmt.Errorf("node %q: %w", node, ErrNoNode)
	}
	if why := c.blocked(cl); why != "" {
		j.Notes = append(j.Notes, "no node would do: "+why)
	}
	j.Checks = c.verdicts(cl, n)
	return j, s.rank(j, cl, n)
}

// notes are what keeps a pod from every node, or from being placed here.
func (s *Scheduler) notes(pod *corev1.Pod) []string {
	var notes []string
	if gates := pod.Spec.SchedulingGates; len(gates) > 0 {
		notes = append(notes, fmt.Sprintf("the pod waits behind %d scheduling gate(s), the first of them %s", len(gates), gates[0].Name))
	}
	if !s.setup.serves(s.config.Name, pod.Spec.SchedulerName) {
		notes = append(notes, fmt.Sprintf("the pod asks for scheduler %q, which is not served here", pod.Spec.SchedulerName))
	}
	if pod.DeletionTimestamp != nil {
		notes = append(notes, "the pod is being deleted")
	}
	if finished(pod) {
		notes = append(notes, "the pod has finished")
	}
	return notes
}

// verdicts checks every predicate, also those after the first that fails.
func (c *cluster) verdicts(cl *class, n *nodeInfo) []decision.Check {
	out := make([]decision.Check, 0, len(predicates)+3)
	add := func(name string, failed reasons) *decision.Check {
		out = append(out, decision.Check{Name: name, Passed: failed == 0, Message: strings.Join(c.messages(cl, n, failed), ", ")})
		return &out[len(out)-1]
	}
	for _, p := range predicates {
		check := add(p.name, p.against(c, cl, n))
		switch p.name {
		case "TaintToleration":
			if !check.Passed {
				check.Details = cl.untolerated(n.node)
			}
		case "NodeResourcesFit":
			check.Details = c.amounts(cl, n)
		}
	}
	needs := c.checkNeeds(cl, n)
	add("PodTopologySpread", needs&reasonSet(abi.ReasonSpread))
	add("InterPodAffinity", needs&reasonSet(abi.ReasonPodAffinity))
	add("ExistingPodsAntiAffinity", needs&reasonSet(abi.ReasonExisting))
	return out
}

func (cl *class) untolerated(node *corev1.Node) []string {
	var out []string
	for i := range node.Spec.Taints {
		t := &node.Spec.Taints[i]
		if t.Effect != corev1.TaintEffectPreferNoSchedule && !cl.tolerates(t) {
			out = append(out, "taint "+t.ToString())
		}
	}
	return out
}

// amounts says what the class asks for and what the node has left.
func (c *cluster) amounts(cl *class, n *nodeInfo) []string {
	var out []string
	for name, slot := range c.slots {
		i := slices.IndexFunc(cl.requests, func(a amount) bool { return a.slot == slot })
		if i < 0 {
			continue
		}
		ask, left := cl.requests[i].value, n.left(slot)
		sign := ""
		if ask > left {
			sign = ", too little"
		}
		out = append(out, fmt.Sprintf("%s: asks for %s, %s free%s", name, inUnits(name, ask), inUnits(name, left), sign))
	}
	slices.Sort(out)
	return out
}

// inUnits writes an amount in a slot's unit (see quantity) as people do.
func inUnits(name corev1.ResourceName, v int64) string {
	switch name {
	case corev1.ResourceCPU:
		return resource.NewMilliQuantity(v, resource.DecimalSI).String()
	case corev1.ResourceMemory, corev1.ResourceEphemeralStorage:
		return resource.NewQuantity(v, resource.BinarySI).String()
	}
	return resource.NewQuantity(v, resource.DecimalSI).String()
}

// rank compares the node's score with those of the others.
func (s *Scheduler) rank(j *decision.Judgement, cl *class, n *nodeInfo) error {
	j.Candidates = s.cluster.present
	scorer, ok := s.fallback.Placer.(Scorer)
	if !ok {
		return nil
	}
	class := s.classFor(cl)
	class.Count = 1
	scores, err := scorer.Scores(s.cluster.snap, &class)
	if err != nil {
		return fmt.Errorf("score the nodes: %w", err)
	}
	for row, score := range scores {
		of := s.row(int32(row))
		if of == nil || score < 0 {
			continue
		}
		j.Feasible++
		if j.Best == nil || score > j.Best.Score {
			j.Best = &decision.Scored{Node: of.name, Score: score}
		}
		switch {
		case of == n:
			j.Score = &decision.Scored{Node: of.name, Score: score}
		case of.name == j.Chosen:
			j.ChosenScore = &decision.Scored{Node: of.name, Score: score}
		}
	}
	if j.Score == nil {
		return nil
	}
	j.Rank = 1
	for row, score := range scores {
		if s.row(int32(row)) != nil && score > j.Score.Score {
			j.Rank++
		}
	}
	return nil
}
