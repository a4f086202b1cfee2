package registry

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
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

func (ephemeralStrategy) ValidateUpdate(_ context.Context, obj, old runtime.Object) field.ErrorList {
	pod, before := obj.(*corev1.Pod), old.(*corev1.Pod)
	path := field.NewPath("spec", "ephemeralContainers")
	var errs field.ErrorList
	now := map[string]*corev1.EphemeralContainer{}
	taken := map[string]bool{}
	for _, c := range append(append([]corev1.Container{}, pod.Spec.InitContainers...), pod.Spec.Containers...) {
		taken[c.Name] = true
	}
	for i := range pod.Spec.EphemeralContainers {
		c := &pod.Spec.EphemeralContainers[i]
		switch {
		case c.Name == "":
			errs = append(errs, field.Required(path.Index(i).Child("name"), ""))
		case taken[c.Name]:
			errs = append(errs, field.Duplicate(path.Index(i).Child("name"), c.Name))
		case c.Image == "":
			errs = append(errs, field.Required(path.Index(i).Child("image"), ""))
		}
		taken[c.Name] = true
		now[c.Name] = c
	}
	for i := range before.Spec.EphemeralContainers {
		c := &before.Spec.EphemeralContainers[i]
		switch kept := now[c.Name]; {
		case kept == nil:
			errs = append(errs, field.Forbidden(path, "existing ephemeral containers \""+c.Name+"\" may not be removed\n"))
		case !equality.Semantic.DeepEqual(c, kept):
			errs = append(errs, field.Forbidden(path, "existing ephemeral containers \""+c.Name+"\" may not be changed\n"))
		}
	}
	return errs
}

// resizeStrategy lets pods/resize change the resources of containers.
type resizeStrategy struct{ podPartStrategy }

func (resizeStrategy) PrepareForUpdate(_ context.Context, obj, old runtime.Object) {
	mergePod(obj, old, func(into, from *corev1.Pod) {
		putResources(into.Spec.Containers, from.Spec.Containers)
		putResources(into.Spec.InitContainers, from.Spec.InitContainers)
	})
}

// putResources copies resources and resize policies between containers of the same name.
func putResources(into, from []corev1.Container) {
	for i := range into {
		for j := range from {
			if into[i].Name == from[j].Name {
				into[i].Resources, into[i].ResizePolicy = from[j].Resources, from[j].ResizePolicy
			}
		}
	}
}

func (resizeStrategy) ValidateUpdate(_ context.Context, obj, old runtime.Object) field.ErrorList {
	pod, before := obj.(*corev1.Pod), old.(*corev1.Pod)
	var errs field.ErrorList
	if before.Status.QOSClass != "" && before.Status.QOSClass != qosClass(&pod.Spec) {
		errs = append(errs, field.Invalid(field.NewPath("spec"), before.Status.QOSClass, "Pod QOS Class may not change as a result of resizing"))
	}
	for i := range pod.Spec.Containers {
		c := &pod.Spec.Containers[i]
		path := field.NewPath("spec", "containers").Index(i).Child("resources")
		for name, request := range c.Resources.Requests {
			if limit, ok := c.Resources.Limits[name]; ok && request.Cmp(limit) > 0 {
				errs = append(errs, field.Invalid(path.Child("requests").Key(string(name)), request.String(),
					"must be less than or equal to "+string(name)+" limit of "+limit.String()))
			}
		}
	}
	return errs
}

// qosClass follows the rule of the Kubernetes documentation "Pod Quality of Service Classes".
func qosClass(spec *corev1.PodSpec) corev1.PodQOSClass {
	guaranteed, any := true, false
	for _, c := range append(append([]corev1.Container{}, spec.InitContainers...), spec.Containers...) {
		for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
			request, hasRequest := c.Resources.Requests[name]
			limit, hasLimit := c.Resources.Limits[name]
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
