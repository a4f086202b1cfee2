package rbac

import (
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apiserver/pkg/authentication/serviceaccount"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
)

// RuleAllows reports whether one rule allows a request.
func RuleAllows(a authorizer.Attributes, rule *rbacv1.PolicyRule) bool {
	if !has(rule.Verbs, rbacv1.VerbAll, a.GetVerb()) {
		return false
	}
	if !a.IsResourceRequest() {
		return urlMatches(rule, a.GetPath())
	}
	return has(rule.APIGroups, rbacv1.APIGroupAll, a.GetAPIGroup()) &&
		resourceMatches(rule, a.GetResource(), a.GetSubresource()) &&
		(len(rule.ResourceNames) == 0 || slices.Contains(rule.ResourceNames, a.GetName()))
}

// RulesAllow reports whether any of the rules allows a request.
func RulesAllow(a authorizer.Attributes, rules []rbacv1.PolicyRule) bool {
	for i := range rules {
		if RuleAllows(a, &rules[i]) {
			return true
		}
	}
	return false
}

func has(list []string, all, want string) bool {
	for _, item := range list {
		if item == all || item == want {
			return true
		}
	}
	return false
}

// resourceMatches compares "resource" or "resource/subresource"; a rule may say
// "*" for everything and "*/subresource" for that of any resource.
func resourceMatches(rule *rbacv1.PolicyRule, resource, subresource string) bool {
	for _, r := range rule.Resources {
		if r == rbacv1.ResourceAll {
			return true
		}
		if subresource == "" {
			if r == resource {
				return true
			}
			continue
		}
		parent, child, _ := strings.Cut(r, "/")
		if child == subresource && (parent == rbacv1.ResourceAll || parent == resource) {
			return true
		}
	}
	return false
}

// urlMatches compares a path; a rule may end in "*" for any path below.
func urlMatches(rule *rbacv1.PolicyRule, path string) bool {
	for _, url := range rule.NonResourceURLs {
		if url == rbacv1.NonResourceAll || url == path {
			return true
		}
		if prefix, ok := strings.CutSuffix(url, "*"); ok && strings.HasPrefix(path, prefix) {
			return true
		}
	}
	return false
}

// appliesTo reports whether a binding's subjects name the user. The namespace is
// the binding's, for service account subjects that name none.
func appliesTo(u user.Info, subjects []rbacv1.Subject, namespace string) (*rbacv1.Subject, bool) {
	for i := range subjects {
		if subjectIs(u, &subjects[i], namespace) {
			return &subjects[i], true
		}
	}
	return nil, false
}

func subjectIs(u user.Info, s *rbacv1.Subject, namespace string) bool {
	switch s.Kind {
	case rbacv1.UserKind:
		return u.GetName() == s.Name
	case rbacv1.GroupKind:
		return slices.Contains(u.GetGroups(), s.Name)
	case rbacv1.ServiceAccountKind:
		if s.Namespace != "" {
			namespace = s.Namespace
		}
		return namespace != "" && serviceaccount.MatchesUsername(namespace, s.Name, u.GetName())
	}
	return false
}
