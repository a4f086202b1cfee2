package rbac

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/component-helpers/auth/rbac/validation"
)

// Guard refuses writes of roles and bindings that would give away more than the
// writer holds. It stands in the admission chain, as a validating plugin. A
// writer passes who holds all rules concerned, or the verb escalate (on a role)
// or bind (on the role a binding refers to).
type Guard struct {
	rules      *Authorizer
	authorizer authorizer.Authorizer
}

// NewGuard builds the guard; all answers who may escalate and bind.
func NewGuard(rules *Authorizer, all authorizer.Authorizer) *Guard {
	return &Guard{rules: rules, authorizer: all}
}

var _ admission.ValidationInterface = (*Guard)(nil)

// Handles implements admission.Interface.
func (g *Guard) Handles(op admission.Operation) bool {
	return op == admission.Create || op == admission.Update
}

// Validate implements admission.ValidationInterface.
func (g *Guard) Validate(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	if a.GetResource().Group != rbacv1.GroupName || a.GetSubresource() != "" || a.GetUserInfo() == nil {
		return nil
	}
	if slices.Contains(a.GetUserInfo().GetGroups(), user.SystemPrivilegedGroup) {
		return nil
	}
	switch obj := a.GetObject().(type) {
	case *rbacv1.Role:
		old, _ := a.GetOldObject().(*rbacv1.Role)
		if old != nil && equality.Semantic.DeepEqual(old.Rules, obj.Rules) {
			return nil
		}
		return g.role(ctx, a, obj.Rules)
	case *rbacv1.ClusterRole:
		return g.clusterRole(ctx, a, obj)
	case *rbacv1.RoleBinding:
		old, _ := a.GetOldObject().(*rbacv1.RoleBinding)
		if old != nil && equality.Semantic.DeepEqual(old.RoleRef, obj.RoleRef) && equality.Semantic.DeepEqual(old.Subjects, obj.Subjects) {
			return nil
		}
		return g.binding(ctx, a, obj.RoleRef, obj.Namespace)
	case *rbacv1.ClusterRoleBinding:
		old, _ := a.GetOldObject().(*rbacv1.ClusterRoleBinding)
		if old != nil && equality.Semantic.DeepEqual(old.RoleRef, obj.RoleRef) && equality.Semantic.DeepEqual(old.Subjects, obj.Subjects) {
			return nil
		}
		return g.binding(ctx, a, obj.RoleRef, "")
	}
	return nil
}

// everything is what it takes to use an aggregation rule: what will be collected is
// not known yet.
var everything = []rbacv1.PolicyRule{
	{Verbs: []string{rbacv1.VerbAll}, APIGroups: []string{rbacv1.APIGroupAll}, Resources: []string{rbacv1.ResourceAll}},
	{Verbs: []string{rbacv1.VerbAll}, NonResourceURLs: []string{rbacv1.NonResourceAll}},
}

func (g *Guard) clusterRole(ctx context.Context, a admission.Attributes, obj *rbacv1.ClusterRole) error {
	old, _ := a.GetOldObject().(*rbacv1.ClusterRole)
	if old != nil && equality.Semantic.DeepEqual(old.Rules, obj.Rules) && equality.Semantic.DeepEqual(old.AggregationRule, obj.AggregationRule) {
		return nil
	}
	allowed, err := g.may(ctx, a, "escalate", a.GetResource().GroupResource(), a.GetName(), "")
	if allowed || err != nil {
		return err
	}
	if err := g.covered(a, "", obj.Rules); err != nil {
		return err
	}
	if (aggregates(obj) || aggregates(old)) && g.covered(a, "", everything) != nil {
		return apierrors.NewForbidden(a.GetResource().GroupResource(), a.GetName(), errors.New("must have cluster-admin privileges to use the aggregationRule"))
	}
	return nil
}

func aggregates(role *rbacv1.ClusterRole) bool {
	return role != nil && role.AggregationRule != nil && len(role.AggregationRule.ClusterRoleSelectors) > 0
}

func (g *Guard) role(ctx context.Context, a admission.Attributes, rules []rbacv1.PolicyRule) error {
	allowed, err := g.may(ctx, a, "escalate", a.GetResource().GroupResource(), a.GetName(), a.GetNamespace())
	if allowed || err != nil {
		return err
	}
	return g.covered(a, a.GetNamespace(), rules)
}

func (g *Guard) binding(ctx context.Context, a admission.Attributes, ref rbacv1.RoleRef, namespace string) error {
	resource := schema.GroupResource{Group: ref.APIGroup, Resource: "clusterroles"}
	if ref.Kind == "Role" {
		resource.Resource = "roles"
	}
	allowed, err := g.may(ctx, a, "bind", resource, ref.Name, namespace)
	if allowed || err != nil {
		return err
	}
	rules, err := g.rules.RulesOf(ref, namespace)
	if apierrors.IsNotFound(err) {
		return apierrors.NewNotFound(a.GetResource().GroupResource(), ref.Name)
	}
	if err != nil {
		return err
	}
	return g.covered(a, namespace, rules)
}

func (g *Guard) may(ctx context.Context, a admission.Attributes, verb string, resource schema.GroupResource, name, namespace string) (bool, error) {
	decision, _, err := g.authorizer.Authorize(ctx, authorizer.AttributesRecord{
		User: a.GetUserInfo(), Verb: verb, Namespace: namespace, Name: name,
		APIGroup: resource.Group, APIVersion: rbacv1.SchemeGroupVersion.Version, Resource: resource.Resource, ResourceRequest: true,
	})
	if err != nil && decision != authorizer.DecisionAllow {
		return false, apierrors.NewInternalError(fmt.Errorf("authorize %s of %s %q: %w", verb, resource, name, err))
	}
	return decision == authorizer.DecisionAllow, nil
}

func (g *Guard) covered(a admission.Attributes, namespace string, rules []rbacv1.PolicyRule) error {
	held, err := g.rules.PolicyRulesFor(a.GetUserInfo(), namespace)
	ok, missing := validation.Covers(held, rules)
	if ok {
		return nil
	}
	reason := fmt.Errorf("user %q (groups=%q) is attempting to grant RBAC permissions not currently held:\n%s",
		a.GetUserInfo().GetName(), a.GetUserInfo().GetGroups(), describe(missing))
	if err != nil {
		reason = fmt.Errorf("%w; resolution errors: %w", reason, err)
	}
	return apierrors.NewForbidden(a.GetResource().GroupResource(), a.GetName(), reason)
}

// describe prints rules as upstream's compact form does, one a line and sorted; those
// that differ by their verbs alone are one.
func describe(rules []rbacv1.PolicyRule) string {
	byTarget := map[string]*rbacv1.PolicyRule{}
	for i := range rules {
		r := rules[i]
		verbs := r.Verbs
		r.Verbs = nil
		target := compact(&r)
		if len(r.NonResourceURLs) > 0 {
			target = fmt.Sprint(target, i) // each stands alone
		}
		if byTarget[target] == nil {
			byTarget[target] = &r
		}
		byTarget[target].Verbs = append(byTarget[target].Verbs, verbs...)
	}
	var lines []string
	for _, r := range byTarget {
		lines = append(lines, compact(r))
	}
	slices.Sort(lines)
	return strings.Join(slices.Compact(lines), "\n")
}

func compact(r *rbacv1.PolicyRule) string {
	var parts []string
	for _, part := range []struct {
		name string
		list []string
	}{{"APIGroups", r.APIGroups}, {"Resources", r.Resources}, {"NonResourceURLs", r.NonResourceURLs}, {"ResourceNames", r.ResourceNames}, {"Verbs", r.Verbs}} {
		if len(part.list) > 0 {
			parts = append(parts, fmt.Sprintf("%s:%q", part.name, part.list))
		}
	}
	return "{" + strings.Join(parts, ", ") + "}"
}
