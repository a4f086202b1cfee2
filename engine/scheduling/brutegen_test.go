package scheduling

import (
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
)

var bruteClusters = flag.Int("brute.clusters", 400, "how many small clusters TestBruteForce generates")

// TestBruteForce compares, in generated small clusters, which nodes the engine
// believes each pod may go to, which node the strategy chooses and the score it
// gives that node with what plain loops over the documented semantics say.
func TestBruteForce(t *testing.T) {
	pairs, choices := 0, 0
	for seed := range *bruteClusters {
		g := &generator{rand.New(rand.NewPCG(uint64(seed), 5))}
		p, c := bruteCluster(t, g, seed)
		pairs, choices = pairs+p, choices+c
		if t.Failed() {
			return
		}
	}
	t.Logf("%d clusters: %d pairs of pod and node, %d choices", *bruteClusters, pairs, choices)
}

// bruteCluster makes one cluster, changes it, and has pods scheduled one by one.
func bruteCluster(t *testing.T, g *generator, seed int) (pairs, choices int) {
	w := newWorld(t, nil)
	b := &brute{namespaces: map[string]map[string]string{}}
	for i, name := range []string{"default", "other"} {
		b.namespaces[name] = map[string]string{"team": fmt.Sprint("t", i)}
		must(t, w.config.Informers.Core().V1().Namespaces().Informer().GetIndexer().Add(
			&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: b.namespaces[name]}}))
	}
	if g.one(2) {
		s := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "s", Namespace: "default"},
			Spec: corev1.ServiceSpec{Selector: map[string]string{"app": g.pick("web", "db")}}}
		b.services = append(b.services, s)
		must(t, w.config.Informers.Core().V1().Services().Informer().GetIndexer().Add(s))
	}
	for i := range 2 + g.IntN(7) {
		n := g.node(fmt.Sprint("n", i))
		b.nodes = append(b.nodes, n)
		w.observe(event{newNode: n}, time.Now())
	}
	for i := range 4 + g.IntN(12) {
		if g.one(4) {
			g.disturb(w, b)
		}
		p := g.pod(fmt.Sprint("p", i))
		w.observe(event{newPod: p}, time.Now())
		groups := w.group(w.queue.pop(1))
		if len(groups) != 1 {
			t.Fatalf("cluster %d: pod %d is not queued", seed, i)
		}
		var fit []*corev1.Node
		for _, n := range b.nodes {
			want := b.feasible(p, n)
			if failed := w.cluster.check(groups[0].class, w.cluster.nodes[n.Name]); (failed == 0) != want {
				t.Fatalf("cluster %d, pod %s, node %s: feasible is %v, the engine says %v\n%s", seed, p.Name, n.Name, want,
					w.cluster.messages(groups[0].class, w.cluster.nodes[n.Name], failed), b.dump(p))
			}
			if want {
				fit = append(fit, n)
			}
			pairs++
		}
		asked := b.askAll(t, w, seed, p, fit)
		answer, err := w.fallback.Placer.Place(t.Context(), w.cluster.snap, w.batch(groups))
		must(t, err)
		r := answer.Results[0]
		b.judge(t, w, seed, p, fit, int(r.Node), int64(r.Score))
		if _, err := w.accept(groups, answer.Results, decisionInput{now: time.Now()}); err != nil {
			t.Fatalf("cluster %d, pod %s: %v", seed, p.Name, err)
		}
		if r.Node < 0 {
			w.observe(event{oldPod: p}, time.Now())
			continue
		}
		choices++
		bound := p.DeepCopy()
		bound.Spec.NodeName = (<-w.bindings).node
		w.observe(event{newPod: bound}, time.Now())
		// The pod itself is nothing to its own question.
		if diff := cmp.Diff(asked, b.askAll(t, w, seed, bound, fit)); diff != "" {
			t.Fatalf("cluster %d, pod %s: asked before and after it was bound:\n%s\n%s", seed, p.Name, diff, b.dump(p))
		}
		b.pods = append(b.pods, bound)
	}
	return pairs, choices
}

// askAll asks about the pod on every node and checks the answers against which nodes
// fit and how they rank; it returns their scores.
func (b *brute) askAll(t *testing.T, w *world, seed int, p *corev1.Pod, fit []*corev1.Node) map[string]int32 {
	scores := map[string]int32{}
	var ranks []int64
	if len(fit) > 0 {
		ranks = b.rank(p, fit)
	}
	for _, n := range b.nodes {
		j, err := w.Scheduler.judge(p, n.Name)
		must(t, err)
		i := slices.Index(fit, n)
		if j.Fits() != (i >= 0) || (j.Score != nil) != (i >= 0) || j.Feasible != len(fit) || j.Candidates != len(b.nodes) {
			t.Fatalf("cluster %d, pod %s, node %s: index %d of %d that fit, the engine says %+v\n%s", seed, p.Name, n.Name, i, len(fit), j, b.dump(p))
		}
		if i < 0 {
			continue
		}
		better := 0
		for _, r := range ranks {
			if r > ranks[i] {
				better++
			}
		}
		if int64(j.Score.Score) != ranks[i] || j.Rank != better+1 {
			t.Fatalf("cluster %d, pod %s, node %s: score %d, the engine says %+v\n%s", seed, p.Name, n.Name, ranks[i], j, b.dump(p))
		}
		scores[n.Name] = j.Score.Score
	}
	return scores
}

// judge checks the choice and its score against the ranking.
func (b *brute) judge(t *testing.T, w *world, seed int, p *corev1.Pod, fit []*corev1.Node, row int, score int64) {
	if row < 0 || len(fit) == 0 {
		if row >= 0 || len(fit) > 0 {
			t.Fatalf("cluster %d, pod %s: row %d chosen, %d nodes fit", seed, p.Name, row, len(fit))
		}
		return
	}
	ranks := b.rank(p, fit)
	i := slices.IndexFunc(fit, func(n *corev1.Node) bool { return n.Name == w.cluster.rows[row].name })
	if i < 0 || ranks[i] != slices.Max(ranks) || ranks[i] != score {
		var names []string
		for j, n := range fit {
			names = append(names, fmt.Sprintf("%s=%d", n.Name, ranks[j]))
		}
		t.Fatalf("cluster %d, pod %s: %s chosen with score %d, the ranking is %v (spread %v, pods %v)\n%s", seed, p.Name,
			w.cluster.rows[row].name, score, names, b.softSpread(p, fit), b.attraction(p, fit), b.dump(p))
	}
}

func (b *brute) dump(p *corev1.Pod) string {
	spec, err := json.Marshal(p.Spec)
	if err != nil {
		return err.Error()
	}
	out := fmt.Sprintf("pod %s/%s %v %s\n", p.Namespace, p.Name, p.Labels, spec)
	for _, n := range b.nodes {
		out += fmt.Sprintf("node %s %v %v %v %v:", n.Name, n.Labels, n.Spec.Taints, n.Spec.Unschedulable, n.Status.Allocatable)
		for _, o := range b.on(n.Name) {
			out += fmt.Sprintf(" %s/%s %v deleted %v", o.Namespace, o.Name, o.Labels, o.DeletionTimestamp != nil)
		}
		out += "\n"
	}
	return out
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// generator draws clusters.
type generator struct{ *rand.Rand }

func (g *generator) one(in int) bool             { return g.IntN(in) == 0 }
func (g *generator) pick(from ...string) string  { return from[g.IntN(len(from))] }
func (g *generator) number(from ...int32) *int32 { return ptr.To(from[g.IntN(len(from))]) }
func (g *generator) amount(from ...string) resource.Quantity {
	return resource.MustParse(g.pick(from...))
}

// disturb deletes, ends or changes something.
func (g *generator) disturb(w *world, b *brute) {
	switch i := g.IntN(4); {
	case i == 0 && len(b.pods) > 0:
		j := g.IntN(len(b.pods))
		w.observe(event{oldPod: b.pods[j]}, time.Now())
		b.pods = slices.Delete(b.pods, j, j+1)
	case i == 1 && len(b.pods) > 0:
		j := g.IntN(len(b.pods))
		p := b.pods[j].DeepCopy()
		p.DeletionTimestamp = ptr.To(metav1.Now())
		b.pods[j] = p
		w.observe(event{newPod: p}, time.Now())
	case i == 2:
		j := g.IntN(len(b.nodes))
		b.nodes[j] = g.node(b.nodes[j].Name)
		w.observe(event{newNode: b.nodes[j]}, time.Now())
	case len(b.nodes) > 1:
		j := g.IntN(len(b.nodes))
		w.observe(event{oldNode: b.nodes[j]}, time.Now())
		name := b.nodes[j].Name
		b.nodes = slices.Delete(b.nodes, j, j+1)
		for _, p := range b.pods {
			if p.Spec.NodeName == name {
				w.observe(event{oldPod: p}, time.Now())
			}
		}
		b.pods = slices.DeleteFunc(b.pods, func(p *corev1.Pod) bool { return p.Spec.NodeName == name })
	}
}

func (g *generator) node(name string) *corev1.Node {
	return makeNode(name, func(n *corev1.Node) {
		if !g.one(5) {
			n.Labels[corev1.LabelTopologyZone] = g.pick("z1", "z2", "z3")
		}
		if g.one(2) {
			n.Labels["disk"] = g.pick("ssd", "hdd")
		}
		if g.one(3) {
			n.Labels["size"] = g.pick("1", "5", "9", "x")
		}
		n.Spec.Unschedulable = g.one(12)
		for _, e := range []corev1.TaintEffect{corev1.TaintEffectNoSchedule, corev1.TaintEffectPreferNoSchedule, corev1.TaintEffectPreferNoSchedule, corev1.TaintEffectNoExecute} {
			t := corev1.Taint{Key: g.pick("k1", "k2"), Value: g.pick("", "v"), Effect: e}
			if g.one(6) && !slices.ContainsFunc(n.Spec.Taints, func(o corev1.Taint) bool { return o.MatchTaint(&t) }) {
				n.Spec.Taints = append(n.Spec.Taints, t)
			}
		}
		n.Status.Allocatable = corev1.ResourceList{
			corev1.ResourceCPU: g.amount("1", "4", "3", "16"), corev1.ResourceMemory: g.amount("1Gi", "4Gi", "3000M", "64Gi"),
			corev1.ResourcePods: g.amount("2", "5", "110"), corev1.ResourceEphemeralStorage: g.amount("1Gi", "10Gi"),
		}
		if g.one(15) {
			delete(n.Status.Allocatable, corev1.ResourceName(g.pick("cpu", "memory")))
		}
		if g.one(3) {
			n.Status.Allocatable["example.com/gpu"] = resource.MustParse("2")
		}
		for _, image := range []string{"web:1", "db:latest", "big:2"} {
			if g.one(3) {
				n.Status.Images = append(n.Status.Images, corev1.ContainerImage{Names: []string{image, "alias/" + image}, SizeBytes: int64(10+g.IntN(1500)) << 20})
			}
		}
	})
}

func (g *generator) selector() *metav1.LabelSelector {
	switch g.IntN(8) {
	case 0:
		return &metav1.LabelSelector{}
	case 1:
		return nil
	case 2:
		return &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "app", Operator: "NotIn", Values: []string{"web"}}}}
	case 3:
		return &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "tier", Operator: "Exists"}}}
	}
	return &metav1.LabelSelector{MatchLabels: map[string]string{"app": g.pick("web", "db")}}
}

func (g *generator) key() string {
	return g.pick(corev1.LabelTopologyZone, corev1.LabelTopologyZone, corev1.LabelHostname, "disk")
}

func (g *generator) requirement() corev1.NodeSelectorRequirement {
	r := corev1.NodeSelectorRequirement{Key: g.pick("disk", corev1.LabelTopologyZone), Operator: corev1.NodeSelectorOperator(g.pick("In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"))}
	switch r.Operator {
	case "In", "NotIn":
		r.Values = []string{g.pick("ssd", "z1"), g.pick("hdd", "z2")}
	case "Gt", "Lt":
		r.Key, r.Values = "size", []string{"4"}
	}
	return r
}

func (g *generator) term() corev1.PodAffinityTerm {
	t := corev1.PodAffinityTerm{TopologyKey: g.key(), LabelSelector: g.selector()}
	switch g.IntN(4) {
	case 0:
		t.Namespaces = []string{g.pick("default", "other")}
	case 1:
		t.NamespaceSelector = &metav1.LabelSelector{}
		if g.one(2) {
			t.NamespaceSelector.MatchLabels = map[string]string{"team": g.pick("t0", "t1")}
		}
	}
	return t
}

func (g *generator) spread() corev1.TopologySpreadConstraint {
	t := corev1.TopologySpreadConstraint{TopologyKey: g.key(), MaxSkew: *g.number(1, 1, 2), LabelSelector: g.selector(),
		WhenUnsatisfiable: corev1.UnsatisfiableConstraintAction(g.pick("DoNotSchedule", "ScheduleAnyway"))}
	if t.WhenUnsatisfiable == corev1.DoNotSchedule && g.one(3) {
		t.MinDomains = g.number(1, 2, 4)
	}
	if g.one(3) {
		t.NodeAffinityPolicy = ptr.To(corev1.NodeInclusionPolicy(g.pick("Honor", "Ignore")))
	}
	if g.one(3) {
		t.NodeTaintsPolicy = ptr.To(corev1.NodeInclusionPolicy(g.pick("Honor", "Ignore")))
	}
	if t.LabelSelector != nil && g.one(4) {
		t.MatchLabelKeys = []string{"tier"}
	}
	return t
}

func (g *generator) container() corev1.Container {
	c := corev1.Container{Name: "c", Image: g.pick("web:1", "db", "alias/big:2", "unknown"), Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{}}}
	if !g.one(3) {
		c.Resources.Requests[corev1.ResourceCPU] = g.amount("0", "100m", "250m", "1")
	}
	if !g.one(3) {
		c.Resources.Requests[corev1.ResourceMemory] = g.amount("64Mi", "500M", "1Gi")
	}
	if g.one(8) {
		c.Resources.Requests["example.com/gpu"] = resource.MustParse("1")
	}
	if g.one(8) {
		c.Resources.Requests[corev1.ResourceEphemeralStorage] = resource.MustParse("600Mi")
	}
	if g.one(6) {
		c.Ports = []corev1.ContainerPort{{HostPort: *g.number(80, 81), HostIP: g.pick("", "0.0.0.0", "10.0.0.1", "10.0.0.2"), Protocol: corev1.Protocol(g.pick("TCP", "UDP"))}}
	}
	return c
}

func (g *generator) pod(name string) *corev1.Pod {
	p := makePod(name)
	p.Namespace, p.UID = g.pick("default", "default", "other"), types.UID(name)
	p.Labels = map[string]string{"app": g.pick("web", "db")}
	if g.one(2) {
		p.Labels["tier"] = g.pick("a", "b")
	}
	s := &p.Spec
	s.Containers = []corev1.Container{g.container()}
	if g.one(4) {
		s.Containers = append(s.Containers, g.container())
	}
	for range g.IntN(3) {
		c := g.container()
		c.Ports = nil
		if g.one(2) {
			c.RestartPolicy = ptr.To(corev1.ContainerRestartPolicyAlways)
		}
		s.InitContainers = append(s.InitContainers, c)
	}
	if g.one(8) {
		s.Overhead = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("50m")}
	}
	if g.one(6) {
		s.NodeSelector = map[string]string{"disk": g.pick("ssd", "hdd")}
	}
	for range g.IntN(3) {
		s.Tolerations = append(s.Tolerations, corev1.Toleration{Key: g.pick("k1", "k2"), Operator: corev1.TolerationOperator(g.pick("Exists", "Equal", "")),
			Value: "", Effect: corev1.TaintEffect(g.pick("", "NoSchedule", "PreferNoSchedule"))})
	}
	for range g.IntN(3) {
		if g.one(2) {
			s.TopologySpreadConstraints = append(s.TopologySpreadConstraints, g.spread())
		}
	}
	g.affinity(s)
	return p
}

func (g *generator) affinity(s *corev1.PodSpec) {
	a := &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{}, PodAffinity: &corev1.PodAffinity{}, PodAntiAffinity: &corev1.PodAntiAffinity{}}
	if g.one(5) {
		required := &corev1.NodeSelector{}
		for range 1 + g.IntN(2) {
			t := corev1.NodeSelectorTerm{MatchExpressions: []corev1.NodeSelectorRequirement{g.requirement()}}
			if g.one(5) {
				t.MatchFields = []corev1.NodeSelectorRequirement{{Key: "metadata.name", Operator: "In", Values: []string{"n1"}}}
			}
			required.NodeSelectorTerms = append(required.NodeSelectorTerms, t)
		}
		a.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution = required
	}
	for range g.IntN(3) {
		a.NodeAffinity.PreferredDuringSchedulingIgnoredDuringExecution = append(a.NodeAffinity.PreferredDuringSchedulingIgnoredDuringExecution,
			corev1.PreferredSchedulingTerm{Weight: *g.number(1, 7, 30), Preference: corev1.NodeSelectorTerm{MatchExpressions: []corev1.NodeSelectorRequirement{g.requirement()}}})
	}
	weighted := func(out *[]corev1.WeightedPodAffinityTerm) {
		for g.one(4) {
			*out = append(*out, corev1.WeightedPodAffinityTerm{Weight: *g.number(1, 10, 33), PodAffinityTerm: g.term()})
		}
	}
	weighted(&a.PodAffinity.PreferredDuringSchedulingIgnoredDuringExecution)
	weighted(&a.PodAntiAffinity.PreferredDuringSchedulingIgnoredDuringExecution)
	for g.one(7) {
		a.PodAffinity.RequiredDuringSchedulingIgnoredDuringExecution = append(a.PodAffinity.RequiredDuringSchedulingIgnoredDuringExecution, g.term())
	}
	for g.one(7) {
		a.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution = append(a.PodAntiAffinity.RequiredDuringSchedulingIgnoredDuringExecution, g.term())
	}
	s.Affinity = a
}
