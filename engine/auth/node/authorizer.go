package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	certificatesv1 "k8s.io/api/certificates/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	resourcev1 "k8s.io/api/resource/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
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
	secretResource = schema.GroupResource{Resource: "secrets"}
	configMaps     = schema.GroupResource{Resource: "configmaps"}
	claims         = schema.GroupResource{Resource: "persistentvolumeclaims"}
	volumes        = schema.GroupResource{Resource: "persistentvolumes"}
	accounts       = schema.GroupResource{Resource: "serviceaccounts"}
	nodeResource   = schema.GroupResource{Resource: "nodes"}
	podResource    = schema.GroupResource{Resource: "pods"}
	leases         = schema.GroupResource{Group: coordinationv1.GroupName, Resource: "leases"}
	attachments    = schema.GroupResource{Group: storagev1.GroupName, Resource: "volumeattachments"}
	csiNodes       = schema.GroupResource{Group: storagev1.GroupName, Resource: "csinodes"}
	resourceClaims = schema.GroupResource{Group: resourcev1.GroupName, Resource: "resourceclaims"}
	resourceSlices = schema.GroupResource{Group: resourcev1.GroupName, Resource: "resourceslices"}
	certRequests   = schema.GroupResource{Group: certificatesv1.GroupName, Resource: "podcertificaterequests"}
)

// Authorize implements authorizer.Authorizer.
func (r *Authorizer) Authorize(ctx context.Context, a authorizer.Attributes) (authorizer.Decision, string, error) {
	node, ok := Name(a.GetUser())
	if !ok {
		return authorizer.DecisionNoOpinion, "", nil
	}
	if r.view.Wait != nil {
		r.view.Wait(ctx)
	}
	if node == "" {
		return noOpinion("unknown node for user %q", a.GetUser().GetName())
	}
	if !a.IsResourceRequest() {
		return r.static(a)
	}
	switch (schema.GroupResource{Group: a.GetAPIGroup(), Resource: a.GetResource()}) {
	case secretResource:
		return readNamespaced(node, a, r.view.secret)
	case configMaps:
		return readNamespaced(node, a, r.view.configMap)
	case claims:
		if a.GetSubresource() == "status" {
			return updateStatus(node, a, r.view.claim)
		}
		return getOne(node, a, r.view.claim)
	case volumes:
		return getOne(node, a, r.view.volume)
	case resourceClaims:
		return getOne(node, a, r.view.resourceClaim)
	case attachments:
		return getOne(node, a, r.view.attachment)
	case accounts:
		return r.serviceAccount(node, a)
	case leases:
		return lease(node, a)
	case csiNodes:
		return csiNode(node, a)
	case resourceSlices:
		return r.resourceSlice(node, a)
	case nodeResource:
		return ownNode(node, a)
	case podResource:
		return r.pods(node, a)
	case certRequests:
		return r.certRequest(node, a)
	}
	return r.static(a)
}

// RulesFor implements authorizer.RuleResolver: what a node may do cannot be listed.
func (*Authorizer) RulesFor(_ context.Context, u user.Info, _ string) ([]authorizer.ResourceRuleInfo, []authorizer.NonResourceRuleInfo, bool, error) {
	if _, ok := Name(u); ok {
		return nil, nil, true, errors.New("node authorizer does not support user rule resolution")
	}
	return nil, nil, false, nil
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
