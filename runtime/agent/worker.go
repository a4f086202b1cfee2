package agent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/pintle-io/pintle/runtime/agent/podplan"
	"github.com/pintle-io/pintle/runtime/container"
	"github.com/pintle-io/pintle/runtime/logs"
)

// resync is how often a pod is looked at without any sign of change; tokens are
// renewed then.
const resync = 3 * time.Minute

// worker owns one pod on this node, from when it is first seen until nothing of
// it is left.
//
// Protocol: anyone may call update, removed or wakeUp; only the goroutine in run
// touches the fields below mu. Each turn observes, plans, reports, and acts; a
// change that makes the pod end, or end sooner, interrupts the acting.
type worker struct {
	a    *Agent
	ref  container.PodRef
	wake chan struct{}

	mu struct {
		sync.Mutex
		pod     *corev1.Pod // nil if known only from its remains
		removed bool
		stopAct context.CancelFunc // ends the current acting
		killed  map[string]bool    // containers whose preStop hook was run
		retry   bool               // what was missing may be there now
		volumes map[string]string  // the last paths, for others to read
	}

	admission admission
	granted   resources // nil until known
	resize    podplan.Resize
	probes    *probes
	backoff   map[string]podplan.Backoff
	holds     map[string]podplan.Hold
	pulls     map[string]time.Duration // last back-off by image
	problem   podplan.Hold
	problems  int // in a row
	killSince time.Time
	messages  map[string]string
	paths     map[string]string // of volumes
	readOnly  map[string]bool
	refreshed time.Time
	ips       []string
	tornDown  bool
	born      time.Time
	counted   bool           // in the metric of pod starts
	backedOff map[string]int // restart count for which a BackOff event was sent
}

func newWorker(a *Agent, ref container.PodRef, pod *corev1.Pod) *worker {
	w := &worker{
		a: a, ref: ref, wake: make(chan struct{}, 1),
		backoff: map[string]podplan.Backoff{}, holds: map[string]podplan.Hold{}, pulls: map[string]time.Duration{},
		messages: map[string]string{}, backedOff: map[string]int{}, born: time.Now(),
	}
	w.mu.pod, w.mu.killed = pod, map[string]bool{}
	w.mu.removed = pod == nil
	w.probes = newProbes(w)
	return w
}

func (w *worker) wakeUp() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// update tells of a new version of the pod.
func (w *worker) update(pod *corev1.Pod) {
	w.mu.Lock()
	old := w.mu.pod
	w.mu.pod = pod
	sooner := old != nil && pod.DeletionTimestamp != nil &&
		(old.DeletionTimestamp == nil || pod.DeletionGracePeriodSeconds != nil && old.DeletionGracePeriodSeconds != nil && *pod.DeletionGracePeriodSeconds < *old.DeletionGracePeriodSeconds)
	if sooner && w.mu.stopAct != nil {
		w.mu.stopAct()
	}
	w.mu.Unlock()
	w.wakeUp()
}

// gone tells that the API has the pod no more.
func (w *worker) gone() {
	w.mu.Lock()
	w.mu.removed = true
	if w.mu.stopAct != nil && (w.mu.pod == nil || w.mu.pod.DeletionTimestamp == nil) {
		w.mu.stopAct()
	}
	w.mu.Unlock()
	w.wakeUp()
}

// tryAgain tells that an object the pod refers to has changed.
func (w *worker) tryAgain() {
	w.mu.Lock()
	w.mu.retry = true
	w.mu.Unlock()
	w.wakeUp()
}

// unhold drops what waits for objects if one has changed.
func (w *worker) unhold() {
	w.mu.Lock()
	retry := w.mu.retry
	w.mu.retry = false
	w.mu.Unlock()
	if !retry {
		return
	}
	w.problem, w.problems = podplan.Hold{}, 0
	for name, h := range w.holds {
		if h.Reason == "CreateContainerConfigError" {
			delete(w.holds, name)
		}
	}
}

func (w *worker) current() (*corev1.Pod, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	pod := w.mu.pod
	if pod == nil {
		pod = &corev1.Pod{}
		pod.Name, pod.Namespace, pod.UID = w.ref.Name, w.ref.Namespace, types.UID(w.ref.UID)
	}
	return pod, w.mu.removed
}

// firstKill reports whether the preStop hook is still to be run.
func (w *worker) firstKill(id string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	first := !w.mu.killed[id]
	w.mu.killed[id] = true
	return first
}

// run serves the pod until nothing of it is left or ctx ends.
func (w *worker) run(ctx context.Context) {
	defer w.probes.stop()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.wake:
		case <-timer.C:
		}
		w.unhold()
		began := time.Now()
		next, done := w.sync(ctx)
		w.a.metrics.podWorker.WithLabelValues("sync").Observe(time.Since(began).Seconds())
		if done {
			return
		}
		timer.Reset(next)
	}
}

// sync takes turns until there is nothing to do. It returns when to look again,
// or that the pod is gone.
func (w *worker) sync(ctx context.Context) (next time.Duration, done bool) {
	for ctx.Err() == nil {
		o, err := w.observe(ctx)
		if err != nil {
			w.a.log.Error("observe pod", "namespace", w.ref.Namespace, "name", w.ref.Name, "err", err)
			return time.Second, false
		}
		if !w.admitted(o) && !o.Removed && o.Pod.DeletionTimestamp == nil {
			return resync, false
		}
		o.Pod = w.grant(o)
		o.Resize = w.resize
		r := podplan.Plan(o)
		w.backoff = r.Backoff
		soon := w.note(o, r)
		w.report(o, r)
		if len(r.Actions) == 0 {
			if r.Finished {
				if done, err = w.finish(ctx, o); err != nil {
					w.a.log.Error("clean up pod", "namespace", w.ref.Namespace, "name", w.ref.Name, "err", err)
					return time.Second, false
				}
				return resync, done
			}
			if o.Problem.Reason == "" || o.Now.After(o.Problem.Until) {
				w.refresh(ctx, o.Pod)
			}
			if r.Requeue == 0 || r.Requeue > resync {
				r.Requeue = resync
			}
			if w.resize.Pending != nil {
				r.Requeue = min(r.Requeue, resizeRetry)
			}
			if soon {
				r.Requeue = min(r.Requeue, time.Second)
			}
			return r.Requeue, false
		}
		if err := w.act(ctx, o, r); err != nil {
			return w.failed(o, err), false
		}
		w.problem, w.problems = podplan.Hold{}, 0
	}
	return 0, false
}

// failed decides when to try again after an action failed.
func (w *worker) failed(o podplan.Observed, err error) time.Duration {
	if errors.Is(err, context.Canceled) {
		// Interrupted by an update: plan again at once.
		return 0
	}
	w.problems++
	wait := min(500*time.Millisecond<<min(w.problems-1, 8), maxRetry)
	w.problem = podplan.Hold{Until: o.Now.Add(wait), Reason: "ContainerCreating", Message: err.Error()}
	var se *startError
	if errors.As(err, &se) {
		// The image of a volume.
		w.problem.Reason, w.problem.Message = se.reason, se.err.Error()
	}
	w.a.log.Info("pod action failed, will retry", "namespace", w.ref.Namespace, "name", w.ref.Name, "after", wait, "err", err)
	return wait
}

// maxRetry bounds the wait between tries of what concerns the whole pod.
const maxRetry = time.Minute

func (w *worker) observe(ctx context.Context) (podplan.Observed, error) {
	pod, removed := w.current()
	state, err := w.a.cfg.Runtime.Pod(ctx, w.ref.UID)
	if err != nil {
		return podplan.Observed{}, err
	}
	now := time.Now()
	w.ips = nil
	for _, s := range state.Sandboxes {
		if s.State == container.Running {
			w.ips = s.IPs
		}
	}
	var running []container.Container
	for _, c := range state.Containers {
		switch c.State {
		case container.Running:
			running = append(running, c)
		case container.Exited:
			if _, ok := w.messages[c.ID]; !ok {
				w.messages[c.ID] = terminationMessage(c)
			}
		}
	}
	o := podplan.Observed{
		Now: now, Pod: pod, State: state, Backoff: w.backoff, Holds: w.holds,
		Messages: w.messages, Removed: removed, Problem: w.problem,
		Node:   podplan.Node{IPs: w.a.cfg.NodeIPs, RuntimeName: w.a.runtimeName},
		Limits: podplan.Limits{Backoff: w.a.cfg.CrashBackoff, BackoffMax: w.a.cfg.CrashBackoffMax},
	}
	if o.Ending() && w.killSince.IsZero() {
		w.killSince = now
	}
	o.KillSince = w.killSince
	w.probes.follow(ctx, pod, running, firstOf(w.ips))
	o.Verdicts = w.probes.verdicts()
	return o, nil
}

// maxMessage bounds termination messages, and logLines and logBytes those taken
// from the log.
const (
	maxMessage = 4096
	logLines   = 80
	logBytes   = 2048
)

func terminationMessage(c container.Container) string {
	b, err := os.ReadFile(c.Annotations[annTermPath])
	if err == nil && len(b) > 0 {
		return string(b[:min(len(b), maxMessage)])
	}
	if c.ExitCode != 0 && c.Annotations[annTermPolicy] == string(corev1.TerminationMessageFallbackToLogsOnError) {
		if s, err := logs.Last(c.LogPath, logLines, logBytes); err == nil {
			return s
		}
	}
	return ""
}

// report hands the status to be written, unless the API has the pod no more.
func (w *worker) report(o podplan.Observed, r podplan.Result) {
	if o.Removed {
		return
	}
	status := podplan.Status(o, r)
	if status.Phase == corev1.PodRunning && o.Pod.Status.Phase == corev1.PodPending && !w.counted {
		w.counted = true
		w.a.metrics.podStart.Observe(o.Now.Sub(w.born).Seconds())
	}
	w.a.status.set(o.Pod, status)
}

// note sends events about containers that are held back; true if what they wait
// for is to be reported anew soon.
func (w *worker) note(o podplan.Observed, r podplan.Result) (soon bool) {
	for name, h := range r.Waiting {
		c := findContainer(o.Pod, name)
		if c == nil {
			continue
		}
		switch h.Reason {
		case "CrashLoopBackOff":
			if n := lastAttempt(o.State, name) + 1; w.backedOff[name] != n {
				w.backedOff[name] = n
				w.event(o.Pod, c, corev1.EventTypeWarning, "BackOff", fmt.Sprintf("Back-off restarting failed container %s in pod %s_%s(%s)", name, o.Pod.Name, o.Pod.Namespace, o.Pod.UID))
			}
		case "ErrImagePull":
			w.event(o.Pod, c, corev1.EventTypeNormal, "BackOff", fmt.Sprintf("Back-off pulling image %q", c.Image))
			w.event(o.Pod, c, corev1.EventTypeWarning, "Failed", "Error: ImagePullBackOff")
			w.holds[name] = backOff(h, o.Pod, c)
			soon = true
		}
	}
	return soon
}

func lastAttempt(s container.PodState, name string) int {
	n := -1
	for _, c := range s.Containers {
		if c.Name == name {
			n = max(n, c.Attempt)
		}
	}
	return n
}

// event records an event of the pod, about a container if c is not nil.
func (w *worker) event(pod *corev1.Pod, c *corev1.Container, kind, reason, message string) {
	w.a.events.send(pod, c, kind, reason, message)
}
