// Package clusterroleaggregation fills ClusterRoles that have an aggregation rule
// with the rules of the ClusterRoles it selects.
package clusterroleaggregation

import (
	"cmp"
	"slices"

	rbacv1 "k8s.io/api/rbac/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/pintle-io/pintle/engine/reconcile"
)

// Observed is one aggregating role and all roles there are.
type Observed struct {
	Role  *rbacv1.ClusterRole
	Roles []*rbacv1.ClusterRole
}

// Plan gathers the rules, each once, in the order of the roles' names.
func Plan(o Observed) reconcile.Result {
	var result reconcile.Result
	if o.Role.AggregationRule == nil {
		return result
	}
	roles := slices.Clone(o.Roles)
	slices.SortFunc(roles, func(a, b *rbacv1.ClusterRole) int { return cmp.Compare(a.Name, b.Name) })
	var rules []rbacv1.PolicyRule
	for i := range o.Role.AggregationRule.ClusterRoleSelectors {
		selector, err := metav1.LabelSelectorAsSelector(&o.Role.AggregationRule.ClusterRoleSelectors[i])
		if err != nil {
			return result // validation refuses such selectors
		}
		for _, role := range roles {
			if role.Name != o.Role.Name && selector.Matches(labels.Set(role.Labels)) {
				rules = addNew(rules, role.Rules)
			}
		}
	}
	if apiequality.Semantic.DeepEqual(rules, o.Role.Rules) {
		return result
	}
	updated := o.Role.DeepCopy()
	updated.Rules = rules
	result.Add(reconcile.Update{Object: updated})
	return result
}

func addNew(rules, more []rbacv1.PolicyRule) []rbacv1.PolicyRule {
	for _, rule := range more {
		if !slices.ContainsFunc(rules, func(r rbacv1.PolicyRule) bool { return apiequality.Semantic.DeepEqual(r, rule) }) {
			rules = append(rules, *rule.DeepCopy())
		}
	}
	return rules
}
