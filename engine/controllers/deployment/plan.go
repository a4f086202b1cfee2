package deployment

import (
	"fmt"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/utils/ptr"

	"github.com/pintle-io/pintle/engine/controllers/owned"
	"github.com/pintle-io/pintle/engine/reconcile"
	"github.com/pintle-io/pintle/wasm/abi/rollout"
)

// Kind is the kind of the owner in the ReplicaSets' owner references.
var Kind = appsv1.SchemeGroupVersion.WithKind("Deployment")

var replicaSets = schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "replicasets"}

// Observed is the snapshot of one Deployment.
type Observed struct {
	Deployment *appsv1.Deployment
	// ReplicaSets are those it controls and the orphans its selector selects.
	ReplicaSets []*appsv1.ReplicaSet
	// OldPodsLeft reports that a ReplicaSet other than the newest still has pods
	// that are not finished (for Recreate).
	OldPodsLeft bool
	// NameTaken reports that a ReplicaSet of somebody else has the name that the
	// next one would get.
	NameTaken bool
	// Decide asks the strategy in charge for the next step.
	Decide func(*rollout.Request) (rollout.Answer, error)
	// Results answer the queries of the rollout's plan; Service is the one that
	// follows the rollout, nil if there is none.
	Results []rollout.Result
	Service *corev1.Service
	Now     time.Time
}

// plan carries the working state of one Plan.
type plan struct {
	reconcile.Result
	d         *appsv1.Deployment // private copy; its status is the desired one
	was       *appsv1.Deployment
	now       time.Time
	nameTaken bool

	newRS *appsv1.ReplicaSet   // nil if none has the current template
	old   []*appsv1.ReplicaSet // oldest first
	// scaled reports that a ReplicaSet's size changes, so this step is done.
	scaled bool
	// sizing reports that this step only answers a change of replicas, which says
	// nothing about the rollout's progress.
	sizing bool
	// staged reports that the rollout waits or was aborted, which its phase says
	// better than its progress does.
	staged bool
}

// Plan decides the next step of one Deployment.
func Plan(o Observed) reconcile.Result {
	p := &plan{d: o.Deployment.DeepCopy(), was: o.Deployment, now: o.Now, nameTaken: o.NameTaken}
	selector, err := metav1.LabelSelectorAsSelector(p.d.Spec.Selector)
	if err != nil {
		return p.Result // validation refuses such selectors
	}
	if selector.Empty() {
		p.Add(reconcile.Event{About: o.Deployment, Type: corev1.EventTypeWarning, Reason: "SelectingAll",
			Message: "This deployment is selecting all pods. A non-empty selector is required."})
		return p.Result
	}
	kept, release, adopt := owned.Claim(p.d, selector, o.ReplicaSets)
	p.claim(release, adopt)
	p.sort(append(kept, adopt...))
	if p.d.DeletionTimestamp != nil {
		p.status()
		return p.Result
	}
	request := p.request(&o)
	answer, err := o.Decide(request)
	if err != nil {
		p.Add(reconcile.Event{About: o.Deployment, Type: corev1.EventTypeWarning, Reason: "RolloutHeld", Message: err.Error()})
		p.RequeueIn(retryHeld)
		p.status()
		return p.Result
	}
	p.follow(request, &answer, o.Service)
	return p.Result
}

func (p *plan) claim(release, adopt []*appsv1.ReplicaSet) {
	for _, rs := range release {
		freed := rs.DeepCopy()
		freed.OwnerReferences = owned.Without(rs.OwnerReferences, p.d.UID)
		p.Add(reconcile.Update{Object: freed})
	}
	for _, rs := range adopt {
		taken := rs.DeepCopy()
		taken.OwnerReferences = owned.With(rs.OwnerReferences, *metav1.NewControllerRef(p.d, Kind))
		p.Add(reconcile.Update{Object: taken})
	}
}

// sort copies the ReplicaSets, oldest first, and picks out the one with the
// current template; if several have it, the oldest.
func (p *plan) sort(sets []*appsv1.ReplicaSet) {
	for _, rs := range sets {
		p.old = append(p.old, rs.DeepCopy())
	}
	slices.SortFunc(p.old, olderFirst)
	for i, rs := range p.old {
		if sameTemplate(&rs.Spec.Template, &p.d.Spec.Template) {
			p.newRS = rs
			p.old = slices.Delete(p.old, i, i+1)
			return
		}
	}
}

// all lists every ReplicaSet, the newest template's last.
func (p *plan) all() []*appsv1.ReplicaSet {
	if p.newRS == nil {
		return p.old
	}
	return append(slices.Clone(p.old), p.newRS)
}

// resized reports that the Deployment's replicas changed since the ReplicaSets
// were last scaled.
func (p *plan) resized() bool {
	for _, rs := range p.all() {
		if size(rs) == 0 {
			continue
		}
		if desired, ok := annotated(rs, desiredAnnotation); ok && desired != replicas(p.d) {
			return true
		}
	}
	return false
}

// syncNew brings revision, annotations and minReadySeconds of the new ReplicaSet
// up to date. It reports whether there is one to go on with as it is.
func (p *plan) syncNew() bool {
	if p.newRS == nil {
		return false
	}
	changed := annotate(p.d, p.newRS, maxRevision(p.old)+1)
	if p.newRS.Spec.MinReadySeconds != p.d.Spec.MinReadySeconds {
		p.newRS.Spec.MinReadySeconds = p.d.Spec.MinReadySeconds
		changed = true
	}
	if changed {
		p.Add(reconcile.Update{Object: p.newRS.DeepCopy()})
		return false
	}
	setRevision(p.d, p.newRS.Annotations[RevisionAnnotation])
	if hasDeadline(p.d) && condition(&p.d.Status, appsv1.DeploymentProgressing) == nil {
		p.progress(corev1.ConditionTrue, "FoundNewReplicaSet", fmt.Sprintf("Found new replica set %q", p.newRS.Name))
	}
	return true
}

// createNew makes the set of the current template with so many pods.
func (p *plan) createNew(count int32) {
	if p.nameTaken {
		p.d.Status.CollisionCount = ptr.To(ptr.Deref(p.d.Status.CollisionCount, 0) + 1)
		p.addStatus()
		return
	}
	rs := newReplicaSet(p.d)
	rs.Spec.Replicas = &count
	annotate(p.d, rs, maxRevision(p.old)+1)
	setSizeAnnotations(p.d, rs)
	announce := &reconcile.Announce{About: p.was}
	if count > 0 {
		announce.Done = reconcile.Message{Reason: "ScalingReplicaSet", Format: "Scaled up replica set %s from 0 to " + fmt.Sprint(count)}
	}
	announce.Failed = reconcile.Message{Type: corev1.EventTypeWarning, Reason: "ReplicaSetCreateError", Format: "Failed to create new replica set: %v"}
	p.Add(reconcile.Create{Object: rs, Announce: announce})
	setRevision(p.d, rs.Annotations[RevisionAnnotation])
	if hasDeadline(p.d) {
		p.progress(corev1.ConditionTrue, "NewReplicaSetCreated", fmt.Sprintf("Created new replica set %q", rs.Name))
	}
	p.OnFailure = p.createFailed(rs.Name)
	// The counts are still those of the old template, so the generation is not
	// observed yet: who waits for the rollout must not take them for its end.
	p.addStatus()
}

// createFailed reports the failure, unless the set turns out to exist: the cache
// will show it.
func (p *plan) createFailed(name string) func(reconcile.Failure) []reconcile.Action {
	was, now := p.was, p.now
	return func(f reconcile.Failure) []reconcile.Action {
		if _, ok := f.Action.(reconcile.Create); !ok || apierrors.IsAlreadyExists(f.Err) || !hasDeadline(was) {
			return nil
		}
		d := was.DeepCopy()
		setCondition(&d.Status, newCondition(appsv1.DeploymentProgressing, corev1.ConditionFalse, "ReplicaSetCreateError",
			fmt.Sprintf("Failed to create new replica set %q: %v", name, f.Err), now))
		return []reconcile.Action{reconcile.UpdateStatus{Object: d}}
	}
}

// scale sets the size of a ReplicaSet, and records what it was scaled for.
func (p *plan) scale(rs *appsv1.ReplicaSet, to int32) {
	from := size(rs)
	annotations := setSizeAnnotations(p.d, rs)
	if from == to && !annotations {
		return
	}
	p.scaled = p.scaled || from != to
	rs.Spec.Replicas = &to
	update := reconcile.Update{Object: rs.DeepCopy()}
	if from != to {
		direction := "up"
		if to < from {
			direction = "down"
		}
		update.Announce = &reconcile.Announce{About: p.was, Done: reconcile.Message{
			Reason: "ScalingReplicaSet",
			Format: "Scaled " + direction + " replica set %s from " + fmt.Sprint(from) + " to " + fmt.Sprint(to),
		}}
	}
	p.replaceUpdate(rs.Name, update)
}

// replaceUpdate adds an update, in place of an earlier one of the same set in
// this plan: each object is written once.
func (p *plan) replaceUpdate(name string, update reconcile.Update) {
	for i, action := range p.Actions {
		earlier, ok := action.(reconcile.Update)
		if !ok {
			continue
		}
		if rs, ok := earlier.Object.(*appsv1.ReplicaSet); ok && rs.Name == name {
			p.Actions[i] = update
			return
		}
	}
	p.Add(update)
}

// cleanup deletes the oldest empty ReplicaSets beyond the history limit.
func (p *plan) cleanup() {
	if p.d.Spec.RevisionHistoryLimit == nil {
		return
	}
	var alive []*appsv1.ReplicaSet
	for _, rs := range p.old {
		if rs.DeletionTimestamp == nil {
			alive = append(alive, rs)
		}
	}
	excess := len(alive) - int(*p.d.Spec.RevisionHistoryLimit)
	if excess <= 0 {
		return
	}
	slices.SortStableFunc(alive, byRevision)
	for _, rs := range alive[:excess] {
		if rs.Status.Replicas == 0 && size(rs) == 0 && rs.Generation <= rs.Status.ObservedGeneration {
			p.Add(reconcile.DeleteOf(replicaSets, rs))
		}
	}
}

func (p *plan) addStatus() {
	if apiequality.Semantic.DeepEqual(p.d.Status, p.was.Status) && p.d.Annotations[RevisionAnnotation] == p.was.Annotations[RevisionAnnotation] &&
		p.d.Annotations[RolloutStateAnnotation] == p.was.Annotations[RolloutStateAnnotation] {
		return
	}
	p.Add(reconcile.UpdateStatus{Object: p.d})
}
