package rbac

import (
	"context"
	"fmt"
	"slices"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/labels"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/client-go/informers"
	rbacv1listers "k8s.io/client-go/listers/rbac/v1"
)

// Authorizer answers by the roles bound to a user. It is an authorizer.Authorizer
// and an authorizer.RuleResolver; it allows or has no opinion, never denies.
type Authorizer struct {
	Roles               rbacv1listers.RoleLister
	RoleBindings        rbacv1listers.RoleBindingLister
	ClusterRoles        rbacv1listers.ClusterRoleLister
	ClusterRoleBindings rbacv1listers.ClusterRoleBindingLister
}

// New builds an authorizer over the factory's informers and starts using them;
// the caller starts the factory.
func New(factory informers.SharedInformerFactory) *Authorizer {
	group := factory.Rbac().V1()
	return &Authorizer{
		Roles:               group.Roles().Lister(),
		RoleBindings:        group.RoleBindings().Lister(),
		ClusterRoles:        group.ClusterRoles().Lister(),
		ClusterRoleBindings: group.ClusterRoleBindings().Lister(),
	}
}

// grant is one rule reaching a user, and the binding by which it does.
type grant struct {
	rule      *rbacv1.PolicyRule
	binding   string
	namespace string // of the binding; empty for one of the whole cluster
	role      rbacv1.RoleRef
	subject   *rbacv1.Subject
}

// String names the binding, the role and the subject, in upstream's words.
func (g *grant) String() string {
	kind, binding := "ClusterRoleBinding", g.binding
	if g.namespace != "" {
		kind, binding = "RoleBinding", g.binding+"/"+g.namespace
	}
	subject := g.subject.Name
	if g.subject.Kind == rbacv1.ServiceAccountKind {
		namespace := g.subject.Namespace
		if namespace == "" {
			namespace = g.namespace
		}
		subject += "/" + namespace
	}
	return fmt.Sprintf("%s %q of %s %q to %s %q", kind, binding, g.role.Kind, g.role.Name, g.subject.Kind, subject)
}

// visit calls f for each rule that reaches the user in the namespace (cluster-wide
// rules included), until f returns false. Roles that are missing are passed to f
// as an error with no grant.
func (r *Authorizer) visit(u user.Info, namespace string, f func(*grant, error) bool) {
	bindings, err := r.ClusterRoleBindings.List(labels.Everything())
	if err != nil && !f(nil, err) {
		return
	}
	for _, b := range bindings {
		subject, ok := appliesTo(u, b.Subjects, "")
		if ok && !r.visitRole(&grant{binding: b.Name, role: b.RoleRef, subject: subject}, "", f) {
			return
		}
	}
	if namespace == "" {
		return
	}
	local, err := r.RoleBindings.RoleBindings(namespace).List(labels.Everything())
	if err != nil && !f(nil, err) {
		return
	}
	for _, b := range local {
		subject, ok := appliesTo(u, b.Subjects, namespace)
		if ok && !r.visitRole(&grant{binding: b.Name, namespace: namespace, role: b.RoleRef, subject: subject}, namespace, f) {
			return
		}
	}
}

func (r *Authorizer) visitRole(g *grant, namespace string, f func(*grant, error) bool) bool {
	rules, err := r.RulesOf(g.role, namespace)
	if err != nil {
		return f(nil, err)
	}
	for i := range rules {
		each := *g
		each.rule = &rules[i]
		if !f(&each, nil) {
			return false
		}
	}
	return true
}

// RulesOf returns the rules of the role a binding refers to.
func (r *Authorizer) RulesOf(ref rbacv1.RoleRef, namespace string) ([]rbacv1.PolicyRule, error) {
	switch ref.Kind {
	case "Role":
		role, err := r.Roles.Roles(namespace).Get(ref.Name)
		if err != nil {
			return nil, err
		}
		return role.Rules, nil
	case "ClusterRole":
		role, err := r.ClusterRoles.Get(ref.Name)
		if err != nil {
			return nil, err
		}
		return role.Rules, nil
	}
	return nil, fmt.Errorf("unsupported role reference kind: %q", ref.Kind)
}

// Authorize implements authorizer.Authorizer.
func (r *Authorizer) Authorize(_ context.Context, a authorizer.Attributes) (authorizer.Decision, string, error) {
	var found *grant
	var errs []error
	r.visit(a.GetUser(), a.GetNamespace(), func(g *grant, err error) bool {
		if err != nil {
			errs = append(errs, err)
			return true
		}
		if RuleAllows(a, g.rule) {
			found = g
			return false
		}
		return true
	})
	if found != nil {
		return authorizer.DecisionAllow, "RBAC: allowed by " + found.String(), nil
	}
	if len(errs) > 0 {
		return authorizer.DecisionNoOpinion, fmt.Sprintf("RBAC: %v", utilerrors.NewAggregate(errs)), nil
	}
	return authorizer.DecisionNoOpinion, "", nil
}

// ConditionsAwareAuthorize implements authorizer.Authorizer.
func (r *Authorizer) ConditionsAwareAuthorize(ctx context.Context, a authorizer.Attributes) authorizer.ConditionsAwareDecision {
	return authorizer.ConditionsAwareDecisionFromParts(r.Authorize(ctx, a))
}

// EvaluateConditions implements authorizer.Authorizer; RBAC sets no conditions.
func (*Authorizer) EvaluateConditions(context.Context, authorizer.ConditionsAwareDecision, authorizer.ConditionsData) (authorizer.Decision, string, error) {
	return authorizer.DecisionDeny, "", authorizer.ErrorConditionEvaluationNotSupported
}

// PolicyRulesFor returns every rule that reaches the user in the namespace. Roles
// that cannot be found are left out; other faults come back with what was found.
func (r *Authorizer) PolicyRulesFor(u user.Info, namespace string) ([]rbacv1.PolicyRule, error) {
	var rules []rbacv1.PolicyRule
	var errs []error
	r.visit(u, namespace, func(g *grant, err error) bool {
		switch {
		case err == nil:
			rules = append(rules, *g.rule)
		case !apierrors.IsNotFound(err):
			errs = append(errs, err)
		}
		return true
	})
	return rules, utilerrors.NewAggregate(errs)
}

// RulesFor implements authorizer.RuleResolver.
func (r *Authorizer) RulesFor(_ context.Context, u user.Info, namespace string) ([]authorizer.ResourceRuleInfo, []authorizer.NonResourceRuleInfo, bool, error) {
	rules, err := r.PolicyRulesFor(u, namespace)
	var resources []authorizer.ResourceRuleInfo
	var urls []authorizer.NonResourceRuleInfo
	for i := range rules {
		rule := &rules[i]
		if len(rule.Resources) > 0 {
			resources = append(resources, &authorizer.DefaultResourceRuleInfo{
				Verbs: slices.Clone(rule.Verbs), APIGroups: slices.Clone(rule.APIGroups),
				Resources: slices.Clone(rule.Resources), ResourceNames: slices.Clone(rule.ResourceNames),
			})
		}
		if len(rule.NonResourceURLs) > 0 {
			urls = append(urls, &authorizer.DefaultNonResourceRuleInfo{
				Verbs: slices.Clone(rule.Verbs), NonResourceURLs: slices.Clone(rule.NonResourceURLs),
			})
		}
	}
	return resources, urls, false, err
}
