package apps

import (
	"context"
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/pintle-io/pintle/engine/apis"
	"github.com/pintle-io/pintle/engine/apis/core"
)

func replicaSets() apis.Resource {
	parts := apis.Parts[*appsv1.ReplicaSet, appsv1.ReplicaSetSpec, appsv1.ReplicaSetStatus]{
		Spec:   func(r *appsv1.ReplicaSet) *appsv1.ReplicaSetSpec { return &r.Spec },
		Status: func(r *appsv1.ReplicaSet) *appsv1.ReplicaSetStatus { return &r.Status },
	}
	rules := apis.TypedRules[*appsv1.ReplicaSet]{
		Default:                defaultReplicaSet,
		PrepareForCreate:       parts.Create,
		PrepareForUpdate:       parts.Update,
		PrepareForStatusUpdate: parts.UpdateStatus,
		Validate:               validateReplicaSet,
		ValidateUpdate:         validateReplicaSetUpdate,
		ValidateStatusUpdate:   validateReplicaSetStatusUpdate,
		WarningsOnCreate: func(_ context.Context, r *appsv1.ReplicaSet) []string {
			return append(nameWarning(r.Name), core.PodTemplateWarnings(specPath.Child("template"), &r.Spec.Template, nil)...)
		},
		WarningsOnUpdate: func(_ context.Context, r, old *appsv1.ReplicaSet) []string {
			return core.PodTemplateWarnings(specPath.Child("template"), &r.Spec.Template, &old.Spec.Template)
		},
	}.Rules()
	return apis.Resource{
		GVK: kind("ReplicaSet"), Plural: "replicasets", Singular: "replicaset", ShortNames: []string{"rs"}, Categories: []string{"all"}, Namespaced: true,
		New:     func() runtime.Object { return &appsv1.ReplicaSet{} },
		NewList: func() runtime.Object { return &appsv1.ReplicaSetList{} },
		Rules:   rules,
		Columns: replicaSetColumns(),
		Fields: func(obj runtime.Object) fields.Set {
			return fields.Set{"status.replicas": strconv.Itoa(int(obj.(*appsv1.ReplicaSet).Status.Replicas))}
		},
		HasStatus: true,
		Scale: &apis.Scale{
			Replicas: func(obj runtime.Object) (int32, int32) {
				r := obj.(*appsv1.ReplicaSet)
				return ptr.Deref(r.Spec.Replicas, 0), r.Status.Replicas
			},
			Selector:     func(obj runtime.Object) string { return selectorString(obj.(*appsv1.ReplicaSet).Spec.Selector) },
			SetReplicas:  func(obj runtime.Object, replicas int32) { obj.(*appsv1.ReplicaSet).Spec.Replicas = &replicas },
			ReplicasPath: fieldpath.MakePathOrDie("spec", "replicas"),
		},
	}
}

func defaultReplicaSet(r *appsv1.ReplicaSet) {
	setDefaultPtr(&r.Spec.Replicas, 1)
	core.DefaultPodTemplate(&r.Spec.Template)
}

func replicaSetColumns() []apis.Column {
	return []apis.Column{
		apis.NameColumn(),
		apis.Number("Desired", "The number of pods wanted.", func(r *appsv1.ReplicaSet) int64 { return int64(ptr.Deref(r.Spec.Replicas, 0)) }),
		apis.Number("Current", "The number of pods observed.", func(r *appsv1.ReplicaSet) int64 { return int64(r.Status.Replicas) }),
		apis.Number("Ready", "The number of ready pods.", func(r *appsv1.ReplicaSet) int64 { return int64(r.Status.ReadyReplicas) }),
		apis.AgeColumn(),
		apis.Text("Containers", "Names of each container in the template.", func(r *appsv1.ReplicaSet) string { return core.ContainerNames(&r.Spec.Template.Spec) }).Wide(),
		apis.Text("Images", "Images referenced by each container in the template.", func(r *appsv1.ReplicaSet) string { return core.ContainerImages(&r.Spec.Template.Spec) }).Wide(),
		apis.Text("Selector", "The labels of the pods counted.", func(r *appsv1.ReplicaSet) string { return core.FormatSelector(r.Spec.Selector) }).Wide(),
	}
}
