package scheduling

import (
	"container/heap"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/pintle-io/pintle/wasm/abi"
)

const (
	firstBackoff = time.Second
	maxBackoff   = 10 * time.Second
	// longestWait is after which an unschedulable pod is tried again although
	// nothing is known to have changed for it.
	longestWait = 5 * time.Minute
)

// reasons is a set of abi.Reason.
type reasons uint32

func reasonSet(rs ...abi.Reason) reasons {
	var set reasons
	for _, r := range rs {
		set |= 1 << r
	}
	return set
}

const anyReason = ^reasons(0)

// pending is one pod that waits for a node.
type pending struct {
	pod      *corev1.Pod
	class    *class
	priority int32
	since    time.Time // of the first attempt's queueing
	attempts int
	failed   reasons   // why the last attempt found no node
	ready    time.Time // not before, in back-off; when given up waiting, in unschedulable
	state    queueState
	index    int // in the heap of its state
}

type queueState int

const (
	queueNone queueState = iota
	queueActive
	queueBackoff
	queueUnschedulable
)

// queue holds the pending pods in three places: active, ready to be tried, by
// priority and age; backoff, waiting for a time; unschedulable, waiting for an
// event that may help. It reads no clock.
type queue struct {
	pods          map[types.UID]*pending
	active        activeHeap
	backoff       backoffHeap
	unschedulable map[types.UID]*pending
	nextFlush     time.Time
}

func newQueue() *queue {
	return &queue{pods: map[types.UID]*pending{}, unschedulable: map[types.UID]*pending{}}
}

// add queues a new pod, or takes note of a newer version of a queued one, which
// makes it worth another try if it was unschedulable.
func (q *queue) add(pod *corev1.Pod, c *class, now time.Time) {
	p, ok := q.pods[pod.UID]
	if !ok {
		p = &pending{since: now}
		q.pods[pod.UID] = p
	}
	changed := p.class != c
	p.pod, p.class, p.priority = pod, c, priorityOf(pod)
	switch {
	case !ok || changed && p.state == queueUnschedulable:
		q.leave(p)
		q.activate(p)
	case changed && p.state == queueActive:
		heap.Fix(&q.active, p.index)
	}
}

// remove forgets the pod.
func (q *queue) remove(uid types.UID) {
	if p, ok := q.pods[uid]; ok {
		q.leave(p)
		delete(q.pods, uid)
	}
}

// pop takes up to n pods that are ready, highest priority first, oldest first.
// A pod
// with claims comes alone. They stay known to the queue until remove, giveUp or retry.
func (q *queue) pop(n int) []*pending {
	pods := make([]*pending, 0, min(n, len(q.active)))
	for len(pods) < n && len(q.active) > 0 {
		alone := q.active[0].class != nil && q.active[0].class.claims
		if alone && len(pods) > 0 {
			break
		}
		p := heap.Pop(&q.active).(*pending)
		p.state = queueNone
		p.attempts++
		pods = append(pods, p)
		if alone {
			break
		}
	}
	return pods
}

// giveUp parks a popped pod until an event that may cure one of the reasons.
func (q *queue) giveUp(p *pending, failed reasons, now time.Time) {
	if q.pods[p.pod.UID] != p || p.state != queueNone {
		return
	}
	p.failed, p.ready, p.state = failed, now.Add(p.backoff()), queueUnschedulable
	q.unschedulable[p.pod.UID] = p
}

// retry puts a popped pod into back-off: an error, nothing the cluster can cure.
func (q *queue) retry(p *pending, now time.Time) {
	if q.pods[p.pod.UID] != p || p.state != queueNone {
		return
	}
	p.ready = now.Add(p.backoff())
	q.park(p)
}

// cured wakes the unschedulable pods that the reasons kept from a node, once
// their back-off is over.
func (q *queue) cured(by reasons, now time.Time) {
	for uid, p := range q.unschedulable {
		if p.failed&by == 0 {
			continue
		}
		delete(q.unschedulable, uid)
		p.state = queueNone
		if p.ready.After(now) {
			q.park(p)
		} else {
			q.activate(p)
		}
	}
}

// flush moves what has waited long enough.
func (q *queue) flush(now time.Time) {
	for len(q.backoff) > 0 && !q.backoff[0].ready.After(now) {
		p := heap.Pop(&q.backoff).(*pending)
		q.activate(p)
	}
	if now.Before(q.nextFlush) {
		return
	}
	q.nextFlush = now.Add(30 * time.Second)
	for uid, p := range q.unschedulable {
		if now.Sub(p.ready) >= longestWait {
			delete(q.unschedulable, uid)
			q.activate(p)
		}
	}
}

// wait is how long nothing will become ready by itself.
func (q *queue) wait(now time.Time) time.Duration {
	d := 30 * time.Second
	if len(q.backoff) > 0 {
		d = min(d, q.backoff[0].ready.Sub(now))
	}
	return max(d, time.Millisecond)
}

func (q *queue) activate(p *pending) {
	p.state = queueActive
	heap.Push(&q.active, p)
}

func (q *queue) park(p *pending) {
	p.state = queueBackoff
	heap.Push(&q.backoff, p)
}

// leave takes the pod out of whatever place it is in.
func (q *queue) leave(p *pending) {
	switch p.state {
	case queueActive:
		heap.Remove(&q.active, p.index)
	case queueBackoff:
		heap.Remove(&q.backoff, p.index)
	case queueUnschedulable:
		delete(q.unschedulable, p.pod.UID)
	}
	p.state = queueNone
}

func (p *pending) backoff() time.Duration {
	d := firstBackoff
	for i := 1; i < p.attempts && d < maxBackoff; i++ {
		d *= 2
	}
	return min(d, maxBackoff)
}

func priorityOf(pod *corev1.Pod) int32 {
	if pod.Spec.Priority != nil {
		return *pod.Spec.Priority
	}
	return 0
}

type activeHeap []*pending

func (h activeHeap) Len() int { return len(h) }
func (h activeHeap) Less(i, j int) bool {
	a, b := h[i], h[j]
	if a.priority != b.priority {
		return a.priority > b.priority
	}
	if !a.since.Equal(b.since) {
		return a.since.Before(b.since)
	}
	return a.pod.Name < b.pod.Name
}
func (h activeHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i]; h[i].index, h[j].index = i, j }
func (h *activeHeap) Push(x any)   { p := x.(*pending); p.index = len(*h); *h = append(*h, p) }
func (h *activeHeap) Pop() any     { return popLast((*[]*pending)(h)) }

type backoffHeap []*pending

func (h backoffHeap) Len() int           { return len(h) }
func (h backoffHeap) Less(i, j int) bool { return h[i].ready.Before(h[j].ready) }
func (h backoffHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i]; h[i].index, h[j].index = i, j }
func (h *backoffHeap) Push(x any)        { p := x.(*pending); p.index = len(*h); *h = append(*h, p) }
func (h *backoffHeap) Pop() any          { return popLast((*[]*pending)(h)) }

func popLast(h *[]*pending) any {
	last := len(*h) - 1
	p := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return p
}
