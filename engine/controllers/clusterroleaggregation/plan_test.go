package clusterroleaggregation_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pintle-io/pintle/engine/controllers/clusterroleaggregation"
	"github.com/pintle-io/pintle/engine/reconcile"
)

func role(name, label string, verbs ...string) *rbacv1.ClusterRole {
	r := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{label: "true"}}}
	for _, verb := range verbs {
		r.Rules = append(r.Rules, rbacv1.PolicyRule{Verbs: []string{verb}, Resources: []string{"pods"}})
	}
	return r
}

func TestGathersEachRuleOnceInOrder(t *testing.T) {
	sum := role("sum", "view")
	sum.AggregationRule = &rbacv1.AggregationRule{ClusterRoleSelectors: []metav1.LabelSelector{
		{MatchLabels: map[string]string{"view": "true"}}, {MatchLabels: map[string]string{"edit": "true"}},
	}}
	roles := []*rbacv1.ClusterRole{role("z", "edit", "create", "get"), role("b", "view", "list"), sum, role("a", "view", "get"), role("n", "none", "delete")}
	result := clusterroleaggregation.Plan(clusterroleaggregation.Observed{Role: sum, Roles: roles})
	updated := result.Actions[0].(reconcile.Update).Object.(*rbacv1.ClusterRole)
	want := role("", "", "get", "list", "create").Rules
	if diff := cmp.Diff(want, updated.Rules); diff != "" {
		t.Error(diff)
	}
	if again := clusterroleaggregation.Plan(clusterroleaggregation.Observed{Role: updated, Roles: roles}); len(again.Actions) > 0 {
		t.Errorf("a full role is still acted upon: %v", again.Actions)
	}
}
