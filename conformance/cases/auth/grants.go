package auth

import (
	"context"
	"fmt"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pintle-io/pintle/conformance/suite"
)

func grants() suite.Case {
	return suite.Case{
		Name:    "auth/grants",
		Promise: "nobody gives away more than they hold, by role, by binding or by aggregation, unless they may escalate or bind",
		Run: func(ctx context.Context, e *suite.Env) error {
			user := "writer-of-" + e.Namespace
			roles := e.Kube.RbacV1().Roles(e.Namespace)
			bind := func(name, role string) *rbacv1.RoleBinding {
				return &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Name: name}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: role},
					Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: user}}}
			}
			role := func(name string, rules ...rbacv1.PolicyRule) *rbacv1.Role {
				return &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Name: name}, Rules: rules}
			}
			pods := func(verbs ...string) rbacv1.PolicyRule {
				return rbacv1.PolicyRule{Verbs: verbs, APIGroups: []string{""}, Resources: []string{"pods"}}
			}
			writing := rbacv1.PolicyRule{Verbs: []string{"create", "update"}, APIGroups: []string{rbacv1.GroupName}, Resources: []string{"roles", "rolebindings"}}
			for _, r := range []*rbacv1.Role{role("writer", writing, pods("get")), role("strong", pods("*")),
				role("binder", rbacv1.PolicyRule{Verbs: []string{"bind"}, APIGroups: []string{rbacv1.GroupName}, Resources: []string{"roles"}, ResourceNames: []string{"strong"}})} {
				if _, err := roles.Create(ctx, r, metav1.CreateOptions{}); err != nil {
					return err
				}
			}
			if _, err := e.Kube.RbacV1().RoleBindings(e.Namespace).Create(ctx, bind("writer", "writer"), metav1.CreateOptions{}); err != nil {
				return err
			}
			c, err := as(e, user, "system:authenticated")
			if err != nil {
				return err
			}
			if _, err := c.RbacV1().Roles(e.Namespace).Create(ctx, role("held", pods("get")), metav1.CreateOptions{}); err != nil {
				return fmt.Errorf("grant what is held: %w", err)
			}
			_, err = c.RbacV1().Roles(e.Namespace).Create(ctx, role("more", pods("get", "delete", "list")), metav1.CreateOptions{})
			want := fmt.Sprintf("roles.rbac.authorization.k8s.io \"more\" is forbidden: user %q (groups=[\"system:authenticated\"]) is attempting to grant RBAC permissions not currently held:\n"+
				`{APIGroups:[""], Resources:["pods"], Verbs:["delete" "list"]}`, user)
			if err := wantError("grant more", err, want); err != nil {
				return err
			}
			bindings := c.RbacV1().RoleBindings(e.Namespace)
			if _, err := bindings.Create(ctx, bind("strong", "strong"), metav1.CreateOptions{}); err == nil {
				return fmt.Errorf("%s bound a role that is stronger than the user's own", user)
			}
			_, err = bindings.Create(ctx, bind("none", "none"), metav1.CreateOptions{})
			if err := wantError("bind a role that is not there", err, `rolebindings.rbac.authorization.k8s.io "none" not found`); err != nil {
				return err
			}
			if _, err := e.Kube.RbacV1().RoleBindings(e.Namespace).Create(ctx, bind("binder", "binder"), metav1.CreateOptions{}); err != nil {
				return err
			}
			if _, err := bindings.Create(ctx, bind("strong", "strong"), metav1.CreateOptions{}); err != nil {
				return fmt.Errorf("bind with the verb bind: %w", err)
			}
			return nil
		},
	}
}
