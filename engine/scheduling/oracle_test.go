package scheduling

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"github.com/pintle-io/pintle/wasm/abi"
)

// TestStrategyAgreesWithVerifier drives random clusters through random changes.
// ask fails if the strategy chooses a node that check refuses, or finds none where
// check, tried on every node, finds one. In the end everything kept step by step
// must equal what is counted anew from the same nodes and pods.
func TestStrategyAgreesWithVerifier(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(t, nil)
		var nodes []string
		var pods []*corev1.Pod
		for step := range rapid.IntRange(1, 8).Draw(rt, "steps") {
			for range rapid.IntRange(0, 6).Draw(rt, "nodes") {
				name := fmt.Sprintf("n%d", rapid.IntRange(0, 20).Draw(rt, "node"))
				w.observe(event{newNode: drawnNode(rt, name)}, time.Now())
				nodes = append(nodes, name)
			}
			if len(nodes) > 0 && rapid.IntRange(0, 3).Draw(rt, "drop") == 0 {
				name := rapid.SampledFrom(nodes).Draw(rt, "dropped")
				w.observe(event{oldNode: makeNode(name)}, time.Now())
			}
			if len(pods) > 0 && rapid.Bool().Draw(rt, "delete") {
				w.observe(event{oldPod: rapid.SampledFrom(pods).Draw(rt, "deleted")}, time.Now())
			}
			for i := range rapid.IntRange(1, 4).Draw(rt, "workloads") {
				model := drawnPod(rt)
				for j := range rapid.IntRange(1, 8).Draw(rt, "replicas") {
					p := makePod(fmt.Sprintf("p%d-%d-%d", step, i, j))
					p.Labels, p.Spec = model.Labels, model.Spec
					pods = append(pods, p)
					w.observe(event{newPod: p}, time.Now())
				}
			}
			groups := w.group(w.queue.pop(batchPods))
			if len(groups) == 0 || w.cluster.present == 0 {
				continue
			}
			if _, err := w.ask(rt.Context(), &w.fallback, groups, decisionInput{now: time.Now()}); err != nil {
				rt.Fatalf("step %d: %v", step, err)
			}
			for len(w.bindings) > 0 {
				b := <-w.bindings
				bound := b.pod.DeepCopy()
				bound.Spec.NodeName = b.node
				w.observe(event{newPod: bound}, time.Now())
			}
		}
		compareWithFresh(rt, w)
	})
}

// compareWithFresh counts everything anew and compares.
func compareWithFresh(t *rapid.T, w *world) {
	fresh := newCluster()
	fresh.namespaces = w.cluster.namespaces
	for _, p := range w.cluster.pods {
		fresh.place(p.pod, fresh.classOf(p.pod), p.node.name, false)
	}
	for _, n := range w.cluster.rows {
		if n != nil {
			fresh.setNode(n.node)
		}
	}
	for sign, cl := range w.cluster.classes {
		freshClass := fresh.classOf(cl.sample)
		if freshClass.signature != sign {
			t.Fatalf("signature of a class changed")
		}
		for _, n := range w.cluster.rows {
			if n == nil {
				continue
			}
			got, want := w.cluster.check(cl, n), fresh.check(freshClass, fresh.nodes[n.name])
			if got != want {
				t.Fatalf("%s: reasons %b after changes, %b counted anew", n.name, got, want)
			}
		}
	}
	for slot := range abi.SlotExtended {
		for _, n := range w.cluster.rows {
			if n == nil {
				continue
			}
			got := w.cluster.snap.I64(abi.Free.Column(slot))[n.row]
			if diff := cmp.Diff(fresh.snap.I64(abi.Free.Column(slot))[fresh.nodes[n.name].row], got); diff != "" {
				t.Fatalf("%s slot %d: fresh - kept +\n%s", n.name, slot, diff)
			}
		}
	}
}

func drawnNode(t *rapid.T, name string) *corev1.Node {
	return makeNode(name, func(n *corev1.Node) {
		if z := rapid.IntRange(0, 3).Draw(t, "zone"); z > 0 {
			n.Labels[corev1.LabelTopologyZone] = fmt.Sprint("z", z)
		}
		if rapid.Bool().Draw(t, "disk") {
			n.Labels["disk"] = "ssd"
		}
		n.Spec.Unschedulable = rapid.IntRange(0, 5).Draw(t, "cordon") == 0
		for _, e := range []corev1.TaintEffect{corev1.TaintEffectNoSchedule, corev1.TaintEffectPreferNoSchedule} {
			if rapid.IntRange(0, 3).Draw(t, "taint") == 0 {
				n.Spec.Taints = append(n.Spec.Taints, corev1.Taint{Key: "dedicated", Value: "x", Effect: e})
			}
		}
		for name, amount := range map[corev1.ResourceName]string{
			corev1.ResourceCPU:    rapid.SampledFrom([]string{"500m", "2", "8"}).Draw(t, "cpu"),
			corev1.ResourceMemory: rapid.SampledFrom([]string{"512Mi", "4Gi"}).Draw(t, "memory"),
			corev1.ResourcePods:   rapid.SampledFrom([]string{"3", "110"}).Draw(t, "pods"),
		} {
			n.Status.Allocatable[name] = resource.MustParse(amount)
		}
		if rapid.IntRange(0, 2).Draw(t, "gpu") == 0 {
			n.Status.Allocatable["example.com/gpu"] = resource.MustParse("2")
		}
		if rapid.Bool().Draw(t, "image") {
			n.Status.Images = []corev1.ContainerImage{{Names: []string{"web:1"}, SizeBytes: 500 << 20}}
		}
	})
}

// drawnPod is a random pod template.
func drawnPod(t *rapid.T) *corev1.Pod {
	one := func(name string, n int) bool { return rapid.IntRange(0, n).Draw(t, name) == 0 }
	app := rapid.SampledFrom([]string{"web", "db"}).Draw(t, "app")
	other := &metav1.LabelSelector{MatchLabels: map[string]string{"app": rapid.SampledFrom([]string{"web", "db"}).Draw(t, "other")}}
	key := rapid.SampledFrom([]string{corev1.LabelTopologyZone, corev1.LabelHostname}).Draw(t, "key")
	return makePod("model", labelled(app), func(p *corev1.Pod) {
		s := &p.Spec
		s.Containers[0].Resources.Requests = corev1.ResourceList{}
		if !one("no request", 4) {
			s.Containers[0].Resources.Requests[corev1.ResourceCPU] = resource.MustParse(rapid.SampledFrom([]string{"0", "100m", "1"}).Draw(t, "ask"))
		}
		if one("gpu", 5) {
			s.Containers[0].Resources.Requests["example.com/gpu"] = resource.MustParse("1")
		}
		if one("port", 5) {
			s.Containers[0].Ports = []corev1.ContainerPort{{HostPort: rapid.SampledFrom([]int32{80, 81}).Draw(t, "number"),
				HostIP: rapid.SampledFrom([]string{"", "10.0.0.1", "10.0.0.2"}).Draw(t, "ip")}}
		}
		if one("selector", 4) {
			s.NodeSelector = map[string]string{"disk": "ssd"}
		}
		if one("toleration", 2) {
			s.Tolerations = []corev1.Toleration{{Operator: corev1.TolerationOpExists}}
		}
		if one("spread", 2) {
			least := rapid.Int32Range(1, 3).Draw(t, "least")
			s.TopologySpreadConstraints = append(s.TopologySpreadConstraints, corev1.TopologySpreadConstraint{
				TopologyKey: key, MaxSkew: rapid.Int32Range(1, 2).Draw(t, "skew"), LabelSelector: other,
				WhenUnsatisfiable: corev1.DoNotSchedule, MinDomains: &least,
			})
		}
		if one("soft spread", 3) {
			s.TopologySpreadConstraints = append(s.TopologySpreadConstraints, corev1.TopologySpreadConstraint{
				TopologyKey: key, MaxSkew: 1, LabelSelector: other, WhenUnsatisfiable: corev1.ScheduleAnyway,
			})
		}
		term := corev1.PodAffinityTerm{TopologyKey: key, LabelSelector: other}
		s.Affinity = &corev1.Affinity{PodAffinity: &corev1.PodAffinity{}, PodAntiAffinity: &corev1.PodAntiAffinity{}}
		weighted := []corev1.WeightedPodAffinityTerm{{Weight: 10, PodAffinityTerm: term}}
		if one("near", 4) {
			s.Affinity.PodAffinity.RequiredDuringSchedulingIgnoredDuringExecution = []corev1.PodAffinityTerm{term}
		}
		if one("rather near", 4) {
			s.Affinity.PodAffinity.PreferredDuringSchedulingIgnoredDuringExecution = weighted
		}
		if one("apart", 4) {
			s.Affinity.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution = []corev1.PodAffinityTerm{term}
		}
		if one("rather apart", 4) {
			s.Affinity.PodAntiAffinity.PreferredDuringSchedulingIgnoredDuringExecution = weighted
		}
	})
}
