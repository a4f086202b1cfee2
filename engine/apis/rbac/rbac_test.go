package rbac

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pintle-io/pintle/engine/apis/apistest"
)

func TestRoles(t *testing.T) {
	role := func() *rbacv1.Role {
		return &rbacv1.Role{
			ObjectMeta: metav1.ObjectMeta{Name: "system:a", Namespace: "default"},
			Rules:      []rbacv1.PolicyRule{{Verbs: []string{"get"}, APIGroups: []string{""}, Resources: []string{"pods"}}},
		}
	}
	apistest.RunCreate(t, roles(), role, map[string]apistest.Case[*rbacv1.Role]{
		"verbs":     {Change: func(r *rbacv1.Role) { r.Rules[0].Verbs = nil }, Want: []string{"rules[0].verbs: Required value"}},
		"groups":    {Change: func(r *rbacv1.Role) { r.Rules[0].APIGroups = nil }, Want: []string{"rules[0].apiGroups: Required value"}},
		"resources": {Change: func(r *rbacv1.Role) { r.Rules[0].Resources = nil }, Want: []string{"rules[0].resources: Required value"}},
		"urls": {Change: func(r *rbacv1.Role) {
			r.Rules[0] = rbacv1.PolicyRule{Verbs: []string{"get"}, NonResourceURLs: []string{"/"}}
		}, Want: []string{"rules[0].nonResourceURLs: Invalid value"}},
		"name": {Change: func(r *rbacv1.Role) { r.Name = "a/b" }, Want: []string{"metadata.name: Invalid value"}},
	})
	cluster := func() *rbacv1.ClusterRole { return &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "a"}} }
	apistest.RunCreate(t, clusterRoles(), cluster, map[string]apistest.Case[*rbacv1.ClusterRole]{
		"aggregates nothing": {Change: func(r *rbacv1.ClusterRole) { r.AggregationRule = &rbacv1.AggregationRule{} }, Want: []string{"aggregationRule: Required value"}},
		"urls": {Change: func(r *rbacv1.ClusterRole) {
			r.Rules = []rbacv1.PolicyRule{{Verbs: []string{"get"}, NonResourceURLs: []string{"/"}}}
		}},
	})
}

func TestBindings(t *testing.T) {
	binding := func() *rbacv1.RoleBinding {
		return &rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: "b", Namespace: "default", ResourceVersion: "1"},
			RoleRef:    rbacv1.RoleRef{Kind: "Role", Name: "r"},
			Subjects:   []rbacv1.Subject{{Kind: "User", Name: "u"}, {Kind: "ServiceAccount", Namespace: "default", Name: "s"}},
		}
	}
	apistest.RunCreate(t, roleBindings(), binding, map[string]apistest.Case[*rbacv1.RoleBinding]{
		"role kind":     {Change: func(b *rbacv1.RoleBinding) { b.RoleRef.Kind = "Rule" }, Want: []string{"roleRef.kind: Unsupported value"}},
		"role name":     {Change: func(b *rbacv1.RoleBinding) { b.RoleRef.Name = "" }, Want: []string{"roleRef.name: Required value"}},
		"subject kind":  {Change: func(b *rbacv1.RoleBinding) { b.Subjects[0].Kind = "Robot" }, Want: []string{"subjects[0].kind: Unsupported value"}},
		"subject group": {Change: func(b *rbacv1.RoleBinding) { b.Subjects[1].APIGroup = "x" }, Want: []string{"subjects[1].apiGroup: Unsupported value"}},
	})
	apistest.RunUpdate(t, roleBindings(), binding, map[string]apistest.Case[*rbacv1.RoleBinding]{
		"subjects": {Change: func(b *rbacv1.RoleBinding) { b.Subjects = nil }},
		"role":     {Change: func(b *rbacv1.RoleBinding) { b.RoleRef.Name = "other" }, Want: []string{"roleRef: Invalid value"}},
	})
	cluster := func() *rbacv1.ClusterRoleBinding {
		return &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "b"}, RoleRef: rbacv1.RoleRef{Kind: "ClusterRole", Name: "r"}}
	}
	apistest.RunCreate(t, clusterRoleBindings(), cluster, map[string]apistest.Case[*rbacv1.ClusterRoleBinding]{
		"role of a namespace":       {Change: func(b *rbacv1.ClusterRoleBinding) { b.RoleRef.Kind = "Role" }, Want: []string{"roleRef.kind: Unsupported value"}},
		"account without namespace": {Change: func(b *rbacv1.ClusterRoleBinding) { b.Subjects = []rbacv1.Subject{{Kind: "ServiceAccount", Name: "s"}} }, Want: []string{"subjects[0].namespace: Required value"}},
	})
	want := map[string]any{"Role": "Role/r", "Users": "u", "Groups": "", "ServiceAccounts": "default/s"}
	got := apistest.Cells(roleBindings(), binding())
	delete(got, "Name")
	delete(got, "Age")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("cells (-want +got):\n%s", diff)
	}
}
