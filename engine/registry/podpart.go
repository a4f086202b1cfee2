package registry

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/diff"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/pintle-io/pintle/engine/apis"
	"github.com/pintle-io/pintle/engine/apis/core"
)

// podPartStrategy is shared by the pod subresources that change a part of spec.
type podPartStrategy struct{ strategy }

func (podPartStrategy) AllowCreateOnUpdate(context.Context) bool { return false }

func (podPartStrategy) WarningsOnUpdate(context.Context, runtime.Object, runtime.Object) []string {
	return nil
}

func (s podPartStrategy) GetResetFields() map[fieldpath.APIVersion]*fieldpath.Set {
	return perVersion(s.row, fieldpath.NewSet(fieldpath.MakePathOrDie("status")))
}

// mergePod gives obj all of old but the spec part that put sets.
func mergePod(obj, old runtime.Object, put func(into, from *corev1.Pod)) {
	pod, before := obj.(*corev1.Pod), old.(*corev1.Pod)
	merged := before.DeepCopy()
	put(merged, pod)
	merged.ResourceVersion = pod.ResourceVersion
	merged.ManagedFields = pod.ManagedFields
	if !equality.Semantic.DeepEqual(merged.Spec, before.Spec) {
		merged.Generation = before.Generation + 1
	}
	*pod = *merged
}

// ephemeralStrategy lets pods/ephemeralcontainers add ephemeral containers.
type ephemeralStrategy struct{ podPartStrategy }

func (ephemeralStrategy) PrepareForUpdate(_ context.Context, obj, old runtime.Object) {
	mergePod(obj, old, func(into, from *corev1.Pod) {
		into.Spec.EphemeralContainers = from.Spec.EphemeralContainers
	})
}

// ValidateUpdate checks the pod as a whole; ephemeral containers that are there stay
// as they are.
func (ephemeralStrategy) ValidateUpdate(_ context.Context, obj, old runtime.Object) field.ErrorList {
	pod, before := obj.(*corev1.Pod), old.(*corev1.Pod)
	if isMirror(before) {
		return field.ErrorList{field.Forbidden(field.NewPath(""), "static pods do not support ephemeral containers")}
	}
	errs := core.ValidatePod(pod)
	path := field.NewPath("spec", "ephemeralContainers")
	now := map[string]*corev1.EphemeralContainer{}
	for i := range pod.Spec.EphemeralContainers {
		now[pod.Spec.EphemeralContainers[i].Name] = &pod.Spec.EphemeralContainers[i]
	}
	for i := range before.Spec.EphemeralContainers {
		c := &before.Spec.EphemeralContainers[i]
		switch kept := now[c.Name]; {
		case kept == nil:
			errs = append(errs, field.Forbidden(path, fmt.Sprintf("existing ephemeral containers %q may not be removed\n", c.Name)))
		case !equality.Semantic.DeepEqual(c, kept):
			errs = append(errs, field.Forbidden(path, fmt.Sprintf("existing ephemeral containers %q may not be changed\n%v", c.Name, diff.Diff(apis.Shown{Value: c}, apis.Shown{Value: kept}))))
		}
	}
	return errs
}

func isMirror(pod *corev1.Pod) bool {
	_, ok := pod.Annotations[corev1.MirrorPodAnnotationKey]
	return ok
}

// resizeStrategy lets pods/resize change the resources of containers.
type resizeStrategy struct{ podPartStrategy }

func (resizeStrategy) PrepareForUpdate(_ context.Context, obj, old runtime.Object) {
	mergePod(obj, old, func(into, from *corev1.Pod) {
		into.Spec.Containers = putResources(into.Spec.Containers, from.Spec.Containers)
		into.Spec.InitContainers = putResources(into.Spec.InitContainers, from.Spec.InitContainers)
	})
}

// putResources gives containers the resources and resize policies of those they came
// with. Other containers are given back as they came: validation refuses them.
func putResources(into, from []corev1.Container) []corev1.Container {
	if !sameNames(into, from) {
		return from
	}
	for i := range into {
		into[i].Resources, into[i].ResizePolicy = from[i].Resources, from[i].ResizePolicy
	}
	return into
}

func sameNames(a, b []corev1.Container) bool {
	return slices.EqualFunc(a, b, func(a, b corev1.Container) bool { return a.Name == b.Name })
}

// validateSameContainers refuses containers that came, went or changed places; what
// names their list.
func validateSameContainers(now, before []corev1.Container, what string) field.ErrorList {
	at := field.NewPath("spec", what)
	if len(now) != len(before) {
		return field.ErrorList{field.Forbidden(at, what+" may not be added or removed on resize")}
	}
	var errs field.ErrorList
	for i := range now {
		if now[i].Name != before[i].Name {
			errs = append(errs, field.Forbidden(at.Index(i).Child("name"), what+" may not be renamed or reordered on resize"))
		}
	}
	return errs
}

// ValidateUpdate checks the pod as a whole; its quality of service stays, and so do
// the resources that cannot be changed in place.
func (resizeStrategy) ValidateUpdate(_ context.Context, obj, old runtime.Object) field.ErrorList {
	pod, before := obj.(*corev1.Pod), old.(*corev1.Pod)
	if isMirror(before) {
		return field.ErrorList{field.Forbidden(field.NewPath(""), "static pods cannot be resized")}
	}
	if before.Spec.OS != nil && before.Spec.OS.Name == corev1.Windows {
		return field.ErrorList{field.Forbidden(field.NewPath(""), "windows pods cannot be resized")}
	}
	path := field.NewPath("spec")
	errs := core.ValidatePod(pod)
	if before.Status.QOSClass != "" && before.Status.QOSClass != qosClass(&pod.Spec) {
		errs = append(errs, field.Invalid(path, before.Status.QOSClass, "Pod QOS Class may not change as a result of resizing"))
	}
	others := append(validateSameContainers(pod.Spec.Containers, before.Spec.Containers, "containers"),
		validateSameContainers(pod.Spec.InitContainers, before.Spec.InitContainers, "initContainers")...)
	if len(others) > 0 {
		return append(errs, others...)
	}
	errs = append(errs, validateResize(pod.Spec.InitContainers, before.Spec.InitContainers, path.Child("initContainers"))...)
	return append(errs, validateResize(pod.Spec.Containers, before.Spec.Containers, path.Child("containers"))...)
}

// validateResize lets cpu and memory change, but not go.
func validateResize(now, before []corev1.Container, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i := range before {
		at := path.Index(i).Child("resources")
		next, prev := now[i].Resources, before[i].Resources
		if removed(next.Requests, prev.Requests) {
			errs = append(errs, field.Forbidden(at.Child("requests"), "resource requests cannot be removed"))
		}
		if removed(next.Limits, prev.Limits) {
			errs = append(errs, field.Forbidden(at.Child("limits"), "resource limits cannot be removed"))
		}
		if !equality.Semantic.DeepEqual(withoutResizable(next), withoutResizable(prev)) {
			errs = append(errs, field.Forbidden(field.NewPath("spec"), "only cpu and memory resources are mutable"))
		}
	}
	return errs
}

func removed(now, before corev1.ResourceList) bool {
	for name := range before {
		if _, ok := now[name]; !ok {
			return true
		}
	}
	return false
}

func withoutResizable(r corev1.ResourceRequirements) corev1.ResourceRequirements {
	r.Requests, r.Limits = otherResources(r.Requests), otherResources(r.Limits)
	return r
}

func otherResources(list corev1.ResourceList) corev1.ResourceList {
	out := corev1.ResourceList{}
	for name, amount := range list {
		if name != corev1.ResourceCPU && name != corev1.ResourceMemory {
			out[name] = amount
		}
	}
	return out
}

// qosClass follows the rule of the Kubernetes documentation "Pod Quality of Service Classes".
func qosClass(spec *corev1.PodSpec) corev1.PodQOSClass {
	guaranteed, any := true, false
	var resources []corev1.ResourceRequirements
	for _, c := range slices.Concat(spec.InitContainers, spec.Containers) {
		resources = append(resources, c.Resources)
	}
	if r := spec.Resources; r != nil && len(r.Requests)+len(r.Limits) > 0 {
		resources = []corev1.ResourceRequirements{*r} // those of the pod stand for all
	}
	for _, r := range resources {
		for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
			request, hasRequest := r.Requests[name]
			limit, hasLimit := r.Limits[name]
			any = any || hasRequest && !request.IsZero() || hasLimit && !limit.IsZero()
			if !hasLimit || hasRequest && request.Cmp(limit) != 0 {
				guaranteed = false
			}
		}
	}
	switch {
	case !any:
		return corev1.PodQOSBestEffort
	case guaranteed:
		return corev1.PodQOSGuaranteed
	default:
		return corev1.PodQOSBurstable
	}
}
