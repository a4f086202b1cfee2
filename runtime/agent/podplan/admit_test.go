package podplan

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"sigs.k8s.io/yaml"
)

// otherPod uses half of the processor of the node and a port of one address.
const otherPod = `
spec:
  containers:
  - ports: [{hostPort: 80, hostIP: 192.0.2.1}]
    resources: {requests: {cpu: 500m}}
`

func TestAdmit(t *testing.T) {
	node := &corev1.Node{}
	node.Labels = map[string]string{"zone": "a"}
	node.Spec.Taints = []corev1.Taint{{Key: "bad", Effect: corev1.TaintEffectNoExecute}, {Key: "full", Effect: corev1.TaintEffectNoSchedule}}
	node.Status.Allocatable = corev1.ResourceList{
		corev1.ResourceCPU: resource.MustParse("1"), corev1.ResourcePods: resource.MustParse("2"), "example.com/gpu": resource.MustParse("1"),
	}
	tolerate := "tolerations: [{key: bad, operator: Exists}]"
	for _, tt := range []struct{ name, spec, reason, message string }{
		{"fits", "{" + tolerate + ", containers: [{ports: [{hostPort: 80, hostIP: 192.0.2.2}, {hostPort: 81}], resources: {requests: {cpu: 500m}}}]}", "", ""},
		{"too much", "{" + tolerate + ", containers: [{resources: {requests: {cpu: 501m}}}]}", "OutOfcpu",
			"Node didn't have enough resource: cpu, requested: 501, used: 500, capacity: 1000"},
		{"too many devices", "{" + tolerate + `, containers: [{resources: {requests: {"example.com/gpu": 2}}}]}`, "OutOfexample.com/gpu",
			"Node didn't have enough resource: example.com/gpu, requested: 2, used: 0, capacity: 1"},
		{"unknown device", "{" + tolerate + `, containers: [{resources: {requests: {"example.com/other": 2}}}]}`, "", ""},
		{"port of one address", "{" + tolerate + ", containers: [{ports: [{hostPort: 80, hostIP: 192.0.2.1}]}]}", "NodePorts",
			"Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports"},
		{"port of all addresses", "{" + tolerate + ", containers: [{ports: [{hostPort: 80}]}]}", "NodePorts",
			"Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports"},
		{"port of another protocol", "{" + tolerate + ", containers: [{ports: [{hostPort: 80, protocol: UDP}]}]}", "", ""},
		{"port of a sidecar", "{" + tolerate + ", initContainers: [{restartPolicy: Always, ports: [{hostPort: 80}]}]}", "NodePorts",
			"Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports"},
		{"label", "{" + tolerate + ", nodeSelector: {zone: b}}", "NodeAffinity",
			"Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector"},
		{"taint", "{}", "TaintToleration", "Predicate TaintToleration failed: node(s) had taints that the pod didn't tolerate"},
		{"operating system", "{os: {name: windows}}", "PodOSNotSupported", "Failed to admit pod as the OS field doesn't match node OS"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := Admit(node, []*corev1.Pod{podOf(t, otherPod)}, podOf(t, "spec: "+tt.spec))
			if got == nil {
				got = &Rejection{}
			}
			if *got != (Rejection{tt.reason, tt.message}) {
				t.Errorf("got %+v, want %s: %s", *got, tt.reason, tt.message)
			}
		})
	}
	full := Admit(node, []*corev1.Pod{podOf(t, otherPod), podOf(t, "{}")}, podOf(t, "{}"))
	if full == nil || full.Reason != "OutOfpods" {
		t.Errorf("a third pod on a node for two: %+v", full)
	}
}

func podOf(t *testing.T, text string) *corev1.Pod {
	t.Helper()
	pod := &corev1.Pod{}
	if err := yaml.UnmarshalStrict([]byte(text), pod); err != nil {
		t.Fatal(err)
	}
	return pod
}
