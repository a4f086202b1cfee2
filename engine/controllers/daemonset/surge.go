package daemonset

import (
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/pintle-io/pintle/engine/controllers/podset"
	"github.com/pintle-io/pintle/engine/reconcile"
)

// surges reports that an update starts the new pod of a node before the old one is
// stopped.
func (p *plan) surges() bool {
	u := p.set.Spec.UpdateStrategy
	return u.Type == appsv1.RollingUpdateDaemonSetStrategyType && u.RollingUpdate != nil && share(u.RollingUpdate.MaxSurge, len(p.nodes)) > 0
}

// byAge picks the oldest pod of the template's revision and the oldest of another;
// rest are all others.
func (p *plan) byAge(alive []*corev1.Pod) (newPod, oldPod *corev1.Pod, rest []*corev1.Pod) {
	for _, pod := range alive {
		switch {
		case p.updated(pod) && newPod == nil:
			newPod = pod
		case !p.updated(pod) && oldPod == nil:
			oldPod = pod
		default:
			rest = append(rest, pod)
		}
	}
	return newPod, oldPod, rest
}

// surplus are the pods too many on a node: all but the oldest. While surging, a
// ready old pod may stay until the new one is available.
func (p *plan) surplus(alive []*corev1.Pod) []*corev1.Pod {
	if len(alive) < 2 {
		return nil
	}
	if !p.surges() {
		return alive[1:]
	}
	newPod, oldPod, rest := p.byAge(alive)
	if newPod != nil && oldPod != nil && (!podset.IsReady(oldPod) || p.available(newPod)) {
		rest = append(rest, oldPod)
	}
	return rest
}

// surge starts new pods beside old ones: at once where the old one is not
// available, elsewhere as far as maxSurge allows.
func (p *plan) surge() {
	var broken, candidates []string
	wanted, surging := 0, 0
	for _, node := range p.nodes {
		if !p.fits[node.Name].run {
			continue
		}
		wanted++
		newPod, oldPod, _ := p.byAge(p.alive(node.Name))
		switch {
		case oldPod == nil:
		case newPod != nil:
			surging++
		case p.available(oldPod):
			candidates = append(candidates, node.Name)
		default:
			broken = append(broken, node.Name)
		}
	}
	room := max(share(p.set.Spec.UpdateStrategy.RollingUpdate.MaxSurge, wanted)-surging, 0)
	var batch reconcile.Batch
	for _, node := range append(broken, candidates[:min(room, len(candidates))]...) {
		batch = append(batch, p.create(node))
	}
	if len(batch) > 0 {
		p.Add(batch)
	}
}

func (p *plan) available(pod *corev1.Pod) bool {
	available, lacks := podset.Available(pod, p.set.Spec.MinReadySeconds, p.now)
	if lacks > 0 {
		p.RequeueIn(lacks)
	}
	return available
}
