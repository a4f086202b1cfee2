package node

import (
	"context"

	nodev1 "k8s.io/api/node/v1"
	"k8s.io/apimachinery/pkg/api/validation"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/pintle-io/pintle/engine/apis"
	"github.com/pintle-io/pintle/engine/apis/core"
)

func runtimeClasses() apis.Resource {
	rules := apis.TypedRules[*nodev1.RuntimeClass]{
		Validate: func(_ context.Context, c *nodev1.RuntimeClass) field.ErrorList { return validateRuntimeClass(c) },
		ValidateUpdate: func(_ context.Context, c, old *nodev1.RuntimeClass) field.ErrorList {
			errs := append(validateRuntimeClass(c), validation.ValidateObjectMetaUpdate(&c.ObjectMeta, &old.ObjectMeta, field.NewPath("metadata"))...)
			return append(errs, validation.ValidateImmutableField(c.Handler, old.Handler, field.NewPath("handler"))...)
		},
	}.Rules()
	rules.CreateOnUpdate = true
	rules.ForbidUnconditionalUpdate = true
	return apis.Resource{
		GVK: nodev1.SchemeGroupVersion.WithKind("RuntimeClass"), Plural: "runtimeclasses", Singular: "runtimeclass",
		New:     func() runtime.Object { return &nodev1.RuntimeClass{} },
		NewList: func() runtime.Object { return &nodev1.RuntimeClassList{} },
		Rules:   rules,
		Columns: []apis.Column{
			apis.NameColumn(),
			apis.Text("Handler", "The configuration of the runtime on the node.", func(c *nodev1.RuntimeClass) string { return c.Handler }),
			apis.AgeColumn(),
		},
	}
}

func validateRuntimeClass(c *nodev1.RuntimeClass) field.ErrorList {
	errs := validation.ValidateObjectMeta(&c.ObjectMeta, false, validation.NameIsDNSSubdomain, field.NewPath("metadata"))
	errs = append(errs, core.ValidateDNS1123Label(c.Handler, field.NewPath("handler"))...)
	if o := c.Overhead; o != nil {
		errs = append(errs, core.ValidateAmounts(o.PodFixed, field.NewPath("overhead", "podFixed"))...)
	}
	if s := c.Scheduling; s != nil {
		errs = append(errs, metavalidation.ValidateLabels(s.NodeSelector, field.NewPath("scheduling", "nodeSelector"))...)
		errs = append(errs, core.ValidateTolerations(s.Tolerations, field.NewPath("scheduling", "tolerations"))...)
		for i, a := range s.Tolerations {
			for _, b := range s.Tolerations[:i] {
				if a.MatchToleration(&b) {
					errs = append(errs, field.Duplicate(field.NewPath("scheduling", "tolerations").Index(i), a))
				}
			}
		}
	}
	return errs
}
