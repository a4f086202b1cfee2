package podplan

import (
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pintle-io/pintle/runtime/container"
)

// sim is a pod on a node in memory: it does what plans say, under a clock of
// its own.
type sim struct {
	o     Observed
	trace []string
}

var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func newSim(pod *corev1.Pod) *sim {
	return &sim{o: Observed{
		Now: epoch, Pod: pod, Verdicts: map[string]Verdict{}, Backoff: map[string]Backoff{}, Holds: map[string]Hold{}, Messages: map[string]string{},
		Node: Node{IPs: []string{"192.0.2.1"}, RuntimeName: "sim"}, Limits: Limits{Backoff: 10 * time.Second, BackoffMax: 5 * time.Minute},
	}}
}

// settle plans and acts until nothing is left to do; it fails to if the plan
// does not come to rest.
func (s *sim) settle() (Result, error) {
	for range 200 {
		if s.o.Ending() && s.o.KillSince.IsZero() {
			s.o.KillSince = s.o.Now
		}
		s.verdicts()
		r := Plan(s.o)
		s.o.Backoff = r.Backoff
		s.o.Pod.Status = Status(s.o, r)
		if len(r.Actions) == 0 {
			return r, nil
		}
		for _, a := range r.Actions {
			if err := s.do(a); err != nil {
				return r, err
			}
		}
	}
	return Result{}, fmt.Errorf("the plan does not come to rest: %v", s.trace[len(s.trace)-5:])
}

// verdicts: what runs has started and is ready, unless a test said otherwise.
func (s *sim) verdicts() {
	for _, c := range s.o.State.Containers {
		if _, ok := s.o.Verdicts[c.ID]; !ok && c.State == container.Running {
			s.o.Verdicts[c.ID] = Verdict{Started: true, Ready: true}
		}
	}
}

func (s *sim) do(a Action) error {
	st := &s.o.State
	switch a.Op {
	case RunSandbox:
		s.note("run sandbox %d", a.Attempt)
		st.Sandboxes = append(st.Sandboxes, container.Sandbox{ID: fmt.Sprintf("sb%d", a.Attempt), Attempt: a.Attempt, State: container.Running, IPs: []string{"10.0.0.1"}})
	case StopSandbox:
		s.note("stop sandbox")
		for i := range st.Sandboxes {
			if st.Sandboxes[i].ID == a.ID {
				st.Sandboxes[i].State = container.Exited
			}
		}
	case RemoveSandbox:
		s.note("remove %s", a.ID)
		st.Sandboxes = slices.DeleteFunc(st.Sandboxes, func(x container.Sandbox) bool { return x.ID == a.ID })
	case StartContainer:
		return s.start(a)
	case KillContainer:
		s.note("kill %s within %s: %s", a.ID, a.Grace, a.Reason)
		s.end(a.ID, 137)
	case RemoveContainer:
		s.note("remove %s", a.ID)
		st.Containers = slices.DeleteFunc(st.Containers, func(x container.Container) bool { return x.ID == a.ID })
	}
	return nil
}

func (s *sim) start(a Action) error {
	st := &s.o.State
	id := fmt.Sprintf("%s-%d", a.Container.Name, a.Attempt)
	sandbox := ""
	for _, x := range st.Sandboxes {
		if x.State == container.Running {
			sandbox = x.ID
		}
	}
	if sandbox == "" {
		return fmt.Errorf("start of %s without a sandbox", id)
	}
	for _, c := range st.Containers {
		if c.ID == id {
			return fmt.Errorf("%s is made twice", id)
		}
		if c.Name == a.Container.Name && c.State == container.Running {
			return fmt.Errorf("%s is started while %s runs", id, c.ID)
		}
	}
	s.note("start %s", id)
	st.Containers = append(st.Containers, container.Container{
		ID: id, Name: a.Container.Name, Attempt: a.Attempt, SandboxID: sandbox, State: container.Running,
		StartedAt: s.o.Now, Hash: Hash(a.Container), Image: a.Container.Image,
	})
	return nil
}

// end ends a running container.
func (s *sim) end(id string, code int) {
	for i := range s.o.State.Containers {
		if c := &s.o.State.Containers[i]; c.ID == id && c.State == container.Running {
			c.State, c.ExitCode, c.FinishedAt = container.Exited, code, s.o.Now
		}
	}
}

func (s *sim) running() []string {
	var out []string
	for _, c := range s.o.State.Containers {
		if c.State == container.Running {
			out = append(out, c.ID)
		}
	}
	return out
}

func (s *sim) note(format string, args ...any) {
	s.trace = append(s.trace, fmt.Sprintf(format, args...))
}

func (s *sim) take() string {
	out := strings.Join(s.trace, "\n")
	s.trace = nil
	return out
}

// parsePod reads a pod in words:
//
//	restart=Never grace=5 deadline=60
//	init a
//	sidecar b
//	container c
func parsePod(text string) *corev1.Pod {
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p", Namespace: "ns", UID: "u"}, Spec: corev1.PodSpec{RestartPolicy: corev1.RestartPolicyAlways}}
	always := corev1.ContainerRestartPolicyAlways
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		switch f[0] {
		case "init":
			pod.Spec.InitContainers = append(pod.Spec.InitContainers, corev1.Container{Name: f[1], Image: "img"})
		case "sidecar":
			pod.Spec.InitContainers = append(pod.Spec.InitContainers, corev1.Container{Name: f[1], Image: "img", RestartPolicy: &always})
		case "container":
			pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{Name: f[1], Image: "img"})
		default:
			for _, kv := range f {
				k, v, _ := strings.Cut(kv, "=")
				var n int64
				fmt.Sscan(v, &n)
				switch k {
				case "restart":
					pod.Spec.RestartPolicy = corev1.RestartPolicy(v)
				case "grace":
					pod.Spec.TerminationGracePeriodSeconds = &n
				case "deadline":
					pod.Spec.ActiveDeadlineSeconds = &n
				}
			}
		}
	}
	return pod
}

// show writes a status in few words.
func show(s corev1.PodStatus) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s", s.Phase)
	if s.Reason != "" {
		fmt.Fprintf(&b, " (%s)", s.Reason)
	}
	for _, t := range []corev1.PodConditionType{corev1.PodReadyToStartContainers, corev1.PodInitialized, corev1.ContainersReady, corev1.PodReady} {
		for _, c := range s.Conditions {
			if c.Type == t && c.Status == corev1.ConditionTrue {
				fmt.Fprintf(&b, " %s", t)
			}
		}
	}
	b.WriteByte('\n')
	for _, c := range append(slices.Clone(s.InitContainerStatuses), s.ContainerStatuses...) {
		fmt.Fprintf(&b, "  %s: %s restarts=%d ready=%v", c.Name, state(c.State), c.RestartCount, c.Ready)
		if c.LastTerminationState.Terminated != nil {
			fmt.Fprintf(&b, " last=%s", state(c.LastTerminationState))
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func state(s corev1.ContainerState) string {
	switch {
	case s.Waiting != nil:
		return "waiting " + s.Waiting.Reason
	case s.Running != nil:
		return "running"
	case s.Terminated != nil:
		return fmt.Sprintf("%s(%d)", s.Terminated.Reason, s.Terminated.ExitCode)
	}
	return "none"
}
