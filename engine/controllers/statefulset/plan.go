// Package statefulset keeps pods with stable names, volumes and order: it creates
// them one after the other (or at once, if the set says so), replaces them with
// the same identity, updates from the highest ordinal down, and scales down from
// the end. Plan decides; the reconcile loop acts.
package statefulset

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"github.com/pintle-io/pintle/engine/controllers/history"
	"github.com/pintle-io/pintle/engine/controllers/owned"
	"github.com/pintle-io/pintle/engine/controllers/podset"
	"github.com/pintle-io/pintle/engine/reconcile"
)

// Kind is the kind of the owner in the pods' owner references.
var Kind = appsv1.SchemeGroupVersion.WithKind("StatefulSet")

// Observed is the snapshot of one StatefulSet.
type Observed struct {
	Set *appsv1.StatefulSet
	// Pods are those it controls and the orphans its selector selects.
	Pods      []*corev1.Pod
	Revisions []*appsv1.ControllerRevision
	// Claims are the existing volume claims of the set's ordinals, by name.
	Claims map[string]*corev1.PersistentVolumeClaim
	Now    time.Time
}

// plan carries the working state of one Plan.
type plan struct {
	reconcile.Result
	set       *appsv1.StatefulSet
	now       time.Time
	claims    map[string]*corev1.PersistentVolumeClaim
	current   *appsv1.ControllerRevision // what pods below the partition run
	update    *appsv1.ControllerRevision // what the template says
	replicas  map[int]*corev1.Pod        // by ordinal, within the size wanted
	condemned []*corev1.Pod              // beyond it, highest ordinal first
	all       []*corev1.Pod
}

// Plan decides the next step of one StatefulSet.
func Plan(o Observed) reconcile.Result {
	p := &plan{set: o.Set, now: o.Now, claims: o.Claims}
	selector, err := metav1.LabelSelectorAsSelector(o.Set.Spec.Selector)
	if err != nil {
		return p.Result // validation refuses such selectors
	}
	kept, release, adopt := owned.Claim(o.Set, selector, o.Pods)
	for _, pod := range release {
		freed := pod.DeepCopy()
		freed.OwnerReferences = owned.Without(pod.OwnerReferences, o.Set.UID)
		p.Add(reconcile.Update{Object: freed})
	}
	for _, pod := range adopt {
		if _, ok := ordinal(o.Set, pod); !ok {
			continue
		}
		taken := pod.DeepCopy()
		taken.OwnerReferences = owned.With(pod.OwnerReferences, *metav1.NewControllerRef(o.Set, Kind))
		p.Add(reconcile.Update{Object: taken})
		kept = append(kept, pod)
	}
	p.sort(kept)
	p.revisions(o.Revisions)
	if o.Set.DeletionTimestamp == nil {
		p.step()
	}
	p.status()
	return p.Result
}

func (p *plan) first() int {
	if o := p.set.Spec.Ordinals; o != nil {
		return int(o.Start)
	}
	return 0
}

func (p *plan) end() int { return p.first() + int(ptr.Deref(p.set.Spec.Replicas, 1)) }

func (p *plan) parallel() bool { return p.set.Spec.PodManagementPolicy == appsv1.ParallelPodManagement }

func (p *plan) sort(pods []*corev1.Pod) {
	p.replicas = map[int]*corev1.Pod{}
	for _, pod := range pods {
		n, ok := ordinal(p.set, pod)
		switch {
		case !ok:
			continue
		case n >= p.first() && n < p.end():
			p.replicas[n] = pod
		default:
			p.condemned = append(p.condemned, pod)
		}
		p.all = append(p.all, pod)
	}
	slices.SortFunc(p.condemned, func(a, b *corev1.Pod) int {
		x, _ := ordinal(p.set, a)
		y, _ := ordinal(p.set, b)
		return cmp.Compare(y, x)
	})
}

func (p *plan) revisions(all []*appsv1.ControllerRevision) {
	inUse := map[string]bool{p.set.Status.CurrentRevision: true, p.set.Status.UpdateRevision: true}
	for _, pod := range p.all {
		inUse[pod.Labels[appsv1.ControllerRevisionHashLabelKey]] = true
	}
	var actions []reconcile.Action
	p.update, actions = history.Sync(history.Owner{
		Object: p.set, Kind: Kind, Selector: p.set.Spec.Selector.MatchLabels, Template: &p.set.Spec.Template,
		Limit: p.set.Spec.RevisionHistoryLimit, Collisions: p.set.Status.CollisionCount,
		HashLabel: "controller.kubernetes.io/hash",
	}, all, inUse)
	p.Add(actions...)
	p.current = p.update
	for _, r := range all {
		if r.Name == p.set.Status.CurrentRevision {
			p.current = r
		}
	}
}

// step creates, replaces, deletes and updates pods, one at a time in order unless
// the set is parallel.
func (p *plan) step() {
	for n := p.first(); n < p.end(); n++ {
		if p.ensure(n) && !p.parallel() {
			return
		}
	}
	if p.scaleDown() && !p.parallel() {
		return
	}
	p.rollUpdate()
}

// ensure brings one replica to life; it reports that those after it must wait.
func (p *plan) ensure(n int) (wait bool) {
	pod := p.replicas[n]
	switch {
	case pod == nil:
		if !p.claimsGoing(n) {
			p.create(n)
		}
		return true
	case podset.IsFinished(pod):
		if pod.DeletionTimestamp == nil {
			p.Add(p.remove(pod))
		}
		return true
	case pod.DeletionTimestamp != nil:
		return true
	}
	p.ensureClaims(n)
	p.keepOwners(n, pod, false)
	available, lacks := podset.Available(pod, p.set.Spec.MinReadySeconds, p.now)
	if lacks > 0 {
		p.RequeueIn(lacks)
	}
	return !available
}

func (p *plan) create(n int) {
	p.ensureClaims(n)
	revision := p.update
	if n < p.partition() {
		revision = p.current
	}
	pod := newPod(p.set, revision, n)
	p.Add(reconcile.Create{Object: pod, Announce: &reconcile.Announce{
		About:  p.set,
		Done:   reconcile.Message{Reason: "SuccessfulCreate", Format: "create Pod %s in StatefulSet " + p.set.Name + " successful"},
		Failed: reconcile.Message{Type: corev1.EventTypeWarning, Reason: "FailedCreate", Format: "create Pod " + pod.Name + " in StatefulSet " + p.set.Name + " failed error: %v"},
	}})
}

func (p *plan) ensureClaims(n int) {
	for i := range p.set.Spec.VolumeClaimTemplates {
		claim := newClaim(p.set, i, n)
		if p.claims[claim.Name] != nil {
			continue
		}
		claim.OwnerReferences = p.owners(claim, nil, false)
		p.Add(reconcile.Create{Object: claim, Announce: &reconcile.Announce{
			About: p.set,
			Done: reconcile.Message{Reason: "SuccessfulCreate",
				Format: fmt.Sprintf("create Claim %%s Pod %s-%d in StatefulSet %s success", p.set.Name, n, p.set.Name)},
		}})
	}
}

func (p *plan) remove(pod *corev1.Pod) reconcile.Action {
	d := reconcile.DeleteOf(podset.Resource, pod)
	d.Announce = &reconcile.Announce{
		About:  p.set,
		Done:   reconcile.Message{Reason: "SuccessfulDelete", Format: "delete Pod %s in StatefulSet " + p.set.Name + " successful"},
		Failed: reconcile.Message{Type: corev1.EventTypeWarning, Reason: "FailedDelete", Format: "delete Pod " + pod.Name + " in StatefulSet " + p.set.Name + " failed error: %v"},
	}
	return d
}

// scaleDown removes condemned pods from the highest ordinal down. In order, a pod that
// is not available is left until it is, unless it is the lowest such one: a set whose
// every pod is broken does not shrink, one with a single broken pod does.
func (p *plan) scaleDown() (busy bool) {
	unhealthy := p.lowestUnavailable()
	for _, pod := range p.condemned {
		busy = true
		switch available, lacks := podset.Available(pod, p.set.Spec.MinReadySeconds, p.now); {
		case pod.DeletionTimestamp != nil:
		case !p.parallel() && !available && pod != unhealthy:
			if lacks > 0 {
				p.RequeueIn(lacks)
			}
		default:
			n, _ := ordinal(p.set, pod)
			p.keepOwners(n, pod, true)
			p.Add(p.remove(pod))
		}
		if !p.parallel() {
			return true
		}
	}
	return busy
}

// lowestUnavailable is the condemned pod of the lowest ordinal that is not available,
// nil if all are.
func (p *plan) lowestUnavailable() *corev1.Pod {
	for _, pod := range slices.Backward(p.condemned) {
		if available, _ := podset.Available(pod, p.set.Spec.MinReadySeconds, p.now); !available || pod.DeletionTimestamp != nil {
			return pod
		}
	}
	return nil
}

func (p *plan) partition() int {
	if r := p.set.Spec.UpdateStrategy.RollingUpdate; r != nil {
		return int(ptr.Deref(r.Partition, 0))
	}
	return 0
}

// maxUnavailable is how many pods an update may leave unavailable at a time.
func (p *plan) maxUnavailable() int {
	r := p.set.Spec.UpdateStrategy.RollingUpdate
	if r == nil || r.MaxUnavailable == nil {
		return 1
	}
	n, err := intstr.GetScaledValueFromIntOrPercent(r.MaxUnavailable, p.end()-p.first(), false)
	if err != nil {
		return 1
	}
	return max(n, 1)
}

// rollUpdate deletes pods of another revision than the template's from the end
// down, as many as may be unavailable. A parallel set first deletes those that are
// not available anyway: that costs nothing.
func (p *plan) rollUpdate() {
	if p.set.Spec.UpdateStrategy.Type == appsv1.OnDeleteStatefulSetStrategyType {
		return
	}
	budget := p.maxUnavailable()
	var broken, old []*corev1.Pod
	for n := p.end() - 1; n >= p.first(); n-- {
		pod := p.replicas[n]
		available := pod != nil && pod.DeletionTimestamp == nil
		if available {
			available, _ = podset.Available(pod, p.set.Spec.MinReadySeconds, p.now)
		}
		if !available {
			budget--
		}
		if pod == nil || n < p.partition() || pod.DeletionTimestamp != nil || pod.Labels[appsv1.ControllerRevisionHashLabelKey] == p.update.Name {
			continue
		}
		if p.parallel() && !available {
			broken = append(broken, pod)
		} else {
			old = append(old, pod)
		}
	}
	for _, pod := range slices.Concat(broken, old[:min(max(budget, 0), len(old))]) {
		p.Add(p.remove(pod))
	}
}

// status counts the pods of the snapshot and notes a completed update.
func (p *plan) status() {
	s := *p.set.Status.DeepCopy()
	s.ObservedGeneration = p.set.Generation
	s.Replicas, s.ReadyReplicas, s.AvailableReplicas, s.CurrentReplicas, s.UpdatedReplicas = 0, 0, 0, 0, 0
	s.CurrentRevision, s.UpdateRevision = p.current.Name, p.update.Name
	for _, pod := range p.all {
		if podset.IsFinished(pod) {
			continue
		}
		s.Replicas++
		if podset.IsReady(pod) {
			s.ReadyReplicas++
		}
		if available, _ := podset.Available(pod, p.set.Spec.MinReadySeconds, p.now); available {
			s.AvailableReplicas++
		}
		if pod.DeletionTimestamp != nil {
			continue
		}
		switch pod.Labels[appsv1.ControllerRevisionHashLabelKey] {
		case s.UpdateRevision:
			s.UpdatedReplicas++
			if s.CurrentRevision == s.UpdateRevision {
				s.CurrentReplicas++
			}
		case s.CurrentRevision:
			s.CurrentReplicas++
		}
	}
	if s.UpdatedReplicas == s.Replicas && s.ReadyReplicas == s.Replicas && int(s.Replicas) == p.end()-p.first() {
		s.CurrentReplicas, s.CurrentRevision = s.UpdatedReplicas, s.UpdateRevision
	}
	if apiequality.Semantic.DeepEqual(s, p.set.Status) {
		return
	}
	updated := p.set.DeepCopy()
	updated.Status = s
	p.Add(reconcile.UpdateStatus{Object: updated})
}
