package flowcontrol

import (
	"testing"

	v1 "k8s.io/api/flowcontrol/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pintle-io/pintle/engine/apis/apistest"
)

func TestFlowSchema(t *testing.T) {
	base := func() *v1.FlowSchema {
		return &v1.FlowSchema{
			ObjectMeta: metav1.ObjectMeta{Name: "s", ResourceVersion: "1"},
			Spec: v1.FlowSchemaSpec{
				MatchingPrecedence: 100, PriorityLevelConfiguration: v1.PriorityLevelConfigurationReference{Name: "l"},
				Rules: []v1.PolicyRulesWithSubjects{{
					Subjects:         []v1.Subject{{Kind: v1.SubjectKindServiceAccount, ServiceAccount: &v1.ServiceAccountSubject{Namespace: "n", Name: "*"}}},
					ResourceRules:    []v1.ResourcePolicyRule{{Verbs: []string{"get"}, APIGroups: []string{""}, Resources: []string{"*"}, Namespaces: []string{"n"}}},
					NonResourceRules: []v1.NonResourcePolicyRule{{Verbs: []string{"*"}, NonResourceURLs: []string{"/a/*"}}},
				}},
			},
		}
	}
	resources := func(f func(*v1.ResourcePolicyRule)) func(*v1.FlowSchema) {
		return func(s *v1.FlowSchema) { f(&s.Spec.Rules[0].ResourceRules[0]) }
	}
	url := func(text string) func(*v1.FlowSchema) {
		return func(s *v1.FlowSchema) { s.Spec.Rules[0].NonResourceRules[0].NonResourceURLs = []string{text} }
	}
	subject := func(subject v1.Subject) func(*v1.FlowSchema) {
		return func(s *v1.FlowSchema) { s.Spec.Rules[0].Subjects[0] = subject }
	}
	const rule, urls, who = "spec.rules[0].resourceRules[0]", "spec.rules[0].nonResourceRules[0].nonResourceURLs[0]", "spec.rules[0].subjects[0]"
	apistest.RunCreate(t, flowSchemas(), base, map[string]apistest.Case[*v1.FlowSchema]{
		"verb":             {Change: resources(func(r *v1.ResourcePolicyRule) { r.Verbs = []string{"get", "run"} }), Want: []string{rule + ".verbs: Unsupported value"}},
		"all, and one":     {Change: resources(func(r *v1.ResourcePolicyRule) { r.Verbs = []string{"*", "run"} }), Want: []string{rule + ".verbs: Invalid value"}},
		"namespace":        {Change: resources(func(r *v1.ResourcePolicyRule) { r.Namespaces = []string{"A"} }), Want: []string{rule + ".namespaces[0]: Invalid value"}},
		"no namespace":     {Change: resources(func(r *v1.ResourcePolicyRule) { r.Namespaces = nil }), Want: []string{rule + ".namespaces: Required value"}},
		"groups":           {Change: resources(func(r *v1.ResourcePolicyRule) { r.APIGroups = []string{"*", "a"} }), Want: []string{rule + ".apiGroups: Invalid value"}},
		"empty path":       {Change: url(""), Want: []string{urls + ": Invalid value"}},
		"relative path":    {Change: url("a"), Want: []string{urls + ": Invalid value"}},
		"space":            {Change: url("/a b"), Want: []string{urls + ": Invalid value"}},
		"two slashes":      {Change: url("/a//b"), Want: []string{urls + ": Invalid value"}},
		"star in between":  {Change: url("/*/b"), Want: []string{urls + ": Invalid value"}},
		"root":             {Change: url("/")},
		"unknown kind":     {Change: subject(v1.Subject{Kind: "x", User: &v1.UserSubject{}}), Want: []string{who + ".kind: Unsupported value"}},
		"user, no name":    {Change: subject(v1.Subject{Kind: v1.SubjectKindUser, User: &v1.UserSubject{}}), Want: []string{who + ".user.name: Required value"}},
		"group, none":      {Change: subject(v1.Subject{Kind: v1.SubjectKindGroup}), Want: []string{who + ".group: Required value"}},
		"user and group":   {Change: subject(v1.Subject{Kind: v1.SubjectKindUser, User: &v1.UserSubject{Name: "u"}, Group: &v1.GroupSubject{Name: "g"}}), Want: []string{who + ".group: Forbidden"}},
		"account's names":  {Change: subject(v1.Subject{Kind: v1.SubjectKindServiceAccount, ServiceAccount: &v1.ServiceAccountSubject{Name: "A", Namespace: "A"}}), Want: []string{who + ".serviceAccount.name: Invalid value", who + ".serviceAccount.namespace: Invalid value"}},
		"account, nowhere": {Change: subject(v1.Subject{Kind: v1.SubjectKindServiceAccount, ServiceAccount: &v1.ServiceAccountSubject{Name: "a"}}), Want: []string{who + ".serviceAccount.namespace: Required value"}},
	})
}
