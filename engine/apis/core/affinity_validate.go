package core

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

const (
	required  = "requiredDuringSchedulingIgnoredDuringExecution"
	preferred = "preferredDuringSchedulingIgnoredDuringExecution"
)

func validateAffinity(a *corev1.Affinity, at *field.Path) field.ErrorList {
	if a == nil {
		return nil
	}
	var errs field.ErrorList
	if n := a.NodeAffinity; n != nil {
		nodeAt := at.Child("nodeAffinity")
		if r := n.RequiredDuringSchedulingIgnoredDuringExecution; r != nil {
			errs = append(errs, ValidateNodeSelector(r, nodeAt.Child(required))...)
		}
		for i := range n.PreferredDuringSchedulingIgnoredDuringExecution {
			term, termAt := &n.PreferredDuringSchedulingIgnoredDuringExecution[i], nodeAt.Child(preferred).Index(i)
			errs = append(errs, validateWeight(term.Weight, termAt.Child("weight"))...)
			errs = append(errs, validateNodeSelectorTerm(&term.Preference, termAt.Child("preference"))...)
		}
	}
	if p := a.PodAffinity; p != nil {
		podAt := at.Child("podAffinity")
		errs = append(errs, validateAffinityTerms(p.RequiredDuringSchedulingIgnoredDuringExecution, podAt.Child(required))...)
		errs = append(errs, validateWeightedTerms(p.PreferredDuringSchedulingIgnoredDuringExecution, podAt.Child(preferred))...)
	}
	if p := a.PodAntiAffinity; p != nil {
		podAt := at.Child("podAntiAffinity")
		errs = append(errs, validateAffinityTerms(p.RequiredDuringSchedulingIgnoredDuringExecution, podAt.Child(required))...)
		errs = append(errs, validateWeightedTerms(p.PreferredDuringSchedulingIgnoredDuringExecution, podAt.Child(preferred))...)
	}
	return errs
}

func validateWeight(weight int32, at *field.Path) field.ErrorList {
	if weight < 1 || weight > 100 {
		return field.ErrorList{field.Invalid(at, weight, "must be in the range 1-100")}
	}
	return nil
}

// ValidateNodeSelector checks a selector of nodes.
func ValidateNodeSelector(s *corev1.NodeSelector, at *field.Path) field.ErrorList {
	termsAt := at.Child("nodeSelectorTerms")
	if len(s.NodeSelectorTerms) == 0 {
		return field.ErrorList{field.Required(termsAt, "must have at least one node selector term")}
	}
	var errs field.ErrorList
	for i := range s.NodeSelectorTerms {
		errs = append(errs, validateNodeSelectorTerm(&s.NodeSelectorTerms[i], termsAt.Index(i))...)
	}
	return errs
}

func validateNodeSelectorTerm(t *corev1.NodeSelectorTerm, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i := range t.MatchExpressions {
		errs = append(errs, validateNodeRequirement(&t.MatchExpressions[i], at.Child("matchExpressions").Index(i))...)
	}
	for i := range t.MatchFields {
		errs = append(errs, validateNodeField(&t.MatchFields[i], at.Child("matchFields").Index(i))...)
	}
	return errs
}

func validateNodeRequirement(r *corev1.NodeSelectorRequirement, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	switch r.Operator {
	case corev1.NodeSelectorOpIn, corev1.NodeSelectorOpNotIn:
		if len(r.Values) == 0 {
			errs = append(errs, field.Required(at.Child("values"), "must be specified when `operator` is 'In' or 'NotIn'"))
		}
	case corev1.NodeSelectorOpExists, corev1.NodeSelectorOpDoesNotExist:
		if len(r.Values) > 0 {
			errs = append(errs, field.Forbidden(at.Child("values"), "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"))
		}
	case corev1.NodeSelectorOpGt, corev1.NodeSelectorOpLt:
		if len(r.Values) != 1 {
			errs = append(errs, field.Required(at.Child("values"), "must be specified single value when `operator` is 'Lt' or 'Gt'"))
		}
	default:
		errs = append(errs, field.Invalid(at.Child("operator"), r.Operator, "not a valid selector operator"))
	}
	return append(errs, metavalidation.ValidateLabelName(r.Key, at.Child("key"))...)
}

// validateNodeField checks a requirement on a field of nodes, of which there is one.
func validateNodeField(r *corev1.NodeSelectorRequirement, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	switch r.Operator {
	case corev1.NodeSelectorOpIn, corev1.NodeSelectorOpNotIn:
		if len(r.Values) != 1 {
			errs = append(errs, field.Required(at.Child("values"), "must be only one value when `operator` is 'In' or 'NotIn' for node field selector"))
		}
	default:
		errs = append(errs, field.Invalid(at.Child("operator"), r.Operator, "not a valid selector operator"))
	}
	if r.Key != metav1.ObjectNameField {
		return append(errs, field.Invalid(at.Child("key"), r.Key, "not a valid field selector key"))
	}
	for i, value := range r.Values {
		errs = append(errs, invalidEach(at.Child("values").Index(i), value, validation.NameIsDNSSubdomain(value, false))...)
	}
	return errs
}

func validateAffinityTerms(terms []corev1.PodAffinityTerm, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i := range terms {
		errs = append(errs, validateAffinityTerm(&terms[i], at.Index(i))...)
	}
	return errs
}

func validateWeightedTerms(terms []corev1.WeightedPodAffinityTerm, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i := range terms {
		errs = append(errs, validateWeight(terms[i].Weight, at.Index(i).Child("weight"))...)
		errs = append(errs, validateAffinityTerm(&terms[i].PodAffinityTerm, at.Index(i).Child("podAffinityTerm"))...)
	}
	return errs
}

func validateAffinityTerm(t *corev1.PodAffinityTerm, at *field.Path) field.ErrorList {
	errs := metavalidation.ValidateLabelSelector(t.LabelSelector, metavalidation.LabelSelectorValidationOptions{}, at.Child("labelSelector"))
	errs = append(errs, metavalidation.ValidateLabelSelector(t.NamespaceSelector, metavalidation.LabelSelectorValidationOptions{}, at.Child("namespaceSelector"))...)
	for _, name := range t.Namespaces {
		errs = append(errs, invalidEach(at.Child("namespace"), name, validation.ValidateNamespaceName(name, false))...)
	}
	errs = append(errs, validateAffinityKeys(t, at)...)
	if t.TopologyKey == "" {
		errs = append(errs, field.Required(at.Child("topologyKey"), "can not be empty"))
	}
	return append(errs, metavalidation.ValidateLabelName(t.TopologyKey, at.Child("topologyKey"))...)
}

func validateAffinityKeys(t *corev1.PodAffinityTerm, at *field.Path) field.ErrorList {
	errs := validateMatchKeys(t.MatchLabelKeys, t.LabelSelector, corev1.NodeSelectorOpIn, at.Child("matchLabelKeys"))
	errs = append(errs, validateMatchKeys(t.MismatchLabelKeys, t.LabelSelector, corev1.NodeSelectorOpNotIn, at.Child("mismatchLabelKeys"))...)
	both := sets.New(t.MatchLabelKeys...)
	for i, key := range t.MismatchLabelKeys {
		if both.Has(key) {
			errs = append(errs, field.Invalid(at.Child("mismatchLabelKeys").Index(i), key, "exists in both matchLabelKeys and mismatchLabelKeys"))
		}
	}
	return errs
}

// validateMatchKeys checks keys whose values are taken from the pod's own labels.
// Creation adds one requirement per key to the selector; any other on the key is
// a contradiction.
func validateMatchKeys(keys []string, selector *metav1.LabelSelector, op corev1.NodeSelectorOperator, at *field.Path) field.ErrorList {
	if len(keys) == 0 {
		return nil
	}
	if selector == nil {
		return field.ErrorList{field.Forbidden(at, "must not be specified when labelSelector is not set")}
	}
	var errs field.ErrorList
	seen := sets.New[string]()
	for i, key := range keys {
		errs = append(errs, metavalidation.ValidateLabelName(key, at.Index(i))...)
		if seen.Has(key) {
			errs = append(errs, field.Duplicate(at.Index(i), key))
		}
		seen.Insert(key)
		_, labelled := selector.MatchLabels[key]
		contradicts := slices.ContainsFunc(selector.MatchExpressions, func(r metav1.LabelSelectorRequirement) bool {
			return r.Key == key && (string(r.Operator) != string(op) || len(r.Values) != 1)
		})
		if labelled || contradicts {
			errs = append(errs, field.Invalid(at.Index(i), key, "exists in both matchLabelKeys and labelSelector"))
		}
	}
	return errs
}

// ValidateTopologyTerms checks where the volumes of a class may be.
func ValidateTopologyTerms(terms []corev1.TopologySelectorTerm, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i, term := range terms {
		keys := sets.New[string]()
		for j, r := range term.MatchLabelExpressions {
			rAt := at.Index(i).Child("matchLabelExpressions").Index(j)
			if len(r.Values) == 0 {
				errs = append(errs, field.Required(rAt.Child("values"), ""))
			}
			values := sets.New[string]()
			for k, value := range r.Values {
				if values.Has(value) {
					errs = append(errs, field.Duplicate(rAt.Child("values").Index(k), value))
				}
				values.Insert(value)
			}
			errs = append(errs, metavalidation.ValidateLabelName(r.Key, rAt.Child("key"))...)
			if keys.Has(r.Key) {
				errs = append(errs, field.Duplicate(rAt.Child("key"), r.Key))
			}
			keys.Insert(r.Key)
		}
	}
	return errs
}
