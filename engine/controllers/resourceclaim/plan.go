// Package resourceclaim makes the ResourceClaims that pods ask for by template,
// reserves allocated claims for pods that were placed without the scheduler, and
// takes back reservations, allocations and claims of pods that have ended.
package resourceclaim

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	dra "k8s.io/dynamic-resource-allocation/resourceclaim"
	"k8s.io/utils/ptr"

	"github.com/pintle-io/pintle/engine/reconcile"
)

// PodObserved is the snapshot of one pod.
type PodObserved struct {
	Pod *corev1.Pod
	// Claims of the pod's namespace that it names or owns.
	Claims []*resourcev1.ResourceClaim
	// Templates of the pod's namespace, by name.
	Templates map[string]*resourcev1.ResourceClaimTemplate
}

// PlanPod makes missing claims; once they are there it names them in the pod's
// status, and then reserves what a placed pod needs.
func PlanPod(o PodObserved) reconcile.Result {
	var result reconcile.Result
	if o.Pod.DeletionTimestamp != nil || ended(o.Pod) {
		return result
	}
	names := map[string]string{}
	for i := range o.Pod.Spec.ResourceClaims {
		want := &o.Pod.Spec.ResourceClaims[i]
		name, create, err := o.claimFor(want)
		switch {
		case err != nil:
			result.Add(reconcile.Event{About: o.Pod, Type: corev1.EventTypeWarning, Reason: "FailedResourceClaimCreation",
				Message: fmt.Sprintf("PodResourceClaim %s: %v", want.Name, err)})
			return result
		case create != nil:
			result.Add(reconcile.Create{Object: create, Announce: &reconcile.Announce{About: o.Pod, Failed: reconcile.Message{
				Type: corev1.EventTypeWarning, Reason: "FailedResourceClaimCreation", Format: "PodResourceClaim " + want.Name + ": create ResourceClaim : %v",
			}}})
		case name != "":
			names[want.Name] = name
		}
	}
	if len(result.Actions) > 0 {
		return result // their names are known when the cache shows them
	}
	if updated := withNames(o.Pod, names); updated != nil {
		result.Add(reconcile.UpdateStatus{Object: updated})
		return result
	}
	if o.Pod.Spec.NodeName != "" {
		o.reserve(&result)
	}
	return result
}

// claimFor returns the name of the claim made for one entry of the pod if the
// status lacks it, or the claim to make; neither if nothing is to be done.
func (o *PodObserved) claimFor(want *corev1.PodResourceClaim) (name string, create *resourcev1.ResourceClaim, err error) {
	recorded, owned, err := dra.Name(o.Pod, want)
	switch {
	case errors.Is(err, dra.ErrClaimNotFound):
	case err != nil:
		return "", nil, fmt.Errorf("checking for claim before creating it: %w", err)
	case recorded == nil:
		return "", nil, nil
	default:
		if claim := o.claim(*recorded); claim != nil && (!owned || dra.IsForPod(o.Pod, claim, false) == nil) {
			return "", nil, nil
		}
	}
	if want.ResourceClaimTemplateName == nil {
		return "", nil, nil
	}
	for _, claim := range o.Claims {
		if claim.Annotations[resourcev1.PodResourceClaimAnnotation] == want.Name && dra.IsForPod(o.Pod, claim, false) == nil {
			return claim.Name, nil, nil
		}
	}
	template := o.Templates[*want.ResourceClaimTemplateName]
	if template == nil {
		return "", nil, fmt.Errorf("resource claim template %q: resourceclaimtemplate.resource.k8s.io %q not found",
			*want.ResourceClaimTemplateName, *want.ResourceClaimTemplateName)
	}
	return "", fromTemplate(o.Pod, want.Name, template), nil
}

func (o *PodObserved) claim(name string) *resourcev1.ResourceClaim {
	i := slices.IndexFunc(o.Claims, func(c *resourcev1.ResourceClaim) bool { return c.Name == name })
	if i < 0 {
		return nil
	}
	return o.Claims[i]
}

// maxBase leaves room for what the server appends to a generated name.
const maxBase = 57

func fromTemplate(pod *corev1.Pod, name string, template *resourcev1.ResourceClaimTemplate) *resourcev1.ResourceClaim {
	base := pod.Name + "-" + name + "-"
	if n := len(base); n > maxBase {
		base = pod.Name[:len(pod.Name)*maxBase/n] + "-" + name[:len(name)*maxBase/n]
	}
	annotations := maps.Clone(template.Spec.Annotations)
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[resourcev1.PodResourceClaimAnnotation] = name
	return &resourcev1.ResourceClaim{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: pod.Namespace, GenerateName: base, Labels: maps.Clone(template.Spec.Labels), Annotations: annotations,
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "v1", Kind: "Pod", Name: pod.Name, UID: pod.UID, Controller: ptr.To(true)}},
		},
		Spec: *template.Spec.Spec.DeepCopy(),
	}
}

// withNames returns the pod with new claims in its status, nil if it has them.
func withNames(pod *corev1.Pod, names map[string]string) *corev1.Pod {
	merged := map[string]string{}
	for _, status := range pod.Status.ResourceClaimStatuses {
		if status.ResourceClaimName != nil {
			merged[status.Name] = *status.ResourceClaimName
		}
	}
	maps.Copy(merged, names)
	if len(names) == 0 {
		return nil
	}
	updated := pod.DeepCopy()
	updated.Status.ResourceClaimStatuses = nil
	for _, name := range slices.Sorted(maps.Keys(merged)) {
		updated.Status.ResourceClaimStatuses = append(updated.Status.ResourceClaimStatuses,
			corev1.PodResourceClaimStatus{Name: name, ResourceClaimName: ptr.To(merged[name])})
	}
	if apiequality.Semantic.DeepEqual(updated.Status, pod.Status) {
		return nil
	}
	return updated
}

// reserve adds a placed pod to allocated claims that do not know it.
func (o *PodObserved) reserve(result *reconcile.Result) {
	for i := range o.Pod.Spec.ResourceClaims {
		name, owned, err := dra.Name(o.Pod, &o.Pod.Spec.ResourceClaims[i])
		if err != nil || name == nil {
			continue
		}
		claim := o.claim(*name)
		if claim == nil || claim.Status.Allocation == nil || owned && dra.IsForPod(o.Pod, claim, false) != nil || dra.IsReservedForPod(o.Pod, claim, false) {
			continue
		}
		updated := claim.DeepCopy()
		updated.Status.ReservedFor = append(updated.Status.ReservedFor,
			resourcev1.ResourceClaimConsumerReference{Resource: "pods", Name: o.Pod.Name, UID: o.Pod.UID})
		result.Add(reconcile.UpdateStatus{Object: updated})
	}
}
