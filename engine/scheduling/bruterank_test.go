package scheduling

import (
	"math"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// rank is the weighted sum of all scores for each feasible node.
func (b *brute) rank(p *corev1.Pod, nodes []*corev1.Node) []int64 {
	total := make([]int64, len(nodes))
	add := func(weight int64, scores []int64) {
		for i, s := range scores {
			total[i] += weight * s
		}
	}
	each := func(f func(n *corev1.Node) int64) []int64 {
		out := make([]int64, len(nodes))
		for i, n := range nodes {
			out[i] = f(n)
		}
		return out
	}
	add(3, share(each(func(n *corev1.Node) int64 { return intolerable(p, n) }), true))
	add(2, share(each(func(n *corev1.Node) int64 { return preferred(p, n) }), false))
	add(2, b.softSpread(p, nodes))
	add(2, b.attraction(p, nodes))
	add(1, each(func(n *corev1.Node) int64 { return b.leastAllocated(p, n) }))
	add(1, each(func(n *corev1.Node) int64 { return b.balanced(p, n) }))
	add(1, each(func(n *corev1.Node) int64 { return b.imageLocality(p, n) }))
	return total
}

// share scales to 0..100 by the highest; reverse turns it around.
func share(scores []int64, reverse bool) []int64 {
	top := slices.Max(scores)
	for i, s := range scores {
		v := int64(0)
		if top > 0 {
			v = 100 * s / top
		}
		if reverse {
			v = 100 - v
		}
		scores[i] = v
	}
	return scores
}

func intolerable(p *corev1.Pod, n *corev1.Node) (count int64) {
	for _, t := range n.Spec.Taints {
		if t.Effect == corev1.TaintEffectPreferNoSchedule && !tolerated(p, t) {
			count++
		}
	}
	return count
}

func preferred(p *corev1.Pod, n *corev1.Node) (sum int64) {
	if p.Spec.Affinity == nil || p.Spec.Affinity.NodeAffinity == nil {
		return 0
	}
	for _, t := range p.Spec.Affinity.NodeAffinity.PreferredDuringSchedulingIgnoredDuringExecution {
		if termFits(t.Preference, n) {
			sum += int64(t.Weight)
		}
	}
	return sum
}

func (b *brute) leastAllocated(p *corev1.Pod, n *corev1.Node) int64 {
	sum, weights := int64(0), int64(0)
	for name, missing := range map[corev1.ResourceName]int64{corev1.ResourceCPU: 100, corev1.ResourceMemory: 200 << 20} {
		has := room(n, name)
		if has == 0 {
			continue
		}
		weights++
		if used := b.used(n, name, missing) + asks(p, name, missing); used <= has {
			sum += (has - used) * 100 / has
		}
	}
	if weights == 0 {
		return 0
	}
	return sum / weights
}

func (b *brute) balanced(p *corev1.Pod, n *corev1.Node) int64 {
	if asks(p, corev1.ResourceCPU, 0) == 0 && asks(p, corev1.ResourceMemory, 0) == 0 {
		return 0
	}
	deviation := func(with int64) int64 {
		var shares []float64
		for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
			if has := room(n, name); has > 0 {
				shares = append(shares, min(1, float64(b.used(n, name, 0)+with*asks(p, name, 0))/float64(has)))
			}
		}
		std := 0.0
		if len(shares) == 2 {
			std = math.Abs(shares[0]-shares[1]) / 2
		}
		return int64((1 - std) * 100)
	}
	return 50 + (50+deviation(1)-deviation(0))/2
}

func (b *brute) imageLocality(p *corev1.Pod, n *corev1.Node) int64 {
	size := func(o *corev1.Node, name string) (int64, bool) {
		for _, i := range o.Status.Images {
			if slices.Contains(i.Names, name) {
				return i.SizeBytes, true
			}
		}
		return 0, false
	}
	sum, count := int64(0), int64(0)
	for _, containers := range [][]corev1.Container{p.Spec.InitContainers, p.Spec.Containers} {
		for _, c := range containers {
			count++
			bytes, here := size(n, imageName(c.Image))
			if !here {
				continue
			}
			have := 0
			for _, o := range b.nodes {
				if _, ok := size(o, imageName(c.Image)); ok {
					have++
				}
			}
			sum += int64(float64(bytes) * (float64(have) / float64(len(b.nodes))))
		}
	}
	low, high := int64(23<<20), count*1000<<20
	return 100 * (min(max(sum, low), high) - low) / (high - low)
}

// defaultSpread is what a pod that asks for no spread gets: by host and zone, from
// what the Services that select it select together.
func (b *brute) defaultSpread(p *corev1.Pod) []corev1.TopologySpreadConstraint {
	merged := map[string]string{}
	for _, s := range b.services {
		if s.Namespace == p.Namespace && labelsFit(&metav1.LabelSelector{MatchLabels: s.Spec.Selector}, p.Labels) {
			for k, v := range s.Spec.Selector {
				merged[k] = v
			}
		}
	}
	if len(p.Spec.TopologySpreadConstraints) > 0 || len(merged) == 0 {
		return nil
	}
	s := &metav1.LabelSelector{MatchLabels: merged}
	return []corev1.TopologySpreadConstraint{
		{TopologyKey: corev1.LabelHostname, MaxSkew: 3, LabelSelector: s, WhenUnsatisfiable: corev1.ScheduleAnyway},
		{TopologyKey: corev1.LabelTopologyZone, MaxSkew: 5, LabelSelector: s, WhenUnsatisfiable: corev1.ScheduleAnyway},
	}
}

func (b *brute) softSpread(p *corev1.Pod, nodes []*corev1.Node) []int64 {
	soft, strict := spreads(p, corev1.ScheduleAnyway), true
	if d := b.defaultSpread(p); d != nil {
		soft, strict = d, false
	}
	out := make([]int64, len(nodes))
	if len(soft) == 0 {
		return out
	}
	ignored := func(n *corev1.Node) bool { return strict && !hasKeys(n, soft) }
	raw := make([]float64, len(nodes))
	for i := range soft {
		t := &soft[i]
		s := spreadSelector(p, t)
		domains := map[string]bool{}
		counted := 0
		for _, n := range nodes {
			if !ignored(n) {
				domains[n.Labels[t.TopologyKey]] = true
				counted++
			}
		}
		size := len(domains)
		if t.TopologyKey == corev1.LabelHostname {
			size = counted
		}
		for j, n := range nodes {
			value, has := n.Labels[t.TopologyKey]
			if !has {
				continue
			}
			count := 0
			if t.TopologyKey == corev1.LabelHostname {
				count = b.spreadCount(p.Namespace, s, n)
			} else {
				for _, o := range b.nodes {
					if o.Labels[t.TopologyKey] == value && !ignored(o) && included(p, t, o) {
						count += b.spreadCount(p.Namespace, s, o)
					}
				}
			}
			raw[j] += float64(count)*math.Log(float64(size+2)) + float64(t.MaxSkew-1)
		}
	}
	low, high := int64(math.MaxInt64), int64(0)
	for j, n := range nodes {
		if !ignored(n) {
			v := int64(math.Round(raw[j]))
			low, high = min(low, v), max(high, v)
		}
	}
	for j, n := range nodes {
		switch {
		case ignored(n):
		case high == 0:
			out[j] = 100
		default:
			out[j] = 100 * (high + low - int64(math.Round(raw[j]))) / high
		}
	}
	return out
}

// attraction is preferred pod affinity both ways, and the pull of other pods'
// required affinity.
func (b *brute) attraction(p *corev1.Pod, nodes []*corev1.Node) []int64 {
	raw := make([]int64, len(nodes))
	for i, n := range nodes {
		for _, o := range b.pods {
			pull := func(owner, other *corev1.Pod, terms []corev1.WeightedPodAffinityTerm, sign int64) {
				for j := range terms {
					t := &terms[j].PodAffinityTerm
					if b.termSelects(owner, t, other) && b.together(o, n, t.TopologyKey) {
						raw[i] += sign * int64(terms[j].Weight)
					}
				}
			}
			_, mine := near(p)
			_, notMine := apart(p)
			hard, theirs := near(o)
			_, notTheirs := apart(o)
			pull(p, o, mine, 1)
			pull(p, o, notMine, -1)
			pull(o, p, theirs, 1)
			pull(o, p, notTheirs, -1)
			for j := range hard {
				if b.termSelects(o, &hard[j], p) && b.together(o, n, hard[j].TopologyKey) {
					raw[i]++
				}
			}
		}
	}
	low, high := slices.Min(raw), slices.Max(raw)
	out := make([]int64, len(nodes))
	for i, v := range raw {
		if high > low {
			out[i] = int64(100 * (float64(v-low) / float64(high-low)))
		}
	}
	return out
}
