package node

import (
	"context"
	"fmt"
	"slices"
	"strings"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	resourcev1 "k8s.io/api/resource/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/selection"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"github.com/pintle-io/pintle/engine/auth/rbac"
)

// UserPrefix begins the user name of every node agent.
const UserPrefix = "system:node:"

// Name returns the node that a user is the agent of. A member of the nodes' group
// with another name is an agent whose node is not known: ok with an empty name.
func Name(u user.Info) (name string, ok bool) {
	if u == nil || !slices.Contains(u.GetGroups(), user.NodesGroup) {
		return "", false
	}
	name, _ = strings.CutPrefix(u.GetName(), UserPrefix)
	if name == u.GetName() {
		return "", false
	}
	return name, true
}

// Authorizer decides for node agents.
type Authorizer struct {
	view  View
	rules []rbacv1.PolicyRule
}

// New builds an authorizer. rules is what every node may do besides.
func New(view View, rules []rbacv1.PolicyRule) *Authorizer {
	return &Authorizer{view: view, rules: rules}
}

var (
	secretResource  = schema.GroupResource{Resource: "secrets"}
	configMaps      = schema.GroupResource{Resource: "configmaps"}
	claims          = schema.GroupResource{Resource: "persistentvolumeclaims"}
	volumes         = schema.GroupResource{Resource: "persistentvolumes"}
	accounts        = schema.GroupResource{Resource: "serviceaccounts"}
	nodeResource    = schema.GroupResource{Resource: "nodes"}
	podResource     = schema.GroupResource{Resource: "pods"}
	leases          = schema.GroupResource{Group: coordinationv1.GroupName, Resource: "leases"}
	attachments     = schema.GroupResource{Group: storagev1.GroupName, Resource: "volumeattachments"}
	csiNodes        = schema.GroupResource{Group: storagev1.GroupName, Resource: "csinodes"}
	resourceClaims  = schema.GroupResource{Group: resourcev1.GroupName, Resource: "resourceclaims"}
	resourceSlices  = schema.GroupResource{Group: resourcev1.GroupName, Resource: "resourceslices"}
	reading         = []string{"get", "list", "watch"}
	readingOne      = []string{"get"}
	updating        = []string{"update", "patch"}
	writingReadable = []string{"get", "create", "update", "patch", "delete"}
)

// Authorize implements authorizer.Authorizer.
func (r *Authorizer) Authorize(_ context.Context, a authorizer.Attributes) (authorizer.Decision, string, error) {
	node, ok := Name(a.GetUser())
	if !ok {
		return authorizer.DecisionNoOpinion, "", nil
	}
	if node == "" {
		return noOpinion("unknown node for user %q", a.GetUser().GetName())
	}
	if !a.IsResourceRequest() {
		return r.static(a)
	}
	switch (schema.GroupResource{Group: a.GetAPIGroup(), Resource: a.GetResource()}) {
	case secretResource:
		return related(node, a, reading, func() bool { return r.view.secret(node, a.GetNamespace(), a.GetName()) })
	case configMaps:
		return related(node, a, reading, func() bool { return r.view.used(node, a.GetNamespace(), a.GetName(), refersToConfigMap) })
	case claims:
		if a.GetSubresource() == "status" {
			return relatedSub(node, a, append(readingOne, updating...), "status", r.usesClaim(node, a))
		}
		return related(node, a, readingOne, r.usesClaim(node, a))
	case volumes:
		return related(node, a, readingOne, func() bool { return r.view.volume(node, a.GetName()) })
	case resourceClaims:
		return related(node, a, readingOne, func() bool { return r.view.used(node, a.GetNamespace(), a.GetName(), refersToResourceClaim) })
	case attachments:
		return related(node, a, readingOne, func() bool { return r.view.attachment(node, a.GetName()) })
	case accounts:
		return relatedSub(node, a, []string{"create"}, "token", func() bool {
			return r.view.used(node, a.GetNamespace(), a.GetName(), refersToServiceAccount)
		})
	case leases:
		return lease(node, a)
	case csiNodes:
		return ownNamed(node, a, writingReadable)
	case resourceSlices:
		return slicesOf(node, a)
	case nodeResource:
		return ownNode(node, a)
	case podResource:
		return r.pods(node, a)
	}
	return r.static(a)
}

func (r *Authorizer) usesClaim(node string, a authorizer.Attributes) func() bool {
	return func() bool { return r.view.used(node, a.GetNamespace(), a.GetName(), refersToClaim) }
}

// ConditionsAwareAuthorize implements authorizer.Authorizer.
func (r *Authorizer) ConditionsAwareAuthorize(ctx context.Context, a authorizer.Attributes) authorizer.ConditionsAwareDecision {
	return authorizer.ConditionsAwareDecisionFromParts(r.Authorize(ctx, a))
}

// EvaluateConditions implements authorizer.Authorizer; no conditions are set.
func (*Authorizer) EvaluateConditions(context.Context, authorizer.ConditionsAwareDecision, authorizer.ConditionsData) (authorizer.Decision, string, error) {
	return authorizer.DecisionDeny, "", authorizer.ErrorConditionEvaluationNotSupported
}

func allow() (authorizer.Decision, string, error) { return authorizer.DecisionAllow, "", nil }

func noOpinion(format string, args ...any) (authorizer.Decision, string, error) {
	return authorizer.DecisionNoOpinion, fmt.Sprintf(format, args...), nil
}

func (r *Authorizer) static(a authorizer.Attributes) (authorizer.Decision, string, error) {
	if rbac.RulesAllow(a, r.rules) {
		return allow()
	}
	return authorizer.DecisionNoOpinion, "", nil
}

// related allows the verbs on one named object that the node's pods need.
func related(node string, a authorizer.Attributes, verbs []string, needed func() bool) (authorizer.Decision, string, error) {
	return relatedSub(node, a, verbs, "", needed)
}

func relatedSub(node string, a authorizer.Attributes, verbs []string, subresource string, needed func() bool) (authorizer.Decision, string, error) {
	switch {
	case a.GetSubresource() != subresource:
		return noOpinion("node '%s' cannot use subresource %q of %s", node, a.GetSubresource(), a.GetResource())
	case !slices.Contains(verbs, a.GetVerb()):
		return noOpinion("node '%s' can only %s resources of this type", node, strings.Join(verbs, "/"))
	case a.GetName() == "":
		return noOpinion("No Object name found")
	case !needed():
		return noOpinion("no relationship found between node '%s' and this object", node)
	}
	return allow()
}

func lease(node string, a authorizer.Attributes) (authorizer.Decision, string, error) {
	if a.GetNamespace() != corev1.NamespaceNodeLease {
		return noOpinion("can only access leases in the %q system namespace", corev1.NamespaceNodeLease)
	}
	return ownNamed(node, a, writingReadable)
}

// ownNamed allows the verbs on the object that has the node's name.
func ownNamed(node string, a authorizer.Attributes, verbs []string) (authorizer.Decision, string, error) {
	switch {
	case a.GetSubresource() != "" || !slices.Contains(verbs, a.GetVerb()):
		return noOpinion("can only get, create, update, patch, or delete %s", a.GetResource())
	case a.GetVerb() == "create" && a.GetName() == "":
		return allow() // the name is in the body: NodeRestriction looks at it
	case a.GetName() != node:
		return noOpinion("can only access %s with the same name as the requesting node", a.GetResource())
	}
	return allow()
}

func slicesOf(node string, a authorizer.Attributes) (authorizer.Decision, string, error) {
	switch a.GetVerb() {
	case "get", "create", "update", "patch", "delete":
		return allow() // NodeRestriction compares spec.nodeName
	case "list", "watch", "deletecollection":
		if selects(a, "spec.nodeName", node) {
			return allow()
		}
	}
	return noOpinion("can only list/watch/deletecollection resourceslices with spec.nodeName field selector")
}

func ownNode(node string, a authorizer.Attributes) (authorizer.Decision, string, error) {
	switch {
	case a.GetSubresource() == "status" && slices.Contains(updating, a.GetVerb()):
		return allow() // NodeRestriction compares the name
	case a.GetSubresource() != "":
		return noOpinion("node '%s' cannot use subresource %q of nodes", node, a.GetSubresource())
	case a.GetVerb() == "create" || slices.Contains(updating, a.GetVerb()):
		return allow()
	case slices.Contains(reading, a.GetVerb()) && a.GetName() == node:
		return allow()
	case a.GetName() == "":
		return noOpinion("node '%s' cannot read all nodes, only its own Node object", node)
	}
	return noOpinion("node '%s' cannot %s '%s', only its own Node object", node, a.GetVerb(), a.GetName())
}

func (r *Authorizer) pods(node string, a authorizer.Attributes) (authorizer.Decision, string, error) {
	switch {
	case a.GetSubresource() == "status" && slices.Contains(updating, a.GetVerb()),
		a.GetSubresource() == "eviction" && a.GetVerb() == "create",
		a.GetSubresource() == "" && (a.GetVerb() == "create" || a.GetVerb() == "delete"):
		return allow() // NodeRestriction keeps these to the node's own pods
	case a.GetSubresource() != "":
		return noOpinion("node '%s' cannot use subresource %q of pods", node, a.GetSubresource())
	case slices.Contains([]string{"list", "watch"}, a.GetVerb()) && a.GetName() == "":
		if selects(a, "spec.nodeName", node) {
			return allow()
		}
		return noOpinion("can only list/watch pods with spec.nodeName field selector")
	case slices.Contains(reading, a.GetVerb()):
		return related(node, a, reading, func() bool { return r.view.pod(node, a.GetNamespace(), a.GetName()) })
	}
	return noOpinion("node '%s' cannot %s pods", node, a.GetVerb())
}

// selects reports whether a list is limited to objects with field = value.
func selects(a authorizer.Attributes, field, value string) bool {
	requirements, err := a.GetFieldSelector()
	if err != nil {
		return false
	}
	for _, r := range requirements {
		if r.Field == field && (r.Operator == selection.Equals || r.Operator == selection.DoubleEquals) && r.Value == value {
			return true
		}
	}
	return false
}
