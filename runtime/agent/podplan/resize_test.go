package podplan

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"sigs.k8s.io/yaml"

	"github.com/pintle-io/pintle/runtime/container"
)

// resizing is a pod of one running container that has other resources in force
// than granted.
func resizing(t *testing.T, spec, inForce string) Observed {
	t.Helper()
	pod := &corev1.Pod{}
	if err := yaml.Unmarshal([]byte("spec: {restartPolicy: Always, containers: ["+spec+"]}"), pod); err != nil {
		t.Fatal(err)
	}
	return Observed{
		Now: time.Unix(1000, 0), Pod: pod, Verdicts: map[string]Verdict{"c-0": {Started: true, Ready: true}},
		State: container.PodState{
			Sandboxes: []container.Sandbox{{ID: "s", State: container.Running, IPs: []string{"10.0.0.1"}}},
			Containers: []container.Container{{
				ID: "c-0", Name: "c", SandboxID: "s", State: container.Running, StartedAt: time.Unix(900, 0),
				Annotations: map[string]string{AnnResources: inForce},
			}},
		},
	}
}

func ops(r Result) (out []Op) {
	for _, a := range r.Actions {
		out = append(out, a.Op)
	}
	return out
}

func TestResize(t *testing.T) {
	const wanted = `{name: c, resources: {requests: {cpu: 200m}, limits: {memory: 64Mi}}`
	for _, tt := range []struct {
		name, spec, inForce string
		want                []Op
	}{
		{"in force", wanted + "}", `{"requests":{"cpu":"0.2"},"limits":{"memory":"65536Ki"}}`, nil},
		{"in place", wanted + "}", `{"requests":{"cpu":"100m"},"limits":{"memory":"64Mi"}}`, []Op{ResizePod}},
		{"limit taken away", `{name: c, resources: {requests: {cpu: 200m}}}`, `{"requests":{"cpu":"200m"},"limits":{"memory":"64Mi"}}`, []Op{ResizePod}},
		{"by a restart", wanted + ", resizePolicy: [{resourceName: cpu, restartPolicy: RestartContainer}]}", `{"requests":{"cpu":"100m"},"limits":{"memory":"64Mi"}}`, []Op{ResizePod, KillContainer}},
		{"of another resource", wanted + ", resizePolicy: [{resourceName: memory, restartPolicy: RestartContainer}]}", `{"requests":{"cpu":"100m"},"limits":{"memory":"64Mi"}}`, []Op{ResizePod}},
		{"unknown", wanted + "}", "", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := resizing(t, tt.spec, tt.inForce)
			r := Plan(o)
			if diff := cmp.Diff(tt.want, ops(r)); diff != "" {
				t.Error(diff)
			}
			progress := false
			for _, c := range Status(o, r).Conditions {
				progress = progress || c.Type == corev1.PodResizeInProgress
			}
			if progress != (tt.want != nil) {
				t.Errorf("PodResizeInProgress is there: %t", progress)
			}
		})
	}
}

func TestResizeStatus(t *testing.T) {
	o := resizing(t, `{name: c, resources: {requests: {cpu: 200m, memory: 1Mi}}}`, `{"requests":{"cpu":"100m","memory":"1Mi"}}`)
	o.Resize = Resize{Pending: &Rejection{corev1.PodReasonDeferred, "full"}, Error: "broken", Until: o.Now.Add(time.Second)}
	r := Plan(o)
	if len(r.Actions) > 0 || r.Requeue != time.Second {
		t.Errorf("tried again too soon: %v, in %s", r.Actions, r.Requeue)
	}
	s := Status(o, r)
	got, err := json.Marshal(s.ContainerStatuses[0].Resources)
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"requests":{"cpu":"100m","memory":"1Mi"}}`; string(got) != want {
		t.Errorf("resources: %s, want %s", got, want)
	}
	if q := s.ContainerStatuses[0].AllocatedResources[corev1.ResourceCPU]; q.String() != "200m" {
		t.Errorf("allocated: %s", q.String())
	}
	seen := map[corev1.PodConditionType]string{}
	for _, c := range s.Conditions {
		seen[c.Type] = c.Reason + ": " + c.Message
	}
	if seen[corev1.PodResizePending] != "Deferred: full" || seen[corev1.PodResizeInProgress] != "Error: broken" {
		t.Errorf("conditions: %v", seen)
	}
	o.Pod.Status, o.Resize, o.Pod.Spec.Containers[0].Resources = s, Resize{}, *s.ContainerStatuses[0].Resources
	for _, c := range Status(o, Plan(o)).Conditions {
		if c.Type == corev1.PodResizePending || c.Type == corev1.PodResizeInProgress {
			t.Errorf("condition stayed: %+v", c)
		}
	}
}

func TestAdmitResize(t *testing.T) {
	node := &corev1.Node{}
	node.Status.Allocatable = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("1"), corev1.ResourceMemory: resource.MustParse("1Gi")}
	pod := func(cpu string) *corev1.Pod {
		p := &corev1.Pod{}
		p.Spec.Containers = []corev1.Container{{Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu)}}}}
		return p
	}
	others := []*corev1.Pod{pod("500m")}
	for cpu, want := range map[string]string{"400m": "", "600m": corev1.PodReasonDeferred, "2": corev1.PodReasonInfeasible} {
		got := ""
		if r := AdmitResize(node, others, pod(cpu)); r != nil {
			got = r.Reason
		}
		if got != want {
			t.Errorf("%s: %q, want %q", cpu, got, want)
		}
	}
}
