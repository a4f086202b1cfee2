package apps

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"github.com/pintle-io/pintle/engine/apis/core"

	"github.com/pintle-io/pintle/engine/apis"
)

func validateStatefulSet(_ context.Context, s *appsv1.StatefulSet) field.ErrorList {
	errs := apis.ValidateMeta(&s.ObjectMeta, true, validation.NameIsDNSLabel, metadata)
	errs = append(errs, validateStatefulSetSpec(&s.Spec, specPath)...)
	for i := range s.Spec.VolumeClaimTemplates {
		errs = append(errs, core.ValidateClaimSpec(&s.Spec.VolumeClaimTemplates[i].Spec, specPath.Child("volumeClaimTemplates").Index(i).Child("spec"))...)
	}
	if s.Spec.ServiceName != "" {
		errs = append(errs, core.ValidateDNS1123Subdomain(s.Spec.ServiceName, specPath.Child("serviceName"))...)
	}
	return errs
}

func validateStatefulSetUpdate(_ context.Context, s, old *appsv1.StatefulSet) field.ErrorList {
	errs := apis.ValidateMetaUpdate(&s.ObjectMeta, &old.ObjectMeta, metadata)
	errs = append(errs, validateStatefulSetSpec(&s.Spec, specPath)...)
	fixed := func(now, was any, name string) {
		errs = append(errs, validation.ValidateImmutableField(now, was, specPath.Child(name))...)
	}
	fixed(s.Spec.Selector, old.Spec.Selector, "selector")
	fixed(s.Spec.VolumeClaimTemplates, old.Spec.VolumeClaimTemplates, "volumeClaimTemplates")
	fixed(s.Spec.ServiceName, old.Spec.ServiceName, "serviceName")
	fixed(s.Spec.PodManagementPolicy, old.Spec.PodManagementPolicy, "podManagementPolicy")
	return errs
}

func validateStatefulSetSpec(spec *appsv1.StatefulSetSpec, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	switch p := spec.PodManagementPolicy; p {
	case appsv1.OrderedReadyPodManagement, appsv1.ParallelPodManagement:
	case "":
		errs = append(errs, field.Required(at.Child("podManagementPolicy"), ""))
	default:
		errs = append(errs, field.Invalid(at.Child("podManagementPolicy"), p,
			fmt.Sprintf("must be '%s' or '%s'", appsv1.OrderedReadyPodManagement, appsv1.ParallelPodManagement)))
	}
	errs = append(errs, validateStatefulSetStrategy(&spec.UpdateStrategy, at.Child("updateStrategy"))...)
	if p := spec.PersistentVolumeClaimRetentionPolicy; p != nil {
		errs = append(errs, validateRetention(p.WhenDeleted, at.Child("persistentVolumeClaimRetentionPolicy", "whenDeleted"))...)
		errs = append(errs, validateRetention(p.WhenScaled, at.Child("persistentVolumeClaimRetentionPolicy", "whenScaled"))...)
	}
	errs = append(errs, core.ValidateNotNegative(ptr.Deref(spec.Replicas, 0), at.Child("replicas"))...)
	errs = append(errs, core.ValidateNotNegative(spec.MinReadySeconds, at.Child("minReadySeconds"))...)
	if l := spec.RevisionHistoryLimit; l != nil {
		errs = append(errs, core.ValidateNotNegative(*l, at.Child("revisionHistoryLimit"))...)
	}
	if o := spec.Ordinals; o != nil {
		errs = append(errs, core.ValidateNotNegative(o.Start, at.Child("ordinals", "start"))...)
	}
	selector, bad := validateSelector(spec.Selector, "statefulset", at.Child("selector"))
	errs = append(errs, bad...)
	w := core.WorkloadTemplate{Kind: "StatefulSet", Selector: selector}
	return append(errs, w.Validate(asRun(spec), at.Child("template"))...)
}

// asRun is the template with what each pod gets of its own: volumes for the claims come
// first and hide those of the same name, and host names are the controller's.
func asRun(spec *appsv1.StatefulSetSpec) *corev1.PodTemplateSpec {
	t := spec.Template
	t.Spec.Hostname, t.Spec.Subdomain = "", ""
	if len(spec.VolumeClaimTemplates) == 0 {
		return &t
	}
	var volumes []corev1.Volume
	claimed := map[string]bool{}
	for _, c := range spec.VolumeClaimTemplates {
		if !claimed[c.Name] {
			volumes = append(volumes, corev1.Volume{Name: c.Name, VolumeSource: corev1.VolumeSource{
				PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: c.Name},
			}})
		}
		claimed[c.Name] = true
	}
	for _, v := range t.Spec.Volumes {
		if !claimed[v.Name] {
			volumes = append(volumes, v)
		}
	}
	t.Spec.Volumes = volumes
	return &t
}

func validateStatefulSetStrategy(s *appsv1.StatefulSetUpdateStrategy, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	rollingAt := at.Child("rollingUpdate")
	switch s.Type {
	case "":
		errs = append(errs, field.Required(at, ""))
	case appsv1.OnDeleteStatefulSetStrategyType:
		if s.RollingUpdate != nil {
			errs = append(errs, field.Invalid(rollingAt, s.RollingUpdate,
				fmt.Sprintf("only allowed for updateStrategy '%s'", appsv1.RollingUpdateStatefulSetStrategyType)))
		}
	case appsv1.RollingUpdateStatefulSetStrategyType:
		r := s.RollingUpdate
		if r == nil {
			break
		}
		errs = append(errs, core.ValidateNotNegative(ptr.Deref(r.Partition, 0), rollingAt.Child("partition"))...)
		if m := r.MaxUnavailable; m != nil {
			errs = append(errs, validateShare(*m, rollingAt.Child("maxUnavailable"))...)
			if amount(m) == 0 {
				errs = append(errs, field.Invalid(rollingAt.Child("maxUnavailable"), *m, "cannot be 0"))
			}
			errs = append(errs, atMostAll(*m, rollingAt.Child("maxUnavailable"))...)
		}
	default:
		errs = append(errs, field.Invalid(at, s, fmt.Sprintf("must be '%s' or '%s'", appsv1.RollingUpdateStatefulSetStrategyType, appsv1.OnDeleteStatefulSetStrategyType)))
	}
	return errs
}

func validateRetention(p appsv1.PersistentVolumeClaimRetentionPolicyType, at *field.Path) field.ErrorList {
	switch p {
	case appsv1.RetainPersistentVolumeClaimRetentionPolicyType, appsv1.DeletePersistentVolumeClaimRetentionPolicyType:
		return nil
	}
	return field.ErrorList{field.NotSupported(at, p, []appsv1.PersistentVolumeClaimRetentionPolicyType{
		appsv1.RetainPersistentVolumeClaimRetentionPolicyType, appsv1.DeletePersistentVolumeClaimRetentionPolicyType,
	})}
}

func validateStatefulSetStatusUpdate(_ context.Context, s, old *appsv1.StatefulSet) field.ErrorList {
	errs := apis.ValidateMetaUpdate(&s.ObjectMeta, &old.ObjectMeta, metadata)
	st := &s.Status
	errs = append(errs, core.ReplicaCounts{
		Replicas: st.Replicas, Ready: st.ReadyReplicas, Available: st.AvailableReplicas, ObservedGeneration: st.ObservedGeneration,
	}.Validate(statusPath)...)
	errs = append(errs, core.ValidateNotNegative(st.CurrentReplicas, statusPath.Child("currentReplicas"))...)
	errs = append(errs, core.ValidateNotNegative(st.UpdatedReplicas, statusPath.Child("updatedReplicas"))...)
	const above = "cannot be greater than status.replicas"
	if st.CurrentReplicas > st.Replicas {
		errs = append(errs, field.Invalid(statusPath.Child("currentReplicas"), st.CurrentReplicas, above))
	}
	if st.UpdatedReplicas > st.Replicas {
		errs = append(errs, field.Invalid(statusPath.Child("updatedReplicas"), st.UpdatedReplicas, above))
	}
	return append(errs, validateCollisions(st.CollisionCount, old.Status.CollisionCount, statusPath.Child("collisionCount"))...)
}
