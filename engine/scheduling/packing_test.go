package scheduling

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pintle-io/pintle/wasm/strategies/scheduling"
)

// TestPackingFillsNodes: the stock strategy takes another node only when one is full,
// for pods of one kind and for pods that all differ.
func TestPackingFillsNodes(t *testing.T) {
	for name, tc := range map[string]struct {
		packing bool
		change  func(i int, p *corev1.Pod)
		want    []int
	}{
		"by default they are spread": {change: func(int, *corev1.Pod) {}, want: []int{4, 4, 4, 4, 4}},
		"alike":                      {packing: true, change: func(int, *corev1.Pod) {}, want: []int{8, 8, 4}},
		"small ones that are spread by default": {packing: true, want: []int{20}, change: func(_ int, p *corev1.Pod) {
			p.Spec.Containers[0].Resources.Requests = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("100m")}
			p.Spec.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{{
				MaxSkew: 3, TopologyKey: corev1.LabelHostname, WhenUnsatisfiable: corev1.ScheduleAnyway,
				LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}},
			}}
		}},
		"each of its own": {packing: true, change: func(i int, p *corev1.Pod) { p.Labels["n"] = fmt.Sprint(i) }, want: []int{8, 8, 4}},
		"a spread that is asked for hard goes first": {packing: true, want: []int{4, 4, 4, 4, 4}, change: func(_ int, p *corev1.Pod) {
			p.Spec.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{{
				MaxSkew: 1, TopologyKey: corev1.LabelHostname, WhenUnsatisfiable: corev1.DoNotSchedule,
				LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}},
			}}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, &scheduling.Native{Packing: tc.packing})
			for i := range 5 {
				w.addNode(makeNode(fmt.Sprintf("n%d", i)))
			}
			for i := range 20 {
				w.addPod(makePod(fmt.Sprintf("p%02d", i), asking(corev1.ResourceCPU, "4"), asking(corev1.ResourceMemory, "32Gi"),
					func(p *corev1.Pod) { tc.change(i, p) }))
			}
			w.start()
			var got []int
			for _, n := range w.bound(20) {
				got = append(got, n)
			}
			slices.SortFunc(got, func(a, b int) int { return b - a })
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("pods per node (-want +got):\n%s", diff)
			}
		})
	}
}
