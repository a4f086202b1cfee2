package scheduling

import (
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	policylisters "k8s.io/client-go/listers/policy/v1"
	"k8s.io/client-go/tools/cache"
)

func prioritised(n int32) func(*corev1.Pod) {
	return func(p *corev1.Pod) { p.Spec.Priority = &n }
}

func on(node string) func(*corev1.Pod) {
	return func(p *corev1.Pod) { p.Spec.NodeName = node }
}

func labelled(app string) func(*corev1.Pod) {
	return func(p *corev1.Pod) { p.Labels = map[string]string{"app": app} }
}

func TestPreemption(t *testing.T) {
	cpu := func(n string) func(*corev1.Pod) { return asking(corev1.ResourceCPU, n) }
	budget := &policyv1.PodDisruptionBudget{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "guarded"},
		Spec:       policyv1.PodDisruptionBudgetSpec{Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "guarded"}}},
	}
	never := corev1.PreemptNever
	for name, tc := range map[string]struct {
		pods    []*corev1.Pod // on n0 and n1, of 32 CPU
		pod     *corev1.Pod
		victims []string // nil: it stays pending
	}{
		"the least important goes": {
			[]*corev1.Pod{
				makePod("a", cpu("20"), prioritised(5), on("n0")), makePod("b", cpu("10"), prioritised(1), on("n0")),
				makePod("c", cpu("30"), prioritised(5), on("n1")),
			},
			makePod("high", cpu("8"), prioritised(10)), []string{"b"},
		},
		"only as many as must": {
			[]*corev1.Pod{
				makePod("a", cpu("16"), prioritised(1), on("n0")), makePod("b", cpu("16"), prioritised(2), on("n0")),
				makePod("c", cpu("30"), prioritised(20), on("n1")),
			},
			makePod("high", cpu("16"), prioritised(10)), []string{"a"},
		},
		"a budget is kept if it can be": {
			[]*corev1.Pod{
				makePod("a", cpu("30"), prioritised(1), on("n0"), labelled("guarded")), makePod("b", cpu("30"), prioritised(5), on("n1")),
			},
			makePod("high", cpu("16"), prioritised(10)), []string{"b"},
		},
		"equals stay": {
			[]*corev1.Pod{makePod("a", cpu("30"), prioritised(10), on("n0")), makePod("b", cpu("30"), prioritised(10), on("n1"))},
			makePod("high", cpu("16"), prioritised(10)), nil,
		},
		"never": {
			[]*corev1.Pod{makePod("a", cpu("30"), on("n0")), makePod("b", cpu("30"), on("n1"))},
			makePod("high", cpu("16"), prioritised(10), func(p *corev1.Pod) { p.Spec.PreemptionPolicy = &never }), nil,
		},
		"a selector is not helped by it": {
			[]*corev1.Pod{makePod("a", cpu("30"), on("n0")), makePod("b", cpu("30"), on("n1"))},
			makePod("high", cpu("16"), prioritised(10), func(p *corev1.Pod) { p.Spec.NodeSelector = map[string]string{"x": "y"} }), nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, nil)
			indexer := cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc})
			if err := indexer.Add(budget); err != nil {
				t.Fatal(err)
			}
			w.config.Budgets = policylisters.NewPodDisruptionBudgetLister(indexer)
			w.addNode(makeNode("n0"))
			w.addNode(makeNode("n1"))
			for _, p := range tc.pods {
				w.addPod(p)
			}
			w.addPod(tc.pod)
			w.start()
			if tc.victims == nil {
				w.event("FailedScheduling high")
			} else {
				w.event("Scheduled high")
			}
			var gone []string
			w.until("pods", func(pods map[string]*corev1.Pod, _ []string) bool {
				for _, p := range tc.pods {
					if pods[p.Name] == nil {
						gone = append(gone, p.Name)
					}
				}
				return true
			})
			if !slices.Equal(gone, tc.victims) {
				t.Errorf("evicted %v, want %v", gone, tc.victims)
			}
		})
	}
}
