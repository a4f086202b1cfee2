package networking

import (
	"context"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/runtime"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"github.com/pintle-io/pintle/engine/apis"
)

const maxControllerLength = 250

func ingressClasses() apis.Resource {
	create, update := apis.CountGenerations(func(c, old *networkingv1.IngressClass) bool {
		return !equality.Semantic.DeepEqual(c.Spec, old.Spec)
	})
	rules := apis.TypedRules[*networkingv1.IngressClass]{
		Default: func(c *networkingv1.IngressClass) {
			if p := c.Spec.Parameters; p != nil && p.Scope == nil {
				p.Scope = ptr.To(networkingv1.IngressClassParametersReferenceScopeCluster)
			}
		},
		PrepareForCreate: create,
		PrepareForUpdate: update,
		Validate: func(_ context.Context, c *networkingv1.IngressClass) field.ErrorList {
			errs := apis.ValidateMeta(&c.ObjectMeta, false, validation.NameIsDNSSubdomain, metadata)
			return append(errs, validateIngressClassSpec(&c.Spec, field.NewPath("spec"))...)
		},
		ValidateUpdate: func(_ context.Context, c, old *networkingv1.IngressClass) field.ErrorList {
			errs := apis.ValidateMetaUpdate(&c.ObjectMeta, &old.ObjectMeta, metadata)
			errs = append(errs, validation.ValidateImmutableField(c.Spec.Controller, old.Spec.Controller, field.NewPath("spec", "controller"))...)
			return append(errs, validateIngressClassSpec(&c.Spec, field.NewPath("spec"))...)
		},
	}.Rules()
	return apis.Resource{
		GVK: kind("IngressClass"), Plural: "ingressclasses", Singular: "ingressclass",
		New:     func() runtime.Object { return &networkingv1.IngressClass{} },
		NewList: func() runtime.Object { return &networkingv1.IngressClassList{} },
		Rules:   rules,
		Columns: []apis.Column{
			apis.NameColumn(),
			apis.Text("Controller", "The controller that serves the class.", func(c *networkingv1.IngressClass) string { return c.Spec.Controller }),
			apis.Text("Parameters", "The object with further settings.", ingressClassParameters),
			apis.AgeColumn(),
		},
	}
}

func ingressClassParameters(c *networkingv1.IngressClass) string {
	p := c.Spec.Parameters
	if p == nil {
		return "<none>"
	}
	text := p.Kind
	if p.APIGroup != nil {
		text += "." + *p.APIGroup
	}
	return text + "/" + p.Name
}

func validateIngressClassSpec(spec *networkingv1.IngressClassSpec, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if len(spec.Controller) > maxControllerLength {
		errs = append(errs, field.TooLong(at.Child("controller"), spec.Controller, maxControllerLength))
	}
	errs = append(errs, utilvalidation.IsDomainPrefixedPath(at.Child("controller"), spec.Controller)...)
	if spec.Parameters != nil {
		errs = append(errs, validateParameters(spec.Parameters, at.Child("parameters"))...)
	}
	return errs
}

func validateParameters(p *networkingv1.IngressClassParametersReference, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if p.APIGroup != nil {
		errs = append(errs, invalidEach(at.Child("apiGroup"), *p.APIGroup, utilvalidation.IsDNS1123Subdomain(*p.APIGroup))...)
	}
	errs = append(errs, requiredSegment(p.Kind, at.Child("kind"))...)
	errs = append(errs, requiredSegment(p.Name, at.Child("name"))...)
	if p.Scope == nil {
		return append(errs, field.Required(at.Child("scope"), ""))
	}
	namespaceAt := at.Child("namespace")
	switch *p.Scope {
	case networkingv1.IngressClassParametersReferenceScopeNamespace:
		switch {
		case p.Namespace == nil:
			errs = append(errs, field.Required(namespaceAt, "`parameters.scope` is set to 'Namespace'"))
		case *p.Namespace == "":
			errs = append(errs, field.Required(namespaceAt, ""))
		default:
			errs = append(errs, invalidEach(namespaceAt, *p.Namespace, validation.ValidateNamespaceName(*p.Namespace, false))...)
		}
	case networkingv1.IngressClassParametersReferenceScopeCluster:
		if p.Namespace != nil {
			errs = append(errs, field.Forbidden(namespaceAt, "`parameters.scope` is set to 'Cluster'"))
		}
	default:
		errs = append(errs, field.NotSupported(at.Child("scope"), *p.Scope,
			[]string{networkingv1.IngressClassParametersReferenceScopeCluster, networkingv1.IngressClassParametersReferenceScopeNamespace}))
	}
	return errs
}
