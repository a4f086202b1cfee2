package core

import (
	"context"
	"maps"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/pintle-io/pintle/engine/apis"
)

func replicationControllers() apis.Resource {
	parts := apis.Parts[*corev1.ReplicationController, corev1.ReplicationControllerSpec, corev1.ReplicationControllerStatus]{
		Spec:   func(rc *corev1.ReplicationController) *corev1.ReplicationControllerSpec { return &rc.Spec },
		Status: func(rc *corev1.ReplicationController) *corev1.ReplicationControllerStatus { return &rc.Status },
	}
	rules := apis.TypedRules[*corev1.ReplicationController]{
		Default:                defaultReplicationController,
		PrepareForCreate:       parts.Create,
		PrepareForUpdate:       parts.Update,
		PrepareForStatusUpdate: parts.UpdateStatus,
		Validate: func(_ context.Context, rc *corev1.ReplicationController) field.ErrorList {
			return validateReplicationController(rc)
		},
		ValidateUpdate:       validateReplicationControllerUpdate,
		ValidateStatusUpdate: validateReplicationControllerStatusUpdate,
		WarningsOnCreate: func(_ context.Context, rc *corev1.ReplicationController) []string {
			if rc.Spec.Template == nil {
				return nil
			}
			return PodTemplateWarnings(specPath.Child("template"), rc.Spec.Template, nil)
		},
	}.Rules()
	rules.DefaultOrphan = true
	return apis.Resource{
		GVK: kind("ReplicationController"), Plural: "replicationcontrollers", Singular: "replicationcontroller",
		ShortNames: []string{"rc"}, Categories: []string{"all"}, Namespaced: true,
		New:       func() runtime.Object { return &corev1.ReplicationController{} },
		NewList:   func() runtime.Object { return &corev1.ReplicationControllerList{} },
		Rules:     rules,
		Columns:   replicationControllerColumns(),
		Fields:    replicationControllerFields,
		HasStatus: true,
		Scale: &apis.Scale{
			Replicas: func(obj runtime.Object) (int32, int32) {
				rc := obj.(*corev1.ReplicationController)
				return ptr.Deref(rc.Spec.Replicas, 0), rc.Status.Replicas
			},
			Selector: func(obj runtime.Object) string {
				return labels.Set(obj.(*corev1.ReplicationController).Spec.Selector).AsSelector().String()
			},
			SetReplicas: func(obj runtime.Object, replicas int32) {
				obj.(*corev1.ReplicationController).Spec.Replicas = &replicas
			},
			ReplicasPath: fieldpath.MakePathOrDie("spec", "replicas"),
		},
	}
}

func replicationControllerFields(obj runtime.Object) fields.Set {
	return fields.Set{"status.replicas": strconv.Itoa(int(obj.(*corev1.ReplicationController).Status.Replicas))}
}

func defaultReplicationController(rc *corev1.ReplicationController) {
	setDefaultPtr(&rc.Spec.Replicas, 1)
	t := rc.Spec.Template
	if t == nil {
		return
	}
	DefaultPodTemplate(t)
	if len(t.Labels) == 0 {
		return
	}
	if len(rc.Spec.Selector) == 0 {
		rc.Spec.Selector = maps.Clone(t.Labels)
	}
	if len(rc.Labels) == 0 {
		rc.Labels = maps.Clone(t.Labels)
	}
}

func replicationControllerColumns() []apis.Column {
	template := func(rc *corev1.ReplicationController) *corev1.PodSpec {
		if rc.Spec.Template == nil {
			return &corev1.PodSpec{}
		}
		return &rc.Spec.Template.Spec
	}
	return []apis.Column{
		apis.NameColumn(),
		apis.Number("Desired", "The number of pods wanted.", func(rc *corev1.ReplicationController) int64 { return int64(ptr.Deref(rc.Spec.Replicas, 0)) }),
		apis.Number("Current", "The number of pods observed.", func(rc *corev1.ReplicationController) int64 { return int64(rc.Status.Replicas) }),
		apis.Number("Ready", "The number of ready pods.", func(rc *corev1.ReplicationController) int64 { return int64(rc.Status.ReadyReplicas) }),
		apis.AgeColumn(),
		apis.Text("Containers", "Names of each container in the template.", func(rc *corev1.ReplicationController) string { return ContainerNames(template(rc)) }).Wide(),
		apis.Text("Images", "Images referenced by each container in the template.", func(rc *corev1.ReplicationController) string { return ContainerImages(template(rc)) }).Wide(),
		apis.Text("Selector", "The labels of the pods counted.", func(rc *corev1.ReplicationController) string { return FormatLabels(rc.Spec.Selector) }).Wide(),
	}
}
