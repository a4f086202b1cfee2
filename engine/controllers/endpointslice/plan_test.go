package endpointslice_test

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"pgregory.net/rapid"

	"github.com/pintle-io/pintle/engine/controllers/endpointslice"
	"github.com/pintle-io/pintle/engine/controllers/plantest"
	"github.com/pintle-io/pintle/engine/reconcile"
)

// intstrHTTP names the target port, which pods map to different numbers.
var intstrHTTP = intstr.FromString("http")

func plan(w *plantest.World) reconcile.Result {
	zone := map[string]string{}
	for _, node := range plantest.List[*corev1.Node](w) {
		zone[node.Name] = node.Labels[corev1.LabelTopologyZone]
	}
	return endpointslice.Plan(endpointslice.Observed{
		Zone: zone, Nodes: plantest.List[*corev1.Node](w),
		Service: plantest.List[*corev1.Service](w)[0], Pods: plantest.List[*corev1.Pod](w),
		Slices: plantest.List[*discoveryv1.EndpointSlice](w), Now: w.Now,
	})
}

func TestScenarios(t *testing.T) { plantest.Run(t, plan, nil) }

func put(w *plantest.World, i int, port int32, ready bool) {
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: fmt.Sprint("pod", i)},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "i", Ports: []corev1.ContainerPort{{Name: "http", ContainerPort: port}}}}},
	}
	pod.Status.Phase = corev1.PodRunning
	pod.Status.PodIP = fmt.Sprintf("10.0.%d.%d", i/250, i%250+1)
	pod.Status.PodIPs = []corev1.PodIP{{IP: pod.Status.PodIP}}
	status := corev1.ConditionFalse
	if ready {
		status = corev1.ConditionTrue
	}
	pod.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: status}}
	w.Put(pod)
}

// TestSlicesShowExactlyThePods changes pods at random: after one plan the slices
// list each pod once, right, in slices of at most 100, and a second plan rests.
func TestSlicesShowExactlyThePods(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := plantest.NewWorld()
		w.Put(&corev1.Service{
			ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "web", UID: "svc"},
			Spec: corev1.ServiceSpec{
				Selector: map[string]string{"app": "web"},
				Ports:    []corev1.ServicePort{{Name: "http", Port: 80, TargetPort: intstrHTTP, Protocol: corev1.ProtocolTCP}},
			},
		})
		for range rapid.IntRange(1, 4).Draw(t, "rounds") {
			for i := range rapid.IntRange(0, 250).Draw(t, "pods") {
				port := int32(80)
				if i%7 == 0 {
					port = 81
				}
				put(w, i, port, (i+rapid.IntRange(0, 1).Draw(t, "flip"))%2 == 0)
			}
			for _, pod := range plantest.List[*corev1.Pod](w) {
				if rapid.IntRange(0, 4).Draw(t, "gone") == 0 {
					w.Remove(pod)
				}
			}
			w.Act(plan(w))
			verify(t, w)
		}
	})
}

func verify(t *rapid.T, w *plantest.World) {
	pods := map[string]*corev1.Pod{}
	for _, pod := range plantest.List[*corev1.Pod](w) {
		pods[pod.Status.PodIP] = pod
	}
	for _, slice := range plantest.List[*discoveryv1.EndpointSlice](w) {
		if len(slice.Endpoints) > 100 {
			t.Fatalf("%d endpoints in one slice", len(slice.Endpoints))
		}
		for _, endpoint := range slice.Endpoints {
			pod := pods[endpoint.Addresses[0]]
			if pod == nil {
				t.Fatalf("%s is no pod, or twice", endpoint.Addresses[0])
			}
			delete(pods, endpoint.Addresses[0])
			if ready := pod.Status.Conditions[0].Status == corev1.ConditionTrue; *endpoint.Conditions.Ready != ready {
				t.Fatalf("%s ready is %v", pod.Name, !ready)
			}
			if want := pod.Spec.Containers[0].Ports[0].ContainerPort; *slice.Ports[0].Port != want {
				t.Fatalf("%s at port %d, want %d", pod.Name, *slice.Ports[0].Port, want)
			}
		}
	}
	if len(pods) > 0 {
		t.Fatalf("%d pods in no slice", len(pods))
	}
	if result := plan(w); len(result.Actions) > 0 {
		t.Fatalf("a second plan still acts: %v", result.Actions)
	}
}
