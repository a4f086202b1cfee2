package apps

import (
	"context"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/pintle-io/pintle/engine/apis"
	"github.com/pintle-io/pintle/engine/apis/core"
)

func deployments() apis.Resource {
	parts := apis.Parts[*appsv1.Deployment, appsv1.DeploymentSpec, appsv1.DeploymentStatus]{
		Spec:             func(d *appsv1.Deployment) *appsv1.DeploymentSpec { return &d.Spec },
		Status:           func(d *appsv1.Deployment) *appsv1.DeploymentStatus { return &d.Status },
		AnnotationsCount: true,
		KeepLabels:       true,
	}
	rules := apis.TypedRules[*appsv1.Deployment]{
		Default:                defaultDeployment,
		PrepareForCreate:       parts.Create,
		PrepareForUpdate:       parts.Update,
		PrepareForStatusUpdate: parts.UpdateStatus,
		Validate:               validateDeployment,
		ValidateUpdate:         validateDeploymentUpdate,
		ValidateStatusUpdate:   validateDeploymentStatusUpdate,
		WarningsOnCreate: func(_ context.Context, d *appsv1.Deployment) []string {
			return append(nameWarning(d.Name), core.PodTemplateWarnings(specPath.Child("template"), &d.Spec.Template, nil)...)
		},
		WarningsOnUpdate: func(_ context.Context, d, old *appsv1.Deployment) []string {
			return core.PodTemplateWarnings(specPath.Child("template"), &d.Spec.Template, &old.Spec.Template)
		},
	}.Rules()
	return apis.Resource{
		GVK: kind("Deployment"), Plural: "deployments", Singular: "deployment", ShortNames: []string{"deploy"}, Categories: []string{"all"}, Namespaced: true,
		New:       func() runtime.Object { return &appsv1.Deployment{} },
		NewList:   func() runtime.Object { return &appsv1.DeploymentList{} },
		Rules:     rules,
		Columns:   deploymentColumns(),
		HasStatus: true,
		Scale: &apis.Scale{
			Replicas: func(obj runtime.Object) (int32, int32) {
				d := obj.(*appsv1.Deployment)
				return ptr.Deref(d.Spec.Replicas, 0), d.Status.Replicas
			},
			Selector:     func(obj runtime.Object) string { return selectorString(obj.(*appsv1.Deployment).Spec.Selector) },
			SetReplicas:  func(obj runtime.Object, replicas int32) { obj.(*appsv1.Deployment).Spec.Replicas = &replicas },
			ReplicasPath: fieldpath.MakePathOrDie("spec", "replicas"),
		},
	}
}

func defaultDeployment(d *appsv1.Deployment) {
	spec := &d.Spec
	setDefaultPtr(&spec.Replicas, 1)
	setDefaultPtr(&spec.RevisionHistoryLimit, 10)
	setDefaultPtr(&spec.ProgressDeadlineSeconds, 600)
	setDefault(&spec.Strategy.Type, appsv1.RollingUpdateDeploymentStrategyType)
	if spec.Strategy.Type == appsv1.RollingUpdateDeploymentStrategyType {
		setDefaultPtr(&spec.Strategy.RollingUpdate, appsv1.RollingUpdateDeployment{})
		setDefaultPtr(&spec.Strategy.RollingUpdate.MaxUnavailable, intstr.FromString("25%"))
		setDefaultPtr(&spec.Strategy.RollingUpdate.MaxSurge, intstr.FromString("25%"))
	}
	core.DefaultPodTemplate(&spec.Template)
}

func deploymentColumns() []apis.Column {
	return []apis.Column{
		apis.NameColumn(),
		apis.Text("Ready", "Ready pods, of the pods wanted.", func(d *appsv1.Deployment) string {
			return fmt.Sprintf("%d/%d", d.Status.ReadyReplicas, ptr.Deref(d.Spec.Replicas, 0))
		}),
		apis.Number("Up-to-date", "Pods with the wanted template.", func(d *appsv1.Deployment) int64 { return int64(d.Status.UpdatedReplicas) }).AsText(),
		apis.Number("Available", "Pods ready for long enough.", func(d *appsv1.Deployment) int64 { return int64(d.Status.AvailableReplicas) }).AsText(),
		apis.AgeColumn(),
		apis.Text("Containers", "Names of each container in the template.", func(d *appsv1.Deployment) string { return core.ContainerNames(&d.Spec.Template.Spec) }).Wide(),
		apis.Text("Images", "Images referenced by each container in the template.", func(d *appsv1.Deployment) string { return core.ContainerImages(&d.Spec.Template.Spec) }).Wide(),
		apis.Text("Selector", "The labels of the pods counted.", func(d *appsv1.Deployment) string { return core.FormatSelector(d.Spec.Selector) }).Wide(),
	}
}
