package apps

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/pintle-io/pintle/engine/apis"
	"github.com/pintle-io/pintle/engine/apis/core"
)

func statefulSets() apis.Resource {
	parts := apis.Parts[*appsv1.StatefulSet, appsv1.StatefulSetSpec, appsv1.StatefulSetStatus]{
		Spec:   func(s *appsv1.StatefulSet) *appsv1.StatefulSetSpec { return &s.Spec },
		Status: func(s *appsv1.StatefulSet) *appsv1.StatefulSetStatus { return &s.Status },
	}
	rules := apis.TypedRules[*appsv1.StatefulSet]{
		Default:                defaultStatefulSet,
		PrepareForCreate:       parts.Create,
		PrepareForUpdate:       parts.Update,
		PrepareForStatusUpdate: parts.UpdateStatus,
		Validate:               validateStatefulSet,
		ValidateUpdate:         validateStatefulSetUpdate,
		ValidateStatusUpdate:   validateStatefulSetStatusUpdate,
		WarningsOnCreate: func(_ context.Context, s *appsv1.StatefulSet) []string {
			return core.PodTemplateWarnings(specPath.Child("template"), &s.Spec.Template, nil)
		},
		WarningsOnUpdate: func(_ context.Context, s, old *appsv1.StatefulSet) []string {
			return core.PodTemplateWarnings(specPath.Child("template"), &s.Spec.Template, &old.Spec.Template)
		},
	}.Rules()
	return apis.Resource{
		GVK: kind("StatefulSet"), Plural: "statefulsets", Singular: "statefulset", ShortNames: []string{"sts"}, Categories: []string{"all"}, Namespaced: true,
		New:       func() runtime.Object { return &appsv1.StatefulSet{} },
		NewList:   func() runtime.Object { return &appsv1.StatefulSetList{} },
		Rules:     rules,
		Columns:   statefulSetColumns(),
		HasStatus: true,
		Scale: &apis.Scale{
			Replicas: func(obj runtime.Object) (int32, int32) {
				s := obj.(*appsv1.StatefulSet)
				return ptr.Deref(s.Spec.Replicas, 0), s.Status.Replicas
			},
			Selector:     func(obj runtime.Object) string { return selectorString(obj.(*appsv1.StatefulSet).Spec.Selector) },
			SetReplicas:  func(obj runtime.Object, replicas int32) { obj.(*appsv1.StatefulSet).Spec.Replicas = &replicas },
			ReplicasPath: fieldpath.MakePathOrDie("spec", "replicas"),
		},
	}
}

func defaultStatefulSet(s *appsv1.StatefulSet) {
	spec := &s.Spec
	setDefaultPtr(&spec.Replicas, 1)
	setDefaultPtr(&spec.RevisionHistoryLimit, 10)
	setDefault(&spec.PodManagementPolicy, appsv1.OrderedReadyPodManagement)
	setDefault(&spec.UpdateStrategy.Type, appsv1.RollingUpdateStatefulSetStrategyType)
	if spec.UpdateStrategy.Type == appsv1.RollingUpdateStatefulSetStrategyType {
		setDefaultPtr(&spec.UpdateStrategy.RollingUpdate, appsv1.RollingUpdateStatefulSetStrategy{})
		setDefaultPtr(&spec.UpdateStrategy.RollingUpdate.Partition, 0)
		setDefaultPtr(&spec.UpdateStrategy.RollingUpdate.MaxUnavailable, intstr.FromInt32(1))
	}
	setDefaultPtr(&spec.PersistentVolumeClaimRetentionPolicy, appsv1.StatefulSetPersistentVolumeClaimRetentionPolicy{})
	setDefault(&spec.PersistentVolumeClaimRetentionPolicy.WhenDeleted, appsv1.RetainPersistentVolumeClaimRetentionPolicyType)
	setDefault(&spec.PersistentVolumeClaimRetentionPolicy.WhenScaled, appsv1.RetainPersistentVolumeClaimRetentionPolicyType)
	core.DefaultPodTemplate(&spec.Template)
	for i := range spec.VolumeClaimTemplates {
		claim := &spec.VolumeClaimTemplates[i]
		core.DefaultPersistentVolumeClaim(claim)
		claim.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("PersistentVolumeClaim"))
	}
}

func statefulSetColumns() []apis.Column {
	return []apis.Column{
		apis.NameColumn(),
		apis.Text("Ready", "Ready pods, of the pods wanted.", func(s *appsv1.StatefulSet) string {
			return fmt.Sprintf("%d/%d", s.Status.ReadyReplicas, ptr.Deref(s.Spec.Replicas, 0))
		}),
		apis.AgeColumn(),
		apis.Text("Containers", "Names of each container in the template.", func(s *appsv1.StatefulSet) string { return core.ContainerNames(&s.Spec.Template.Spec) }).Wide(),
		apis.Text("Images", "Images referenced by each container in the template.", func(s *appsv1.StatefulSet) string { return core.ContainerImages(&s.Spec.Template.Spec) }).Wide(),
	}
}
