// Package daemonset runs one pod of a DaemonSet on every node that it fits, and
// replaces pods of an old template a few nodes at a time.
package daemonset

import (
	"cmp"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/pintle-io/pintle/engine/controllers/history"
	"github.com/pintle-io/pintle/engine/controllers/owned"
	"github.com/pintle-io/pintle/engine/controllers/podset"
	"github.com/pintle-io/pintle/engine/reconcile"
)

// Kind is the kind of the owner in the pods' owner references.
var Kind = appsv1.SchemeGroupVersion.WithKind("DaemonSet")

// Observed is the snapshot of one DaemonSet.
type Observed struct {
	Set       *appsv1.DaemonSet
	Nodes     []*corev1.Node
	Pods      []*corev1.Pod // those it controls and the orphans its selector selects
	Revisions []*appsv1.ControllerRevision
	Now       time.Time
}

// plan carries the working state of one Plan.
type plan struct {
	reconcile.Result
	set    *appsv1.DaemonSet
	now    time.Time
	update *appsv1.ControllerRevision
	byNode map[string][]*corev1.Pod
	nodes  []*corev1.Node
	fits   map[string]fit
}

// Plan decides which pods to create and delete.
func Plan(o Observed) reconcile.Result {
	p := &plan{set: o.Set, now: o.Now, byNode: map[string][]*corev1.Pod{}, fits: map[string]fit{}}
	selector, err := metav1.LabelSelectorAsSelector(o.Set.Spec.Selector)
	if err != nil || selector.Empty() {
		return p.Result
	}
	kept, release, adopt := owned.Claim(o.Set, selector, o.Pods)
	for _, pod := range release {
		freed := pod.DeepCopy()
		freed.OwnerReferences = owned.Without(pod.OwnerReferences, o.Set.UID)
		p.Add(reconcile.Update{Object: freed})
	}
	for _, pod := range adopt {
		taken := pod.DeepCopy()
		taken.OwnerReferences = owned.With(pod.OwnerReferences, *metav1.NewControllerRef(o.Set, Kind))
		p.Add(reconcile.Update{Object: taken})
	}
	inUse := map[string]bool{}
	for _, pod := range append(kept, adopt...) {
		node := target(pod)
		p.byNode[node] = append(p.byNode[node], pod)
		inUse[o.Set.Name+"-"+pod.Labels[appsv1.ControllerRevisionHashLabelKey]] = true
	}
	p.nodes = slices.Clone(o.Nodes)
	slices.SortFunc(p.nodes, func(a, b *corev1.Node) int { return cmp.Compare(a.Name, b.Name) })
	for _, node := range p.nodes {
		p.fits[node.Name] = fitOf(o.Set, node)
	}
	var actions []reconcile.Action
	p.update, actions = history.Sync(history.Owner{
		Object: o.Set, Kind: Kind, Selector: o.Set.Spec.Selector.MatchLabels, Template: &o.Set.Spec.Template,
		Limit: o.Set.Spec.RevisionHistoryLimit, Collisions: o.Set.Status.CollisionCount,
		HashLabel: appsv1.DefaultDaemonSetUniqueLabelKey,
	}, o.Revisions, inUse)
	p.Add(actions...)
	if o.Set.DeletionTimestamp == nil {
		p.place()
	}
	p.status()
	return p.Result
}

// alive are the active pods of a node, the oldest first.
func (p *plan) alive(node string) []*corev1.Pod {
	alive := podset.Active(p.byNode[node])
	slices.SortFunc(alive, func(a, b *corev1.Pod) int {
		return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
	})
	return alive
}

// place creates missing pods, deletes surplus and failed ones, then rolls out.
func (p *plan) place() {
	var creates, deletes reconcile.Batch
	for _, node := range p.nodes {
		pods, alive := p.byNode[node.Name], p.alive(node.Name)
		fits := p.fits[node.Name]
		// While surging, a new pod does not wait for the old one to have gone.
		if fits.run && (len(pods) == 0 || p.surges() && len(alive) == 0) {
			creates = append(creates, p.create(node.Name))
		}
		surplus := alive
		if fits.keep {
			surplus = p.surplus(alive)
		}
		for _, pod := range surplus {
			deletes = append(deletes, p.remove(pod))
		}
		for _, pod := range pods {
			if podset.IsFinished(pod) && pod.DeletionTimestamp == nil {
				deletes = append(deletes, p.remove(pod))
			}
		}
	}
	if len(deletes) > 0 {
		p.Add(deletes)
	}
	if len(creates) > 0 {
		p.Add(creates)
	}
	switch {
	case len(deletes)+len(creates) > 0 || p.set.Spec.UpdateStrategy.Type != appsv1.RollingUpdateDaemonSetStrategyType:
	case p.surges():
		p.surge()
	default:
		p.rollUpdate()
	}
}

// rollUpdate deletes pods of an old template: those that are not available at
// once, others as far as maxUnavailable allows.
func (p *plan) rollUpdate() {
	var broken, candidates []*corev1.Pod
	wanted, unavailable := 0, 0
	for _, node := range p.nodes {
		if !p.fits[node.Name].run {
			continue
		}
		wanted++
		alive := p.alive(node.Name)
		if len(alive) == 0 {
			unavailable++
			continue
		}
		available, _ := podset.Available(alive[0], p.set.Spec.MinReadySeconds, p.now)
		if !available {
			unavailable++
		}
		switch {
		case p.updated(alive[0]):
		case available:
			candidates = append(candidates, alive[0])
		default:
			broken = append(broken, alive[0])
		}
	}
	room := max(p.maxUnavailable(wanted)-unavailable, 0)
	var batch reconcile.Batch
	for _, pod := range append(broken, candidates[:min(room, len(candidates))]...) {
		batch = append(batch, p.remove(pod))
	}
	if len(batch) > 0 {
		p.Add(batch)
	}
}

func (p *plan) maxUnavailable(wanted int) int {
	r := p.set.Spec.UpdateStrategy.RollingUpdate
	if r == nil {
		return 1
	}
	return max(share(r.MaxUnavailable, wanted), 1)
}

// share is a number or a percentage of wanted, rounded up; zero if there is none.
func share(of *intstr.IntOrString, wanted int) int {
	if of == nil {
		return 0
	}
	n, err := intstr.GetScaledValueFromIntOrPercent(of, wanted, true)
	if err != nil {
		return 0
	}
	return n
}

func (p *plan) hash() string { return strings.TrimPrefix(p.update.Name, p.set.Name+"-") }

func (p *plan) updated(pod *corev1.Pod) bool {
	return pod.Labels[appsv1.ControllerRevisionHashLabelKey] == p.hash()
}

func (p *plan) create(node string) reconcile.Action {
	return reconcile.Create{Object: newPod(p.set, p.hash(), node), Announce: &reconcile.Announce{
		About:  p.set,
		Done:   reconcile.Message{Reason: "SuccessfulCreate", Format: "Created pod: %s"},
		Failed: reconcile.Message{Type: corev1.EventTypeWarning, Reason: "FailedCreate", Format: "Error creating: %v"},
	}}
}

func (p *plan) remove(pod *corev1.Pod) reconcile.Action {
	d := reconcile.DeleteOf(podset.Resource, pod)
	d.Announce = &reconcile.Announce{
		About:  p.set,
		Done:   reconcile.Message{Reason: "SuccessfulDelete", Format: "Deleted pod: %s"},
		Failed: reconcile.Message{Type: corev1.EventTypeWarning, Reason: "FailedDelete", Format: "Error deleting: %v"},
	}
	return d
}

func (p *plan) status() {
	s := *p.set.Status.DeepCopy()
	s.ObservedGeneration = p.set.Generation
	s.DesiredNumberScheduled, s.CurrentNumberScheduled, s.NumberMisscheduled = 0, 0, 0
	s.NumberReady, s.NumberAvailable, s.UpdatedNumberScheduled = 0, 0, 0
	for _, node := range p.nodes {
		alive := p.alive(node.Name)
		if !p.fits[node.Name].run {
			if len(alive) > 0 {
				s.NumberMisscheduled++
			}
			continue
		}
		s.DesiredNumberScheduled++
		if len(alive) == 0 {
			continue
		}
		s.CurrentNumberScheduled++
		if podset.IsReady(alive[0]) {
			s.NumberReady++
		}
		available, lacks := podset.Available(alive[0], p.set.Spec.MinReadySeconds, p.now)
		if available {
			s.NumberAvailable++
		} else if lacks > 0 {
			p.RequeueIn(lacks)
		}
		if p.updated(alive[0]) {
			s.UpdatedNumberScheduled++
		}
	}
	s.NumberUnavailable = s.DesiredNumberScheduled - s.NumberAvailable
	if apiequality.Semantic.DeepEqual(s, p.set.Status) {
		return
	}
	updated := p.set.DeepCopy()
	updated.Status = s
	p.Add(reconcile.UpdateStatus{Object: updated})
}
