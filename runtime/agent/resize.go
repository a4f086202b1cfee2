package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/pintle-io/pintle/runtime/agent/podplan"
	"github.com/pintle-io/pintle/runtime/container"
)

// resizeRetry is how soon resources that were refused, or could not be put in
// force, are tried again.
const resizeRetry = 10 * time.Second

// resources are those granted to the containers of a pod. They are kept in a file,
// so that a change which was not granted is not taken for granted after a restart.
type resources map[string]corev1.ResourceRequirements

func resourcesOf(pod *corev1.Pod) resources {
	out := resources{}
	for _, list := range [][]corev1.Container{pod.Spec.Containers, pod.Spec.InitContainers} {
		for _, c := range list {
			out[c.Name] = c.Resources
		}
	}
	return out
}

func (r resources) same(other resources) bool {
	for name, x := range other {
		if !podplan.SameResources(r[name], x) {
			return false
		}
	}
	return true
}

func (w *worker) resourcesFile() string {
	return filepath.Join(w.a.volumes.PodDir(w.ref.UID), "resources.json")
}

// grant returns the pod with the resources it has been granted, after granting
// what it asks for now if there is room.
func (w *worker) grant(o podplan.Observed) *corev1.Pod {
	pod := o.Pod
	if o.Ending() {
		return pod
	}
	want := resourcesOf(pod)
	if w.granted == nil {
		if b, err := os.ReadFile(w.resourcesFile()); err != nil || json.Unmarshal(b, &w.granted) != nil {
			w.keepGranted(want)
		}
	}
	if w.granted.same(want) {
		w.resize.Pending = nil
		return pod
	}
	r := w.a.admitResize(pod)
	if r == nil {
		w.resize = podplan.Resize{}
		w.keepGranted(want)
		w.event(pod, nil, corev1.EventTypeNormal, "ResizeStarted", fmt.Sprintf("Pod resize started: generation %d", pod.Generation))
		return pod
	}
	if w.resize.Pending == nil || *w.resize.Pending != *r {
		w.event(pod, nil, corev1.EventTypeWarning, "Resize"+r.Reason, fmt.Sprintf("Pod resize %s: %s", r.Reason, r.Message))
	}
	w.resize.Pending = r
	return podplan.WithResources(pod, w.granted)
}

func (w *worker) keepGranted(r resources) {
	w.granted = r
	b, err := json.Marshal(r)
	if err == nil {
		if err = os.MkdirAll(filepath.Dir(w.resourcesFile()), 0o750); err == nil {
			err = os.WriteFile(w.resourcesFile(), b, 0o600)
		}
	}
	if err != nil {
		w.a.log.Error("keep the resources granted to a pod", "namespace", w.ref.Namespace, "name", w.ref.Name, "err", err)
	}
}

// admitResize decides over one pod at a time, as admit does.
func (a *Agent) admitResize(pod *corev1.Pod) *podplan.Rejection {
	a.rooms.Lock()
	defer a.rooms.Unlock()
	node := a.node()
	if node == nil {
		return &podplan.Rejection{Reason: corev1.PodReasonDeferred, Message: "the node is not registered yet"}
	}
	return podplan.AdmitResize(node, a.neighbours(pod.UID), pod)
}

// resizePod puts the granted resources in force for the containers that need not
// start anew for it. A failure is reported and tried again.
func (w *worker) resizePod(ctx context.Context, o podplan.Observed) error {
	err := w.tryResize(ctx, o)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err == nil {
		w.resize.Error, w.resize.Until = "", time.Time{}
		w.event(o.Pod, nil, corev1.EventTypeNormal, "ResizeCompleted", fmt.Sprintf("Pod resize completed: generation %d", o.Pod.Generation))
		return nil
	}
	w.resize.Error, w.resize.Until = err.Error(), time.Now().Add(resizeRetry)
	w.event(o.Pod, nil, corev1.EventTypeWarning, "ResizeError", "Pod resize error: "+err.Error())
	return nil
}

func (w *worker) tryResize(ctx context.Context, o podplan.Observed) error {
	cgroup := w.a.podCgroup(o.Pod)
	// Whether parent or child grows or shrinks first depends on both: the pod's
	// quota is lifted meanwhile.
	if err := liftQuota(cgroup); err != nil {
		return err
	}
	restarts := false
	for i := range o.State.Containers {
		l := &o.State.Containers[i]
		c, now := findContainer(o.Pod, l.Name), podplan.InForce(l)
		if l.State != container.Running || c == nil || now == nil || podplan.SameResources(*now, c.Resources) {
			continue
		}
		if podplan.NeedsRestart(c, *now) {
			restarts = true
			continue
		}
		res := cgroupResources(c.Resources)
		if used := memoryUsed(filepath.Join(cgroup, l.ID)); res.MemoryLimit > 0 && used > res.MemoryLimit {
			return fmt.Errorf("container %s: the memory limit %d is below what it uses, %d bytes", c.Name, res.MemoryLimit, used)
		}
		text, err := json.Marshal(c.Resources)
		if err == nil {
			err = w.a.cfg.Runtime.UpdateContainer(ctx, l.ID, res, map[string]string{podplan.AnnResources: string(text)})
		}
		if err != nil {
			return fmt.Errorf("container %s: %w", c.Name, err)
		}
	}
	if restarts {
		// The pod's cgroup is set when they start.
		return nil
	}
	return w.a.setupPodCgroup(o.Pod)
}

// liftQuota takes a pod's processor quota away.
func liftQuota(cgroup string) error {
	path, value := filepath.Join(cgroupRoot, "cpu", cgroup, "cpu.cfs_quota_us"), "-1"
	if cgroupV2() {
		path, value = filepath.Join(cgroupRoot, cgroup, "cpu.max"), "max"
	}
	err := os.WriteFile(path, []byte(value), 0)
	if os.IsNotExist(err) {
		return nil
	}
	return err
}

// memoryUsed is 0 if it cannot be told.
func memoryUsed(cgroup string) int64 {
	path := filepath.Join(cgroupRoot, "memory", cgroup, "memory.usage_in_bytes")
	if cgroupV2() {
		path = filepath.Join(cgroupRoot, cgroup, "memory.current")
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
	if err != nil {
		return 0
	}
	return n
}
