package rbac

import (
	"context"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	rbacv1listers "k8s.io/client-go/listers/rbac/v1"
	"k8s.io/client-go/tools/cache"
)

func rule(verbs, groups, resources string, names ...string) rbacv1.PolicyRule {
	return rbacv1.PolicyRule{Verbs: strings.Fields(verbs), APIGroups: strings.Split(groups, " "), Resources: strings.Fields(resources), ResourceNames: names}
}

func index(t *testing.T, objs ...any) cache.Indexer {
	t.Helper()
	i := cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc})
	for _, o := range objs {
		if err := i.Add(o); err != nil {
			t.Fatal(err)
		}
	}
	return i
}

func bindTo(kind, role string) rbacv1.RoleRef {
	return rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: kind, Name: role}
}

// newAuthorizer has ann as reader everywhere and editor of ns, a service account
// bound without a namespace, and a binding to a role that does not exist.
func newAuthorizer(t *testing.T) *Authorizer {
	name := func(ns, n string) metav1.ObjectMeta { return metav1.ObjectMeta{Namespace: ns, Name: n} }
	return &Authorizer{
		ClusterRoles: rbacv1listers.NewClusterRoleLister(index(t,
			&rbacv1.ClusterRole{ObjectMeta: name("", "reader"), Rules: []rbacv1.PolicyRule{
				rule("get list", "", "pods pods/log */scale"),
				{Verbs: []string{"get"}, NonResourceURLs: []string{"/version", "/apis/*"}}}},
			&rbacv1.ClusterRole{ObjectMeta: name("", "grantor"), Rules: []rbacv1.PolicyRule{rule("create update bind escalate", rbacv1.GroupName, "*")}})),
		Roles: rbacv1listers.NewRoleLister(index(t, &rbacv1.Role{ObjectMeta: name("ns", "editor"), Rules: []rbacv1.PolicyRule{
			rule("*", "", "configmaps"), rule("get", "", "secrets", "one")}})),
		ClusterRoleBindings: rbacv1listers.NewClusterRoleBindingLister(index(t,
			&rbacv1.ClusterRoleBinding{ObjectMeta: name("", "broken"), RoleRef: bindTo("ClusterRole", "none"), Subjects: []rbacv1.Subject{{Kind: "User", Name: "ann"}}},
			&rbacv1.ClusterRoleBinding{ObjectMeta: name("", "read"), RoleRef: bindTo("ClusterRole", "reader"), Subjects: []rbacv1.Subject{{Kind: "Group", Name: "devs"}}},
			&rbacv1.ClusterRoleBinding{ObjectMeta: name("", "grant"), RoleRef: bindTo("ClusterRole", "grantor"), Subjects: []rbacv1.Subject{{Kind: "User", Name: "gil"}}})),
		RoleBindings: rbacv1listers.NewRoleBindingLister(index(t,
			&rbacv1.RoleBinding{ObjectMeta: name("ns", "edit"), RoleRef: bindTo("Role", "editor"), Subjects: []rbacv1.Subject{{Kind: "User", Name: "ann"}, {Kind: "ServiceAccount", Name: "bot"}}},
			&rbacv1.RoleBinding{ObjectMeta: name("other", "read"), RoleRef: bindTo("ClusterRole", "reader"), Subjects: []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: "ns", Name: "bot"}}})),
	}
}

var (
	ann = &user.DefaultInfo{Name: "ann", Groups: []string{"devs"}}
	bot = &user.DefaultInfo{Name: "system:serviceaccount:ns:bot"}
	gil = &user.DefaultInfo{Name: "gil"}
)

func TestAuthorize(t *testing.T) {
	r := newAuthorizer(t)
	for _, tc := range []struct {
		user  user.Info
		verb  string
		ns    string
		what  string // group/resource/subresource, or a path
		name  string
		allow bool
	}{
		{ann, "get", "x", "/pods", "", true},
		{ann, "list", "", "/pods", "", true},
		{ann, "delete", "x", "/pods", "", false},
		{ann, "get", "x", "apps/pods", "", false},
		{ann, "get", "x", "/pods/log", "", true},
		{ann, "get", "x", "/pods/exec", "", false},
		{ann, "get", "x", "/replicationcontrollers/scale", "", true},
		{ann, "get", "x", "/replicationcontrollers", "", false},
		{ann, "deletecollection", "ns", "/configmaps", "", true},
		{ann, "get", "x", "/configmaps", "", false},
		{ann, "get", "ns", "/secrets", "one", true},
		{ann, "get", "ns", "/secrets", "two", false},
		{ann, "get", "ns", "/secrets", "", false},
		{ann, "get", "", "url:/version", "", true},
		{ann, "get", "", "url:/version/x", "", false},
		{ann, "get", "", "url:/apis/apps", "", true},
		{ann, "post", "", "url:/version", "", false},
		{bot, "get", "ns", "/configmaps", "", true},
		{bot, "get", "other", "/pods", "", true},
		{bot, "get", "ns", "/pods", "", false},
		{&user.DefaultInfo{Name: "bot"}, "get", "ns", "/configmaps", "", false},
	} {
		a := authorizer.AttributesRecord{User: tc.user, Verb: tc.verb, Namespace: tc.ns, Name: tc.name, ResourceRequest: true}
		if path, ok := strings.CutPrefix(tc.what, "url:"); ok {
			a.ResourceRequest, a.Path = false, path
		} else {
			parts := append(strings.Split(tc.what, "/"), "")
			a.APIGroup, a.Resource, a.Subresource = parts[0], parts[1], parts[2]
		}
		decision, reason, err := r.Authorize(context.Background(), a)
		if err != nil || (decision == authorizer.DecisionAllow) != tc.allow || decision == authorizer.DecisionDeny {
			t.Errorf("%s %s %s in %q: %v %q %v", tc.user.GetName(), tc.verb, tc.what, tc.ns, decision, reason, err)
		}
	}
}

func TestRulesFor(t *testing.T) {
	resources, urls, incomplete, err := newAuthorizer(t).RulesFor(context.Background(), ann, "ns")
	if len(resources) != 3 || len(urls) != 1 || incomplete || err != nil {
		t.Errorf("%d resource rules, %d url rules, incomplete %v, %v", len(resources), len(urls), incomplete, err)
	}
}

func TestGuard(t *testing.T) {
	r := newAuthorizer(t)
	g := NewGuard(r, r)
	role := func(rules ...rbacv1.PolicyRule) *rbacv1.Role {
		return &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "new"}, Rules: rules}
	}
	binding := func(ref rbacv1.RoleRef) *rbacv1.RoleBinding {
		return &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "new"}, RoleRef: ref}
	}
	aggregated := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "new"}, AggregationRule: &rbacv1.AggregationRule{
		ClusterRoleSelectors: []metav1.LabelSelector{{MatchLabels: map[string]string{"a": "b"}}}}}
	loosened := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "new"}}
	master := &user.DefaultInfo{Name: "root", Groups: []string{"system:masters"}}
	for name, tc := range map[string]struct {
		user     user.Info
		obj, old runtime.Object
		resource string
		refused  bool
	}{
		"rules held":             {user: ann, obj: role(rule("get", "", "pods"), rule("create", "", "configmaps")), resource: "roles"},
		"rules not held":         {user: ann, obj: role(rule("create", "", "pods")), resource: "roles", refused: true},
		"rules not changed":      {user: ann, obj: role(rule("create", "", "pods")), old: role(rule("create", "", "pods")), resource: "roles"},
		"may escalate":           {user: gil, obj: role(rule("*", "*", "*")), resource: "roles"},
		"master":                 {user: master, obj: aggregated, resource: "clusterroles"},
		"aggregation":            {user: ann, obj: aggregated, resource: "clusterroles", refused: true},
		"no longer aggregated":   {user: ann, obj: loosened, old: aggregated, resource: "clusterroles", refused: true},
		"bind what is held":      {user: ann, obj: binding(bindTo("ClusterRole", "reader")), resource: "rolebindings"},
		"bind what is not held":  {user: bot, obj: binding(bindTo("ClusterRole", "reader")), resource: "rolebindings", refused: true},
		"may bind":               {user: gil, obj: binding(bindTo("ClusterRole", "none")), resource: "rolebindings"},
		"bind a role not there":  {user: ann, obj: binding(bindTo("Role", "none")), resource: "rolebindings", refused: true},
		"another group's object": {user: bot, obj: &metav1.Status{}, resource: "statuses"},
	} {
		op := admission.Create
		if tc.old != nil {
			op = admission.Update
		}
		a := admission.NewAttributesRecord(tc.obj, tc.old, rbacv1.SchemeGroupVersion.WithKind("X"), "ns", "new",
			rbacv1.SchemeGroupVersion.WithResource(tc.resource), "", op, nil, false, tc.user)
		err := g.Validate(context.Background(), a, nil)
		if (err != nil) != tc.refused || (err != nil && !apierrors.IsForbidden(err) && !apierrors.IsNotFound(err)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestWhatIsMissingIsToldShortly(t *testing.T) {
	one := func(verb, group, resource string, names ...string) rbacv1.PolicyRule {
		return rbacv1.PolicyRule{Verbs: []string{verb}, APIGroups: []string{group}, Resources: []string{resource}, ResourceNames: names}
	}
	got := describe([]rbacv1.PolicyRule{
		one("get", "apps", "pods", "a"), one("delete", "apps", "pods", "a"), one("get", "", "pods"), one("get", "apps", "pods", "b"),
		{Verbs: []string{"get"}, NonResourceURLs: []string{"/x"}}, {Verbs: []string{"put"}, NonResourceURLs: []string{"/x"}},
	})
	want := `{APIGroups:[""], Resources:["pods"], Verbs:["get"]}
{APIGroups:["apps"], Resources:["pods"], ResourceNames:["a"], Verbs:["get" "delete"]}
{APIGroups:["apps"], Resources:["pods"], ResourceNames:["b"], Verbs:["get"]}
{NonResourceURLs:["/x"], Verbs:["get"]}
{NonResourceURLs:["/x"], Verbs:["put"]}`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestTheReasonNamesBindingRoleAndSubject(t *testing.T) {
	for want, g := range map[string]*grant{
		`ClusterRoleBinding "all" of ClusterRole "reader" to Group "dev"`: {binding: "all", role: bindTo("ClusterRole", "reader"), subject: &rbacv1.Subject{Kind: "Group", Name: "dev"}},
		`RoleBinding "some/ns" of Role "reader" to ServiceAccount "bot/ns"`: {
			binding: "some", namespace: "ns", role: bindTo("Role", "reader"), subject: &rbacv1.Subject{Kind: "ServiceAccount", Name: "bot"}},
		`ClusterRoleBinding "all" of ClusterRole "reader" to ServiceAccount "bot/other"`: {
			binding: "all", role: bindTo("ClusterRole", "reader"), subject: &rbacv1.Subject{Kind: "ServiceAccount", Name: "bot", Namespace: "other"}},
	} {
		if got := g.String(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
