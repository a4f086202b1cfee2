package flowcontrol

import (
	"fmt"
	"slices"
	"strings"

	v1 "k8s.io/api/flowcontrol/v1"
	"k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

var verbs = []string{"create", "delete", "deletecollection", "get", "list", "patch", "proxy", "update", "watch"}

func validateRule(r *v1.PolicyRulesWithSubjects, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if len(r.Subjects) == 0 {
		errs = append(errs, field.Required(at.Child("subjects"), "subjects must contain at least one value"))
	}
	for i := range r.Subjects {
		errs = append(errs, validateSubject(&r.Subjects[i], at.Child("subjects").Index(i))...)
	}
	if len(r.ResourceRules) == 0 && len(r.NonResourceRules) == 0 {
		errs = append(errs, field.Required(at, "at least one of resourceRules and nonResourceRules has to be non-empty"))
	}
	for i := range r.ResourceRules {
		errs = append(errs, validateResourceRule(&r.ResourceRules[i], at.Child("resourceRules").Index(i))...)
	}
	for i := range r.NonResourceRules {
		errs = append(errs, validatePathRule(&r.NonResourceRules[i], at.Child("nonResourceRules").Index(i))...)
	}
	return errs
}

func validateResourceRule(r *v1.ResourcePolicyRule, at *field.Path) field.ErrorList {
	errs := validateVerbs(r.Verbs, at.Child("verbs"))
	errs = append(errs, requireSome(r.APIGroups, "resource rules must supply at least one api group", "api groups", at.Child("apiGroups"))...)
	errs = append(errs, requireSome(r.Resources, "resource rules must supply at least one resource", "resources", at.Child("resources"))...)
	namespacesAt := at.Child("namespaces")
	switch {
	case len(r.Namespaces) == 0 && !r.ClusterScope:
		errs = append(errs, field.Required(namespacesAt, "resource rules that are not cluster scoped must supply at least one namespace"))
	case slices.Contains(r.Namespaces, v1.NamespaceEvery):
		errs = append(errs, alone(r.Namespaces, "namespaces", namespacesAt)...)
	default:
		for i, n := range r.Namespaces {
			for _, msg := range validation.ValidateNamespaceName(n, false) {
				errs = append(errs, field.Invalid(namespacesAt.Index(i), n, "each member of this list must be '*' or a DNS-1123 label; "+msg))
			}
		}
	}
	return errs
}

func validatePathRule(r *v1.NonResourcePolicyRule, at *field.Path) field.ErrorList {
	errs := validateVerbs(r.Verbs, at.Child("verbs"))
	urlsAt := at.Child("nonResourceURLs")
	switch {
	case len(r.NonResourceURLs) == 0:
		errs = append(errs, field.Required(urlsAt, "nonResourceURLs must contain at least one value"))
	case slices.Contains(r.NonResourceURLs, v1.NonResourceAll):
		errs = append(errs, alone(r.NonResourceURLs, "non-resource URLs", urlsAt)...)
	default:
		for i, url := range r.NonResourceURLs {
			if msg := pathMessage(url); msg != "" {
				errs = append(errs, field.Invalid(urlsAt.Index(i), url, msg))
			}
		}
	}
	return errs
}

// pathMessage says what is wrong with a path, which may end in a wildcard.
func pathMessage(path string) string {
	stars := strings.Count(path, "*")
	switch {
	case path == "":
		return "must not be empty"
	case path == "/":
		return ""
	case !strings.HasPrefix(path, "/"):
		return "must start with slash"
	case strings.Contains(path, " "):
		return "must not contain white-space"
	case strings.Contains(path, "//"):
		return "must not contain double slash"
	case stars > 1 || stars == 1 && !strings.HasSuffix(path, "/*"):
		return "wildcard can only do suffix matching"
	}
	return ""
}

func validateVerbs(list []string, at *field.Path) field.ErrorList {
	switch {
	case len(list) == 0:
		return field.ErrorList{field.Required(at, "verbs must contain at least one value")}
	case slices.Contains(list, v1.VerbAll):
		return alone(list, "verbs", at)
	}
	for _, verb := range list {
		if !slices.Contains(verbs, verb) {
			return field.ErrorList{field.NotSupported(at, list, verbs)}
		}
	}
	return nil
}

func requireSome(list []string, text, things string, at *field.Path) field.ErrorList {
	switch {
	case len(list) == 0:
		return field.ErrorList{field.Required(at, text)}
	case slices.Contains(list, "*"):
		return alone(list, things, at)
	}
	return nil
}

// alone refuses others beside a wildcard.
func alone(list []string, things string, at *field.Path) field.ErrorList {
	if len(list) > 1 {
		return field.ErrorList{field.Invalid(at, list, fmt.Sprintf("if '*' is present, must not specify other %s", things))}
	}
	return nil
}

// validateSubject asks for exactly the part that the kind names.
func validateSubject(s *v1.Subject, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	refuse := func(set bool, name string, kind v1.SubjectKind) {
		if set {
			errs = append(errs, field.Forbidden(at.Child(name), fmt.Sprintf("%s is forbidden when subject kind is not '%s'", name, kind)))
		}
	}
	switch s.Kind {
	case v1.SubjectKindServiceAccount:
		errs = validateAccount(s.ServiceAccount, at.Child("serviceAccount"))
	case v1.SubjectKindUser:
		if s.User == nil {
			errs = append(errs, field.Required(at.Child("user"), "user is required when subject kind is 'User'"))
		} else if s.User.Name == "" {
			errs = append(errs, field.Required(at.Child("user", "name"), ""))
		}
	case v1.SubjectKindGroup:
		if s.Group == nil {
			errs = append(errs, field.Required(at.Child("group"), "group is required when subject kind is 'Group'"))
		} else if s.Group.Name == "" {
			errs = append(errs, field.Required(at.Child("group", "name"), ""))
		}
	default:
		return field.ErrorList{field.NotSupported(at.Child("kind"), s.Kind, []v1.SubjectKind{v1.SubjectKindGroup, v1.SubjectKindServiceAccount, v1.SubjectKindUser})}
	}
	refuse(s.Kind != v1.SubjectKindServiceAccount && s.ServiceAccount != nil, "serviceAccount", v1.SubjectKindServiceAccount)
	refuse(s.Kind != v1.SubjectKindUser && s.User != nil, "user", v1.SubjectKindUser)
	refuse(s.Kind != v1.SubjectKindGroup && s.Group != nil, "group", v1.SubjectKindGroup)
	return errs
}

func validateAccount(a *v1.ServiceAccountSubject, at *field.Path) field.ErrorList {
	if a == nil {
		return field.ErrorList{field.Required(at, "serviceAccount is required when subject kind is 'ServiceAccount'")}
	}
	var errs field.ErrorList
	if a.Name == "" {
		errs = append(errs, field.Required(at.Child("name"), ""))
	} else if a.Name != v1.NameAll {
		for _, msg := range validation.ValidateServiceAccountName(a.Name, false) {
			errs = append(errs, field.Invalid(at.Child("name"), a.Name, msg))
		}
	}
	if a.Namespace == "" {
		return append(errs, field.Required(at.Child("namespace"), "must specify namespace for service account"))
	}
	for _, msg := range validation.ValidateNamespaceName(a.Namespace, false) {
		errs = append(errs, field.Invalid(at.Child("namespace"), a.Namespace, msg))
	}
	return errs
}
