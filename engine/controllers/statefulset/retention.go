package statefulset

import (
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pintle-io/pintle/engine/controllers/owned"
	"github.com/pintle-io/pintle/engine/reconcile"
)

var podKind = corev1.SchemeGroupVersion.WithKind("Pod")

// retention is what becomes of claims when the set goes, or is made smaller.
func retention(set *appsv1.StatefulSet) (goWithSet, goWithPod bool) {
	policy := set.Spec.PersistentVolumeClaimRetentionPolicy
	if policy == nil {
		return false, false
	}
	return policy.WhenDeleted == appsv1.DeletePersistentVolumeClaimRetentionPolicyType,
		policy.WhenScaled == appsv1.DeletePersistentVolumeClaimRetentionPolicyType
}

// keepOwners brings the owners of one ordinal's claims in line with the retention
// policy: the garbage collector deletes a claim with its owner, which is the set,
// or the pod once it is beyond the set's size.
func (p *plan) keepOwners(n int, pod *corev1.Pod, condemned bool) {
	for i := range p.set.Spec.VolumeClaimTemplates {
		claim := p.claims[claimName(p.set, i, n)]
		if claim == nil || claim.DeletionTimestamp != nil || p.stale(claim, pod) {
			continue
		}
		refs := p.owners(claim, pod, condemned)
		if apiequality.Semantic.DeepEqual(refs, claim.OwnerReferences) {
			continue
		}
		updated := claim.DeepCopy()
		updated.OwnerReferences = refs
		p.Add(reconcile.Update{Object: updated})
	}
}

// owners are the claim's owner references as they should be. A claim that
// somebody else controls is left to them.
func (p *plan) owners(claim *corev1.PersistentVolumeClaim, pod *corev1.Pod, condemned bool) []metav1.OwnerReference {
	refs := owned.Without(claim.OwnerReferences, p.set.UID)
	if pod != nil {
		refs = owned.Without(refs, pod.UID)
	}
	if slices.ContainsFunc(refs, func(r metav1.OwnerReference) bool { return r.Controller != nil && *r.Controller }) {
		return refs
	}
	goWithSet, goWithPod := retention(p.set)
	switch {
	case goWithPod && condemned:
		refs = owned.With(refs, *metav1.NewControllerRef(pod, podKind))
	case goWithSet:
		refs = owned.With(refs, *metav1.NewControllerRef(p.set, Kind))
	}
	return refs
}

// stale reports that a claim belongs to an earlier set or pod of the same name: it
// will go with it.
func (p *plan) stale(claim *corev1.PersistentVolumeClaim, pod *corev1.Pod) bool {
	return slices.ContainsFunc(claim.OwnerReferences, func(r metav1.OwnerReference) bool {
		switch {
		case r.Kind == Kind.Kind && r.Name == p.set.Name:
			return r.UID != p.set.UID
		case r.Kind == podKind.Kind && slices.Contains(podNames(p.set, claim.Name), r.Name):
			return pod == nil || r.UID != pod.UID
		}
		return false
	})
}

// podNames are the pods of the set that would use a claim of that name.
func podNames(set *appsv1.StatefulSet, claim string) []string {
	var out []string
	for i := range set.Spec.VolumeClaimTemplates {
		prefix := set.Spec.VolumeClaimTemplates[i].Name + "-"
		if len(claim) > len(prefix) && claim[:len(prefix)] == prefix {
			out = append(out, claim[len(prefix):])
		}
	}
	return out
}

// claimsGoing reports that a claim of an ordinal is on its way out: its pod waits
// for a fresh one.
func (p *plan) claimsGoing(n int) bool {
	for i := range p.set.Spec.VolumeClaimTemplates {
		if claim := p.claims[claimName(p.set, i, n)]; claim != nil && (claim.DeletionTimestamp != nil || p.stale(claim, nil)) {
			return true
		}
	}
	return false
}
