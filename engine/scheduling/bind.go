package scheduling

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	// bindWorkers write at the same time, which lets the store commit many
	// bindings at once.
	bindWorkers   = 48
	reportWorkers = 4
)

var podsResource = corev1.SchemeGroupVersion.WithResource("pods")

// binding is a choice to be written. The loop blocks when workers fall behind.
type binding struct {
	pod      *corev1.Pod
	node     string
	attempts int
	choices  []choice // for claims that waited for the pod
}

// bindResult is a binding that was refused.
type bindResult struct {
	binding
	err error
}

func (s *Scheduler) bindLoop(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case b := <-s.bindings:
			if len(b.choices) > 0 {
				s.slow.Go(func() { s.bind(ctx, b) }) // may take minutes
				continue
			}
			s.bind(ctx, b)
		}
	}
}

func (s *Scheduler) bind(ctx context.Context, b binding) {
	var err error
	if len(b.choices) > 0 {
		err = s.bindVolumes(ctx, b)
	}
	if err == nil {
		_, err = s.config.Client.CreateSubresource(ctx, podsResource, b.pod.Namespace, b.pod.Name, "binding", &corev1.Binding{
			ObjectMeta: metav1.ObjectMeta{Namespace: b.pod.Namespace, Name: b.pod.Name, UID: b.pod.UID},
			Target:     corev1.ObjectReference{Kind: "Node", Name: b.node},
		}, metav1.CreateOptions{})
	}
	if err != nil {
		if ctx.Err() == nil {
			s.inbox.put(event{bound: &bindResult{b, err}})
		}
		return
	}
	s.config.Recorder.Eventf(b.pod, corev1.EventTypeNormal, "Scheduled", "Successfully assigned %s/%s to %s", b.pod.Namespace, b.pod.Name, b.node)
}

// observeBound takes back a choice that could not be written. The pod is tried
// again as the informer knows it, unless it is gone.
func (s *Scheduler) observeBound(r *bindResult, now time.Time) {
	s.cluster.volumes.retract(r.choices)
	on := s.cluster.pods[r.pod.UID]
	if on == nil || !on.assumed || on.node.name != r.node {
		return // deleted, or bound after all
	}
	s.cluster.unplace(r.pod.UID)
	s.queue.cured(freed, now)
	pod, err := s.config.Informers.Core().V1().Pods().Lister().Pods(r.pod.Namespace).Get(r.pod.Name)
	if apierrors.IsNotFound(err) || err == nil && pod.UID != r.pod.UID {
		return
	}
	s.config.Logger.Warn("binding failed", "namespace", r.pod.Namespace, "name", r.pod.Name, "node", r.node, "err", r.err)
	if err != nil || pod.Spec.NodeName != "" || pod.DeletionTimestamp != nil {
		return // its own event says what becomes of it
	}
	s.config.Recorder.Eventf(r.pod, corev1.EventTypeWarning, "FailedScheduling", "binding to node %s was refused: %v", r.node, r.err)
	s.enqueue(pod, now)
	if p := s.queue.pods[pod.UID]; p != nil && p.state == queueActive {
		s.queue.leave(p)
		p.attempts = r.attempts
		s.queue.retry(p, now)
	}
}

// report is a failure to be written into the pod's status and an event.
type report struct {
	pod     *corev1.Pod
	message string
	node    string // nominated, if others were evicted for the pod
}

// report has the workers write; if they are behind, the next attempt tells.
func (s *Scheduler) report(p *pending, message, node string) {
	select {
	case s.reports <- report{p.pod, message, node}:
	default:
	}
}

func (s *Scheduler) reportLoop(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case r := <-s.reports:
			s.config.Recorder.Event(r.pod, corev1.EventTypeWarning, "FailedScheduling", r.message)
			if err := s.writeCondition(ctx, r); err != nil && !apierrors.IsNotFound(err) && ctx.Err() == nil {
				s.config.Logger.Warn("status of an unschedulable pod", "namespace", r.pod.Namespace, "name", r.pod.Name, "err", err)
			}
		}
	}
}
