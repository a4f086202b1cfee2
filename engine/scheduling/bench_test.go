package scheduling

import (
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// BenchmarkSchedule is the loop's part of scheduling, from pods as the informer
// hands them over to choices verified and accounted for: no API, native strategy.
func BenchmarkSchedule(b *testing.B) {
	web := &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}}
	for _, kind := range []struct {
		name  string
		model func(i int, p *corev1.Pod)
	}{
		{"one class", func(int, *corev1.Pod) {}},
		{"groups of 100 apart", func(i int, p *corev1.Pod) {
			p.Labels = map[string]string{"app": fmt.Sprint("g", i/100)}
			p.Spec.Affinity = &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{
				RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{{
					TopologyKey: corev1.LabelHostname, LabelSelector: &metav1.LabelSelector{MatchLabels: p.Labels},
				}},
			}}
		}},
		{"zone spread", func(_ int, p *corev1.Pod) {
			p.Spec.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{{
				TopologyKey: corev1.LabelTopologyZone, MaxSkew: 1, WhenUnsatisfiable: corev1.ScheduleAnyway, LabelSelector: web,
			}}
		}},
	} {
		b.Run(kind.name, func(b *testing.B) {
			const nodes, pods = 5000, 2000
			for b.Loop() {
				b.StopTimer()
				w := newWorld(b, nil)
				for i := range nodes {
					w.observe(event{newNode: makeNode(fmt.Sprint("n", i), inZone(fmt.Sprint("z", i%3)))}, time.Now())
				}
				all := make([]*corev1.Pod, pods)
				for i := range all {
					all[i] = makePod(fmt.Sprint("p", i))
					kind.model(i, all[i])
				}
				b.StartTimer()
				for _, p := range all {
					w.observe(event{newPod: p}, time.Now())
				}
				for {
					now := time.Now()
					batch := w.queue.pop(batchPods)
					if len(batch) == 0 {
						break
					}
					w.schedule(b.Context(), batch, now)
				}
				if len(w.bindings) != pods {
					b.Fatalf("%d pods placed", len(w.bindings))
				}
			}
			b.ReportMetric(pods*float64(b.N)/b.Elapsed().Seconds(), "pods/s")
		})
	}
}
