package deployment

import (
	"cmp"
	"math"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

func replicas(d *appsv1.Deployment) int32 {
	if d.Spec.Replicas == nil {
		return 1
	}
	return *d.Spec.Replicas
}

func size(rs *appsv1.ReplicaSet) int32 {
	if rs.Spec.Replicas == nil {
		return 1
	}
	return *rs.Spec.Replicas
}

func total(sets []*appsv1.ReplicaSet, of func(*appsv1.ReplicaSet) int32) int32 {
	var n int32
	for _, rs := range sets {
		n += of(rs)
	}
	return n
}

func available(rs *appsv1.ReplicaSet) int32 { return rs.Status.AvailableReplicas }

// fenceposts resolves maxSurge (rounded up) and maxUnavailable (rounded down);
// both zero would be no progress, so one may be unavailable then.
func fenceposts(d *appsv1.Deployment) (surge, unavailable int32) {
	if d.Spec.Strategy.Type != appsv1.RollingUpdateDeploymentStrategyType || d.Spec.Strategy.RollingUpdate == nil {
		return 0, 0
	}
	rolling := d.Spec.Strategy.RollingUpdate
	up, _ := intstr.GetScaledValueFromIntOrPercent(intstr.ValueOrDefault(rolling.MaxSurge, intstr.FromInt32(0)), int(replicas(d)), true)
	down, _ := intstr.GetScaledValueFromIntOrPercent(intstr.ValueOrDefault(rolling.MaxUnavailable, intstr.FromInt32(0)), int(replicas(d)), false)
	if up == 0 && down == 0 {
		down = 1
	}
	return int32(up), min(int32(down), replicas(d))
}

func maxSurge(d *appsv1.Deployment) int32 {
	surge, _ := fenceposts(d)
	return surge
}

// minAvailable is how many pods must stay available during a rolling update.
func minAvailable(d *appsv1.Deployment) int32 {
	_, unavailable := fenceposts(d)
	return replicas(d) - unavailable
}

// pods is how many a set has or is to have, whichever is more: one that shrinks keeps
// its room until its pods go.
func pods(rs *appsv1.ReplicaSet) int32 { return max(size(rs), rs.Status.Replicas) }

// unobserved reports that the controller of a set has not seen its last change.
func unobserved(rs *appsv1.ReplicaSet) bool { return rs.Status.ObservedGeneration < rs.Generation }

// newSize is how large the new ReplicaSet, now of size current, may be next to
// the old ones.
func newSize(d *appsv1.Deployment, old []*appsv1.ReplicaSet, current int32) int32 {
	if d.Spec.Strategy.Type == appsv1.RecreateDeploymentStrategyType {
		return replicas(d)
	}
	room := replicas(d) + maxSurge(d) - total(old, pods) - current
	if room <= 0 {
		return current
	}
	return current + min(room, replicas(d)-current)
}

// growNew scales the new ReplicaSet up as far as maxSurge allows (or down to the
// replicas wanted). It waits for an old set that has not seen its size yet, as that
// one may still make pods it was asked for before.
func (p *plan) growNew() {
	current := size(p.newRS)
	switch {
	case current == replicas(p.d):
	case current > replicas(p.d):
		p.scale(p.newRS, replicas(p.d))
	case slices.ContainsFunc(p.old, unobserved):
	default:
		p.scale(p.newRS, newSize(p.d, p.old, current))
	}
}

// shrinkOld scales the old ReplicaSets down as far as minAvailable allows: first
// replicas that are not available anyway, then available ones, oldest set first.
func (p *plan) shrinkOld() {
	oldTotal := total(p.old, size)
	if oldTotal == 0 {
		return
	}
	unavailableNew := size(p.newRS) - available(p.newRS)
	budget := oldTotal + size(p.newRS) - minAvailable(p.d) - unavailableNew
	if budget <= 0 {
		return
	}
	target := map[*appsv1.ReplicaSet]int32{}
	for _, rs := range p.old {
		target[rs] = size(rs)
		unhealthy := min(budget, size(rs)-available(rs))
		if size(rs) > 0 && unhealthy > 0 {
			target[rs] -= unhealthy
			budget -= unhealthy
		}
	}
	spare := total(p.old, available) + available(p.newRS) - minAvailable(p.d)
	for _, rs := range p.old {
		if spare <= 0 {
			break
		}
		down := min(spare, target[rs])
		target[rs] -= down
		spare -= down
	}
	for _, rs := range p.old {
		if target[rs] != size(rs) {
			p.scale(rs, target[rs])
		}
	}
}

// scaleProportionally answers a change of the Deployment's replicas: the only
// active ReplicaSet takes it all; during a rollout each takes its share.
func (p *plan) scaleProportionally() {
	active := activeSets(p.all())
	if only := p.activeOrLatest(active); only != nil {
		if size(only) != replicas(p.d) {
			p.scale(only, replicas(p.d))
		} else {
			p.scale(only, size(only))
		}
		return
	}
	if p.newSaturated() {
		for _, rs := range activeSets(p.old) {
			p.scale(rs, 0)
		}
		return
	}
	if p.d.Spec.Strategy.Type == appsv1.RollingUpdateDeploymentStrategyType {
		p.share(active)
	}
}

// activeOrLatest is the one ReplicaSet to scale, nil if there are several.
func (p *plan) activeOrLatest(active []*appsv1.ReplicaSet) *appsv1.ReplicaSet {
	switch {
	case len(active) == 1:
		return active[0]
	case len(active) > 1:
		return nil
	case p.newRS != nil:
		return p.newRS
	case len(p.old) > 0:
		return p.old[len(p.old)-1]
	}
	return nil
}

// newSaturated reports that the new ReplicaSet alone has all that is wanted.
func (p *plan) newSaturated() bool {
	if p.newRS == nil {
		return false
	}
	desired, ok := annotated(p.newRS, desiredAnnotation)
	return ok && size(p.newRS) == replicas(p.d) && desired == replicas(p.d) && available(p.newRS) == replicas(p.d)
}

// share distributes the difference over the active sets in proportion to their
// sizes, the rest to the largest.
func (p *plan) share(active []*appsv1.ReplicaSet) {
	allowed := int32(0)
	if replicas(p.d) > 0 {
		allowed = replicas(p.d) + maxSurge(p.d)
	}
	toAdd := allowed - total(active, size)
	slices.SortStableFunc(active, func(a, b *appsv1.ReplicaSet) int {
		age := olderFirst(a, b)
		if toAdd > 0 {
			age = -age
		}
		return cmp.Or(cmp.Compare(size(b), size(a)), age)
	})
	target := make([]int32, len(active))
	added := int32(0)
	for i, rs := range active {
		part := p.proportion(rs, toAdd, added)
		target[i] = size(rs) + part
		added += part
	}
	for i, rs := range active {
		if i == 0 {
			target[i] = max(target[i]+toAdd-added, 0)
		}
		p.scale(rs, target[i])
	}
}

func (p *plan) proportion(rs *appsv1.ReplicaSet, toAdd, added int32) int32 {
	if size(rs) == 0 || toAdd == 0 || toAdd == added {
		return 0
	}
	fraction := p.fraction(rs)
	if toAdd > 0 {
		return min(fraction, toAdd-added)
	}
	return max(fraction, toAdd-added)
}

// fraction is how much a set would grow if all grew by the same factor.
func (p *plan) fraction(rs *appsv1.ReplicaSet) int32 {
	if replicas(p.d) == 0 {
		return -size(rs)
	}
	before, ok := annotated(rs, maxAnnotation)
	if !ok || before == 0 {
		before = p.d.Status.Replicas
	}
	if before == 0 {
		return 0
	}
	grown := float64(size(rs)) * float64(replicas(p.d)+maxSurge(p.d)) / float64(before)
	return int32(math.Round(grown)) - size(rs)
}

func activeSets(sets []*appsv1.ReplicaSet) []*appsv1.ReplicaSet {
	var out []*appsv1.ReplicaSet
	for _, rs := range sets {
		if size(rs) > 0 {
			out = append(out, rs)
		}
	}
	return out
}
