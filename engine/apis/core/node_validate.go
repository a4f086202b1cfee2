package core

import (
	"context"
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/validation"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/sets"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	netutils "k8s.io/utils/net"

	"github.com/pintle-io/pintle/engine/apis"
)

// prepareNodeCreate keeps the status: a node registers with what it offers.
func prepareNodeCreate(_ context.Context, n *corev1.Node) {
	n.Spec.ConfigSource = nil
	n.Spec.PodPreemptionPolicy = nil // of a feature that is off by default
	n.Status.Config = nil
}

func prepareNodeUpdate(_ context.Context, n, old *corev1.Node) {
	n.Status = old.Status
	n.Spec.ConfigSource, n.Spec.PodPreemptionPolicy = old.Spec.ConfigSource, old.Spec.PodPreemptionPolicy
}

func prepareNodeStatusUpdate(_ context.Context, n, old *corev1.Node) {
	n.Spec, n.Status.Config = old.Spec, old.Status.Config
}

func validateNode(n *corev1.Node) field.ErrorList {
	errs := apis.ValidateMeta(&n.ObjectMeta, false, validation.NameIsDNSSubdomain, metadata)
	errs = append(errs, validateTaints(n.Spec.Taints, metadata.Child("taints"))...)
	errs = append(errs, validateNodeAmounts(n)...)
	cidrsAt := specPath.Child("podCIDRs")
	for i, c := range n.Spec.PodCIDRs {
		errs = append(errs, utilvalidation.IsValidCIDRForLegacyField(cidrsAt.Index(i), c, true, nil)...)
	}
	if len(n.Spec.PodCIDRs) > 1 {
		dual, err := netutils.IsDualStackCIDRStrings(n.Spec.PodCIDRs)
		if err != nil {
			errs = append(errs, field.InternalError(cidrsAt, fmt.Errorf("invalid PodCIDRs. failed to check with dual stack with error:%w", err)))
		}
		if !dual || len(n.Spec.PodCIDRs) > 2 {
			errs = append(errs, field.Invalid(cidrsAt, n.Spec.PodCIDRs, "may specify no more than one CIDR for each IP family"))
		}
	}
	return errs
}

func validateNodeAmounts(n *corev1.Node) field.ErrorList {
	var errs field.ErrorList
	for _, list := range []struct {
		name string
		of   corev1.ResourceList
	}{{"capacity", n.Status.Capacity}, {"allocatable", n.Status.Allocatable}} {
		for _, name := range slices.Sorted(maps.Keys(list.of)) {
			at := field.NewPath("status", list.name).Key(string(name))
			errs = append(errs, validateResourceName(name, at)...)
			errs = append(errs, validateAmount(name, list.of[name], at)...)
		}
	}
	return errs
}

func validateTaints(taints []corev1.Taint, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	type key struct {
		key    string
		effect corev1.TaintEffect
	}
	seen := sets.New[key]()
	for i, t := range taints {
		taintAt := at.Index(i)
		errs = append(errs, metavalidation.ValidateLabelName(t.Key, taintAt.Child("key"))...)
		errs = append(errs, invalidEach(taintAt.Child("value"), t.Value, utilvalidation.IsValidLabelValue(t.Value))...)
		errs = append(errs, validateTaintEffect(t.Effect, taintAt.Child("effect"))...)
		k := key{t.Key, t.Effect}
		if seen.Has(k) {
			duplicate := field.Duplicate(taintAt, t)
			duplicate.Detail = "taints must be unique by key and effect pair"
			errs = append(errs, duplicate)
		}
		seen.Insert(k)
	}
	return errs
}

func validateNodeUpdate(_ context.Context, n, old *corev1.Node) field.ErrorList {
	errs := apis.ValidateMetaUpdate(&n.ObjectMeta, &old.ObjectMeta, metadata)
	errs = append(errs, validateNode(n)...)
	if len(old.Spec.PodCIDRs) > 0 && !slices.Equal(old.Spec.PodCIDRs, n.Spec.PodCIDRs) {
		errs = append(errs, field.Forbidden(specPath.Child("podCIDRs"), `node updates may not change podCIDR except from "" to valid`))
	}
	switch was, is, at := old.Spec.ProviderID, n.Spec.ProviderID, specPath.Child("providerID"); {
	case was == "" || was == is:
	case is == "":
		errs = append(errs, field.Invalid(at, nil, "field cannot be cleared once set"))
	default:
		errs = append(errs, field.Invalid(at, nil, "field cannot be modified once set"))
	}
	if n.Spec.DoNotUseExternalID != old.Spec.DoNotUseExternalID {
		errs = append(errs, field.Forbidden(specPath.Child("externalID"), "may not be updated"))
	}
	return errs
}

func validateNodeStatusUpdate(_ context.Context, n, old *corev1.Node) field.ErrorList {
	errs := apis.ValidateMetaUpdate(&n.ObjectMeta, &old.ObjectMeta, metadata)
	errs = append(errs, validateNodeAmounts(n)...)
	seen := sets.New[corev1.NodeAddress]()
	for i, a := range n.Status.Addresses {
		if seen.Has(a) {
			errs = append(errs, field.Duplicate(field.NewPath("status", "addresses").Index(i), a))
		}
		seen.Insert(a)
	}
	return errs
}

func nodeWarnings(_ context.Context, n *corev1.Node) []string {
	var out []string
	if n.Spec.ConfigSource != nil {
		out = append(out, specPath.Child("configSource").String()+": the feature is no longer supported")
	}
	if n.Spec.DoNotUseExternalID != "" {
		out = append(out, specPath.Child("externalID").String()+": this field is deprecated, and is unused by Kubernetes")
	}
	return out
}
