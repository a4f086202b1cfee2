package bootstrap

import (
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// The verbs and groups that roles are made of. A rule is written as its verbs,
// then its API groups, then its resources, each a list separated by spaces.
const (
	read       = "get list watch"
	write      = "create delete deletecollection patch update"
	readUpdate = "get list patch update watch"
	everything = "create delete deletecollection get list patch update watch"

	core          = ""
	admissionReg  = "admissionregistration.k8s.io"
	apps          = "apps"
	appsExt       = "apps extensions"
	authenticate  = "authentication.k8s.io"
	authorize     = "authorization.k8s.io"
	autoscaling   = "autoscaling"
	batch         = "batch"
	certificates  = "certificates.k8s.io"
	coordination  = "coordination.k8s.io"
	discovery     = "discovery.k8s.io"
	events        = "events.k8s.io"
	bothEvents    = core + " " + events
	extensions    = "extensions"
	metrics       = "metrics.k8s.io"
	networking    = "networking.k8s.io"
	nodeGroup     = "node.k8s.io"
	pintleGroup   = "pintle.io"
	policy        = "policy"
	resourceGroup = "resource.k8s.io"
	storage       = "storage.k8s.io"
)

// role is one row: a name and its rules; labels are for aggregation.
type role struct {
	name      string
	labels    map[string]string
	aggregate string // collects the rules of roles with this label
	rules     []rbacv1.PolicyRule
}

// on builds a resource rule.
func on(verbs, groups, resources string, names ...string) rbacv1.PolicyRule {
	return rbacv1.PolicyRule{
		Verbs: strings.Fields(verbs), APIGroups: strings.Split(groups, " "), Resources: strings.Fields(resources), ResourceNames: names,
	}
}

// urls builds a rule over paths.
func urls(verbs, paths string) rbacv1.PolicyRule {
	return rbacv1.PolicyRule{Verbs: strings.Fields(verbs), NonResourceURLs: strings.Fields(paths)}
}

// recording lets a component write events.
func recording() rbacv1.PolicyRule {
	return rbacv1.PolicyRule{Verbs: []string{"create", "patch", "update"}, APIGroups: []string{core, events}, Resources: []string{"events"}}
}

// defaults marks an object as one of ours, kept up to date at every start.
func defaults(meta metav1.ObjectMeta, labels map[string]string) metav1.ObjectMeta {
	meta.Labels = map[string]string{"kubernetes.io/bootstrapping": "rbac-defaults"}
	for k, v := range labels {
		meta.Labels[k] = v
	}
	meta.Annotations = map[string]string{rbacv1.AutoUpdateAnnotationKey: "true"}
	return meta
}

func (r *role) clusterRole() *rbacv1.ClusterRole {
	out := &rbacv1.ClusterRole{ObjectMeta: defaults(metav1.ObjectMeta{Name: r.name}, r.labels), Rules: r.rules}
	if r.aggregate != "" {
		out.AggregationRule = &rbacv1.AggregationRule{
			ClusterRoleSelectors: []metav1.LabelSelector{{MatchLabels: map[string]string{r.aggregate: "true"}}},
		}
	}
	return out
}

func user(names ...string) []rbacv1.Subject {
	return subjects(rbacv1.UserKind, names)
}

func group(names ...string) []rbacv1.Subject {
	return subjects(rbacv1.GroupKind, names)
}

func subjects(kind string, names []string) []rbacv1.Subject {
	var out []rbacv1.Subject
	for _, name := range names {
		out = append(out, rbacv1.Subject{APIGroup: rbacv1.GroupName, Kind: kind, Name: name})
	}
	return out
}

func account(names ...string) []rbacv1.Subject {
	var out []rbacv1.Subject
	for _, name := range names {
		out = append(out, rbacv1.Subject{Kind: rbacv1.ServiceAccountKind, Namespace: metav1.NamespaceSystem, Name: name})
	}
	return out
}

func clusterBinding(name, role string, to []rbacv1.Subject) *rbacv1.ClusterRoleBinding {
	return &rbacv1.ClusterRoleBinding{
		ObjectMeta: defaults(metav1.ObjectMeta{Name: name}, nil),
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role},
		Subjects:   to,
	}
}
