package apps

import (
	"context"
	"maps"
	"strconv"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/pintle-io/pintle/engine/apis"
	"github.com/pintle-io/pintle/engine/apis/core"
)

func daemonSets() apis.Resource {
	parts := apis.Parts[*appsv1.DaemonSet, appsv1.DaemonSetSpec, appsv1.DaemonSetStatus]{
		Spec:   func(d *appsv1.DaemonSet) *appsv1.DaemonSetSpec { return &d.Spec },
		Status: func(d *appsv1.DaemonSet) *appsv1.DaemonSetStatus { return &d.Status },
	}
	rules := apis.TypedRules[*appsv1.DaemonSet]{
		Default: defaultDaemonSet,
		PrepareForCreate: func(ctx context.Context, d *appsv1.DaemonSet) {
			parts.Create(ctx, d)
			setTemplateGeneration(d, max(1, templateGeneration(d)))
		},
		PrepareForUpdate: func(ctx context.Context, d, old *appsv1.DaemonSet) {
			parts.Update(ctx, d, old)
			n := templateGeneration(old)
			if !equality.Semantic.DeepEqual(d.Spec.Template, old.Spec.Template) {
				n++
			}
			setTemplateGeneration(d, n)
		},
		PrepareForStatusUpdate: func(ctx context.Context, d, old *appsv1.DaemonSet) {
			parts.UpdateStatus(ctx, d, old)
			setTemplateGeneration(d, templateGeneration(old))
		},
		Validate:             validateDaemonSet,
		ValidateUpdate:       validateDaemonSetUpdate,
		ValidateStatusUpdate: validateDaemonSetStatusUpdate,
		WarningsOnCreate: func(_ context.Context, d *appsv1.DaemonSet) []string {
			return core.PodTemplateWarnings(specPath.Child("template"), &d.Spec.Template, nil)
		},
		WarningsOnUpdate: func(_ context.Context, d, old *appsv1.DaemonSet) []string {
			return core.PodTemplateWarnings(specPath.Child("template"), &d.Spec.Template, &old.Spec.Template)
		},
	}.Rules()
	return apis.Resource{
		GVK: kind("DaemonSet"), Plural: "daemonsets", Singular: "daemonset", ShortNames: []string{"ds"}, Categories: []string{"all"}, Namespaced: true,
		New:       func() runtime.Object { return &appsv1.DaemonSet{} },
		NewList:   func() runtime.Object { return &appsv1.DaemonSetList{} },
		Rules:     rules,
		Columns:   daemonSetColumns(),
		HasStatus: true,
	}
}

// templateGeneration counts the templates a daemon set has had. It was a field of
// the spec once, and is kept as an annotation for the pods that old versions made.
func templateGeneration(d *appsv1.DaemonSet) int64 {
	n, err := strconv.ParseInt(d.Annotations[appsv1.DeprecatedTemplateGeneration], 10, 64)
	if err != nil {
		return 0
	}
	return n
}

func setTemplateGeneration(d *appsv1.DaemonSet, n int64) {
	if n == 0 {
		return
	}
	d.Annotations = maps.Clone(d.Annotations)
	if d.Annotations == nil {
		d.Annotations = map[string]string{}
	}
	d.Annotations[appsv1.DeprecatedTemplateGeneration] = strconv.FormatInt(n, 10)
}

func defaultDaemonSet(d *appsv1.DaemonSet) {
	spec := &d.Spec
	setDefaultPtr(&spec.RevisionHistoryLimit, 10)
	setDefault(&spec.UpdateStrategy.Type, appsv1.RollingUpdateDaemonSetStrategyType)
	if spec.UpdateStrategy.Type == appsv1.RollingUpdateDaemonSetStrategyType {
		setDefaultPtr(&spec.UpdateStrategy.RollingUpdate, appsv1.RollingUpdateDaemonSet{})
		setDefaultPtr(&spec.UpdateStrategy.RollingUpdate.MaxUnavailable, intstr.FromInt32(1))
		setDefaultPtr(&spec.UpdateStrategy.RollingUpdate.MaxSurge, intstr.FromInt32(0))
	}
	core.DefaultPodTemplate(&spec.Template)
}

func daemonSetColumns() []apis.Column {
	count := func(name, description string, of func(*appsv1.DaemonSetStatus) int32) apis.Column {
		return apis.Number(name, description, func(d *appsv1.DaemonSet) int64 { return int64(of(&d.Status)) })
	}
	return []apis.Column{
		apis.NameColumn(),
		count("Desired", "Nodes that should run a pod.", func(s *appsv1.DaemonSetStatus) int32 { return s.DesiredNumberScheduled }),
		count("Current", "Nodes that have a pod.", func(s *appsv1.DaemonSetStatus) int32 { return s.CurrentNumberScheduled }),
		count("Ready", "Nodes with a ready pod.", func(s *appsv1.DaemonSetStatus) int32 { return s.NumberReady }),
		count("Up-to-date", "Nodes with a pod of the wanted template.", func(s *appsv1.DaemonSetStatus) int32 { return s.UpdatedNumberScheduled }),
		count("Available", "Nodes with a pod ready for long enough.", func(s *appsv1.DaemonSetStatus) int32 { return s.NumberAvailable }),
		apis.Text("Node Selector", "The labels of the nodes chosen.", func(d *appsv1.DaemonSet) string { return core.FormatLabels(d.Spec.Template.Spec.NodeSelector) }),
		apis.AgeColumn(),
		apis.Text("Containers", "Names of each container in the template.", func(d *appsv1.DaemonSet) string { return core.ContainerNames(&d.Spec.Template.Spec) }).Wide(),
		apis.Text("Images", "Images referenced by each container in the template.", func(d *appsv1.DaemonSet) string { return core.ContainerImages(&d.Spec.Template.Spec) }).Wide(),
		apis.Text("Selector", "The labels of the pods counted.", func(d *appsv1.DaemonSet) string { return core.FormatSelector(d.Spec.Selector) }).Wide(),
	}
}
