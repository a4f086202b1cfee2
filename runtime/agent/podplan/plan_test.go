package podplan

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"github.com/pintle-io/pintle/runtime/container"
)

// TestScenarios plays the files in testdata. Commands:
//
//	pod                 a new pod, in words (see parsePod); what is done for it
//	exit id=c-0 code=1  a container ends by itself
//	probe id=c-0 failed=liveness | started=false | ready=false
//	hold name=c for=10s reason=ErrImagePull
//	advance 10s         the clock goes on
//	kill-sandbox        the sandbox dies
//	delete grace=5      the API marks the pod for deletion
//	status              what is reported
func TestScenarios(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		var s *sim
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			switch d.Cmd {
			case "pod":
				s = newSim(parsePod(d.Input))
			case "status":
				return show(s.o.Pod.Status)
			default:
				s.command(t, d)
			}
			r, err := s.settle()
			if err != nil {
				d.Fatalf(t, "%v", err)
			}
			out := s.take() + "\n"
			if out == "\n" {
				out = "nothing to do\n"
			}
			if r.Requeue > 0 {
				out += fmt.Sprintf("again in %s\n", r.Requeue)
			}
			if r.Finished {
				out += "finished\n"
			}
			return out
		})
	})
}

func (s *sim) command(t *testing.T, d *datadriven.TestData) {
	str := func(key string) string {
		var v string
		d.MaybeScanArgs(t, key, &v)
		return v
	}
	num := func(key string) (n int64) {
		d.MaybeScanArgs(t, key, &n)
		return n
	}
	switch d.Cmd {
	case "exit":
		s.end(str("id"), int(num("code")))
	case "probe":
		s.o.Verdicts[str("id")] = Verdict{Failed: str("failed"), Started: str("started") != "false", Ready: str("ready") != "false"}
	case "hold":
		wait, err := time.ParseDuration(str("for"))
		if err != nil {
			t.Fatal(err)
		}
		s.o.Holds[str("name")] = Hold{Until: s.o.Now.Add(wait), Reason: str("reason")}
	case "advance":
		wait, err := time.ParseDuration(d.CmdArgs[0].Key)
		if err != nil {
			t.Fatal(err)
		}
		s.o.Now = s.o.Now.Add(wait)
	case "kill-sandbox":
		for i := range s.o.State.Sandboxes {
			s.o.State.Sandboxes[i].State = container.Exited
		}
	case "delete":
		s.delete(num("grace"))
	default:
		d.Fatalf(t, "unknown command")
	}
}

func (s *sim) delete(grace int64) {
	now := metav1.NewTime(s.o.Now)
	s.o.Pod.DeletionTimestamp, s.o.Pod.DeletionGracePeriodSeconds = &now, &grace
}

// Whatever happens, plans come to rest, start nothing twice, restart what the
// policy says and nothing else, and never leave a terminal phase; planning again
// at rest changes nothing.
func TestPlanProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := newSim(drawPod(t))
		phase := corev1.PodPhase("")
		for range rapid.IntRange(1, 12).Draw(t, "events") {
			if _, err := s.settle(); err != nil {
				t.Fatal(err)
			}
			s.checkAtRest(t)
			if terminal(phase) && s.o.Pod.Status.Phase != phase {
				t.Fatalf("phase went from %s to %s", phase, s.o.Pod.Status.Phase)
			}
			phase = s.o.Pod.Status.Phase
			s.happen(t)
		}
		s.delete(5)
		r, err := s.settle()
		if err != nil || !r.Finished || len(s.running()) > 0 {
			t.Fatalf("deleted, but not finished: %v, running %v", err, s.running())
		}
	})
}

func drawPod(t *rapid.T) *corev1.Pod {
	pod := parsePod("restart=" + rapid.SampledFrom([]string{"Always", "OnFailure", "Never"}).Draw(t, "restart"))
	always := corev1.ContainerRestartPolicyAlways
	for i := range rapid.IntRange(0, 3).Draw(t, "inits") {
		c := corev1.Container{Name: fmt.Sprintf("i%d", i), Image: "img"}
		if rapid.Bool().Draw(t, "sidecar") {
			c.RestartPolicy = &always
		}
		pod.Spec.InitContainers = append(pod.Spec.InitContainers, c)
	}
	for i := range rapid.IntRange(1, 3).Draw(t, "containers") {
		pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{Name: fmt.Sprintf("c%d", i), Image: "img"})
	}
	return pod
}

func (s *sim) happen(t *rapid.T) {
	running := s.running()
	switch rapid.IntRange(0, 4).Draw(t, "event") {
	case 0, 1:
		if len(running) > 0 {
			s.end(rapid.SampledFrom(running).Draw(t, "id"), rapid.SampledFrom([]int{0, 1}).Draw(t, "code"))
		}
	case 2:
		s.o.Now = s.o.Now.Add(rapid.SampledFrom([]time.Duration{time.Second, time.Minute, time.Hour}).Draw(t, "time"))
	case 3:
		if len(running) > 0 {
			s.o.Verdicts[rapid.SampledFrom(running).Draw(t, "id")] = Verdict{Failed: "liveness", Started: true, Ready: true}
		}
	case 4:
		for i := range s.o.State.Sandboxes {
			s.o.State.Sandboxes[i].State = container.Exited
		}
	}
}

func (s *sim) checkAtRest(t *rapid.T) {
	before := show(s.o.Pod.Status)
	r := Plan(s.o)
	if len(r.Actions) != 0 {
		t.Fatalf("planning again at rest: %+v", r.Actions)
	}
	if diff := cmp.Diff(before, show(Status(s.o, r))); diff != "" {
		t.Fatalf("status at rest changes\n%s", diff)
	}
	live := map[string]int{}
	for _, c := range s.o.State.Containers {
		if c.State == container.Running {
			live[c.Name]++
		}
	}
	for name, n := range live {
		if n > 1 {
			t.Fatalf("%d of %s run", n, name)
		}
	}
	// Regular containers wait for every plain init container.
	for _, c := range s.o.Pod.Spec.InitContainers {
		l := index(s.o).latest(c.Name)
		regular := slices.ContainsFunc(s.o.Pod.Spec.Containers, func(c corev1.Container) bool { return live[c.Name] > 0 })
		if regular && !sidecar(&c) && (l == nil || l.ExitCode != 0 || l.State != container.Exited) {
			t.Fatalf("regular containers run before init container %s has completed", c.Name)
		}
	}
}
