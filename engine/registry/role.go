package registry

import (
	"context"
	"errors"
	"fmt"
	"slices"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/endpoints/request"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/component-helpers/auth/rbac/validation"
)

// guard refuses a write of a role or binding that would give anybody more than the
// writer has, unless the writer may escalate (roles) or bind (bindings).
// Writers without a user (the server itself) and system:masters are not asked.
type guard struct {
	registry *Registry
	row      schema.GroupResource
	// granted are the rules the object gives, and the namespace they hold in.
	granted func(ctx context.Context, obj runtime.Object) ([]rbacv1.PolicyRule, string, error)
	// permitted reports that a special verb lets the user write it anyway.
	permitted func(ctx context.Context, u user.Info, obj runtime.Object) bool
}

// guardRoles installs the guards on the four RBAC kinds.
func (r *Registry) guardRoles(gv schema.GroupVersion) {
	for resource, g := range map[string]*guard{
		"roles":               {granted: r.rulesOfRole, permitted: r.mayEscalate("roles")},
		"clusterroles":        {granted: r.rulesOfRole, permitted: r.mayEscalate("clusterroles")},
		"rolebindings":        {granted: r.rulesOfBinding, permitted: r.mayBind},
		"clusterrolebindings": {granted: r.rulesOfBinding, permitted: r.mayBind},
	} {
		s, ok := r.stores[gv.WithResource(resource)]
		if !ok {
			continue
		}
		g.registry, g.row = r, s.DefaultQualifiedResource
		s.BeginCreate = func(ctx context.Context, obj runtime.Object, _ *metav1.CreateOptions) (genericregistry.FinishFunc, error) {
			return nothing, g.check(ctx, obj)
		}
		s.BeginUpdate = func(ctx context.Context, obj, old runtime.Object, _ *metav1.UpdateOptions) (genericregistry.FinishFunc, error) {
			if sameGrant(obj, old) {
				return nothing, nil
			}
			return nothing, g.check(ctx, obj)
		}
	}
}

func nothing(context.Context, bool) {}

// sameGrant reports that an update leaves alone what the object gives to whom.
func sameGrant(obj, old runtime.Object) bool {
	switch a := obj.(type) {
	case *rbacv1.Role:
		return equality.Semantic.DeepEqual(a.Rules, old.(*rbacv1.Role).Rules)
	case *rbacv1.ClusterRole:
		b := old.(*rbacv1.ClusterRole)
		return equality.Semantic.DeepEqual(a.Rules, b.Rules) && equality.Semantic.DeepEqual(a.AggregationRule, b.AggregationRule)
	case *rbacv1.RoleBinding:
		b := old.(*rbacv1.RoleBinding)
		return equality.Semantic.DeepEqual(a.RoleRef, b.RoleRef) && equality.Semantic.DeepEqual(a.Subjects, b.Subjects)
	case *rbacv1.ClusterRoleBinding:
		b := old.(*rbacv1.ClusterRoleBinding)
		return equality.Semantic.DeepEqual(a.RoleRef, b.RoleRef) && equality.Semantic.DeepEqual(a.Subjects, b.Subjects)
	}
	return false
}

func (g *guard) check(ctx context.Context, obj runtime.Object) error {
	u, known := request.UserFrom(ctx)
	hooks := g.registry.hooks.Load()
	if !known || hooks.Rules == nil || slices.Contains(u.GetGroups(), user.SystemPrivilegedGroup) || g.permitted(ctx, u, obj) {
		return nil
	}
	wanted, namespace, err := g.granted(ctx, obj)
	if err != nil {
		return apierrors.NewForbidden(g.row, obj.(metav1.Object).GetName(), err)
	}
	own, err := ownRules(ctx, hooks.Rules, u, namespace)
	if covered, missing := validation.Covers(own, wanted); !covered {
		reason := fmt.Errorf("user %q (groups=%q) is attempting to grant RBAC permissions not currently held:\n%s", u.GetName(), u.GetGroups(), ruleLines(missing))
		if err != nil {
			reason = fmt.Errorf("%w; resolution errors: %w", reason, err)
		}
		return apierrors.NewForbidden(g.row, obj.(metav1.Object).GetName(), reason)
	}
	return nil
}

func ownRules(ctx context.Context, resolver authorizer.RuleResolver, u user.Info, namespace string) ([]rbacv1.PolicyRule, error) {
	resources, paths, _, err := resolver.RulesFor(ctx, u, namespace)
	var rules []rbacv1.PolicyRule
	for _, r := range resources {
		rules = append(rules, rbacv1.PolicyRule{
			Verbs: r.GetVerbs(), APIGroups: r.GetAPIGroups(), Resources: r.GetResources(), ResourceNames: r.GetResourceNames(),
		})
	}
	for _, r := range paths {
		rules = append(rules, rbacv1.PolicyRule{Verbs: r.GetVerbs(), NonResourceURLs: r.GetNonResourceURLs()})
	}
	return rules, err
}

func ruleLines(rules []rbacv1.PolicyRule) string {
	var out string
	for _, r := range rules {
		out += fmt.Sprintf("{APIGroups:%q, Resources:%q, Verbs:%q", r.APIGroups, r.Resources, r.Verbs)
		if len(r.ResourceNames) > 0 {
			out += fmt.Sprintf(", ResourceNames:%q", r.ResourceNames)
		}
		if len(r.NonResourceURLs) > 0 {
			out += fmt.Sprintf(", NonResourceURLs:%q", r.NonResourceURLs)
		}
		out += "}\n"
	}
	return out
}

// everything is what an aggregated role may come to hold.
var everything = []rbacv1.PolicyRule{
	{APIGroups: []string{"*"}, Resources: []string{"*"}, Verbs: []string{"*"}},
	{NonResourceURLs: []string{"*"}, Verbs: []string{"*"}},
}

func (r *Registry) rulesOfRole(_ context.Context, obj runtime.Object) ([]rbacv1.PolicyRule, string, error) {
	switch role := obj.(type) {
	case *rbacv1.Role:
		return role.Rules, role.Namespace, nil
	case *rbacv1.ClusterRole:
		if role.AggregationRule != nil {
			return everything, "", nil
		}
		return role.Rules, "", nil
	}
	return nil, "", errors.New("not a role")
}

func roleRefOf(obj runtime.Object) (rbacv1.RoleRef, string) {
	switch b := obj.(type) {
	case *rbacv1.RoleBinding:
		return b.RoleRef, b.Namespace
	case *rbacv1.ClusterRoleBinding:
		return b.RoleRef, ""
	}
	return rbacv1.RoleRef{}, ""
}

func (r *Registry) rulesOfBinding(ctx context.Context, obj runtime.Object) ([]rbacv1.PolicyRule, string, error) {
	ref, namespace := roleRefOf(obj)
	resource := "clusterroles"
	if ref.Kind == "Role" {
		resource = "roles"
	}
	s, ok := r.stores[rbacv1.SchemeGroupVersion.WithResource(resource)]
	if !ok {
		return nil, namespace, fmt.Errorf("%s are not served", resource)
	}
	role, err := s.Get(request.WithNamespace(ctx, namespace), ref.Name, &metav1.GetOptions{})
	if err != nil {
		return nil, namespace, err
	}
	switch role := role.(type) {
	case *rbacv1.Role:
		return role.Rules, namespace, nil
	case *rbacv1.ClusterRole:
		return role.Rules, namespace, nil
	}
	return nil, namespace, errors.New("not a role")
}

func (r *Registry) mayEscalate(resource string) func(context.Context, user.Info, runtime.Object) bool {
	return func(ctx context.Context, u user.Info, obj runtime.Object) bool {
		m := obj.(metav1.Object)
		return r.allowed(ctx, authorizer.AttributesRecord{
			User: u, Verb: "escalate", Namespace: m.GetNamespace(), Name: m.GetName(), ResourceRequest: true,
			APIGroup: rbacv1.GroupName, APIVersion: "*", Resource: resource,
		})
	}
}

func (r *Registry) mayBind(ctx context.Context, u user.Info, obj runtime.Object) bool {
	ref, namespace := roleRefOf(obj)
	resource := "clusterroles"
	if ref.Kind == "Role" {
		resource = "roles"
	}
	return r.allowed(ctx, authorizer.AttributesRecord{
		User: u, Verb: "bind", Namespace: namespace, Name: ref.Name, ResourceRequest: true,
		APIGroup: rbacv1.GroupName, APIVersion: "*", Resource: resource,
	})
}

func (r *Registry) allowed(ctx context.Context, attributes authorizer.Attributes) bool {
	authz := r.hooks.Load().Authorizer
	if authz == nil {
		return false
	}
	decision, _, err := authz.Authorize(ctx, attributes)
	return err == nil && decision == authorizer.DecisionAllow
}
