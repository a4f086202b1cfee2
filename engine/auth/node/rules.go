package node

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/selection"
	"k8s.io/apiserver/pkg/authorization/authorizer"
)

// related answers whether something with a namespace and name belongs to a node.
type related func(node, namespace, name string) bool

func ifRelated(node string, a authorizer.Attributes, is related) (authorizer.Decision, string, error) {
	switch {
	case a.GetName() == "":
		return noOpinion("No Object name found")
	case !is(node, a.GetNamespace(), a.GetName()):
		return noOpinion("no relationship found between node '%s' and this object", node)
	}
	return allow()
}

func readNamespaced(node string, a authorizer.Attributes, is related) (authorizer.Decision, string, error) {
	switch {
	case !slices.Contains([]string{"get", "list", "watch"}, a.GetVerb()):
		return noOpinion("can only read resources of this type")
	case a.GetSubresource() != "":
		return noOpinion("cannot read subresource")
	case a.GetNamespace() == "":
		return noOpinion("can only read namespaced object of this type")
	}
	return ifRelated(node, a, is)
}

func getOne(node string, a authorizer.Attributes, is related) (authorizer.Decision, string, error) {
	switch {
	case a.GetVerb() != "get":
		return noOpinion("can only get individual resources of this type")
	case a.GetSubresource() != "":
		return noOpinion("cannot get subresource")
	}
	return ifRelated(node, a, is)
}

func updateStatus(node string, a authorizer.Attributes, is related) (authorizer.Decision, string, error) {
	if a.GetVerb() != "update" && a.GetVerb() != "patch" {
		return noOpinion("can only get/update/patch this type")
	}
	return ifRelated(node, a, is)
}

// serviceAccount: a node reads the accounts of its pods and asks for their tokens.
func (r *Authorizer) serviceAccount(node string, a authorizer.Attributes) (authorizer.Decision, string, error) {
	if a.GetVerb() == "get" && a.GetSubresource() == "" {
		return readNamespaced(node, a, r.view.serviceAccount)
	}
	switch {
	case a.GetVerb() != "create" || a.GetName() == "":
		return noOpinion("can only create tokens for individual service accounts")
	case a.GetSubresource() != "token":
		return noOpinion("can only create token subresource of serviceaccount")
	}
	return ifRelated(node, a, r.view.serviceAccount)
}

func lease(node string, a authorizer.Attributes) (authorizer.Decision, string, error) {
	switch {
	case !slices.Contains([]string{"get", "create", "update", "patch", "delete"}, a.GetVerb()):
		return noOpinion("can only get, create, update, patch, or delete a node lease")
	case a.GetNamespace() != corev1.NamespaceNodeLease:
		return noOpinion("can only access leases in the %q system namespace", corev1.NamespaceNodeLease)
	// On create the name is in the body: NodeRestriction looks at it.
	case a.GetVerb() != "create" && a.GetName() != node:
		return noOpinion("can only access node lease with the same name as the requesting node")
	}
	return allow()
}

func csiNode(node string, a authorizer.Attributes) (authorizer.Decision, string, error) {
	switch {
	case a.GetSubresource() != "":
		return noOpinion("cannot authorize CSINode subresources")
	case !slices.Contains([]string{"get", "create", "update", "patch", "delete"}, a.GetVerb()):
		return noOpinion("can only get, create, update, patch, or delete a CSINode")
	case a.GetVerb() != "create" && a.GetName() != node:
		return noOpinion("can only access CSINode with the same name as the requesting node")
	}
	return allow()
}

func (r *Authorizer) resourceSlice(node string, a authorizer.Attributes) (authorizer.Decision, string, error) {
	if a.GetSubresource() != "" {
		return noOpinion("cannot authorize ResourceSlice subresources")
	}
	switch a.GetVerb() {
	case "create":
		return allow() // NodeRestriction compares spec.nodeName
	case "get", "update", "patch", "delete":
		return ifRelated(node, a, r.view.resourceSlice)
	case "list", "watch", "deletecollection":
		if selects(a, "spec.nodeName", node) {
			return allow()
		}
		return noOpinion("can only list/watch/deletecollection resourceslices with nodeName field selector")
	}
	return noOpinion("only the following verbs are allowed for a ResourceSlice: get, watch, list, create, update, patch, delete, deletecollection")
}

func (r *Authorizer) certRequest(node string, a authorizer.Attributes) (authorizer.Decision, string, error) {
	if a.GetSubresource() != "" {
		return noOpinion("nodes may not access the status subresource of PodCertificateRequests")
	}
	switch a.GetVerb() {
	case "create":
		return allow() // NodeRestriction compares node, pod and service account
	case "get":
		return ifRelated(node, a, r.view.certRequest)
	case "list", "watch":
		if selects(a, "spec.nodeName", node) {
			return allow()
		}
		return noOpinion("can only list/watch podcertificaterequests with nodeName field selector")
	}
	return noOpinion("nodes may not %s podcertificaterequests", a.GetVerb())
}

func ownNode(node string, a authorizer.Attributes) (authorizer.Decision, string, error) {
	switch a.GetSubresource() + "/" + a.GetVerb() {
	case "/create", "/update", "/patch", "status/update", "status/patch":
		return allow() // NodeRestriction compares the name
	case "/get", "/list", "/watch":
		switch a.GetName() {
		case node:
			return allow()
		case "":
			return noOpinion("node '%s' cannot read all nodes, only its own Node object", node)
		}
		return noOpinion("node '%s' cannot read '%s', only its own Node object", node, a.GetName())
	}
	return noOpinion("")
}

func (r *Authorizer) pods(node string, a authorizer.Attributes) (authorizer.Decision, string, error) {
	switch a.GetSubresource() + "/" + a.GetVerb() {
	case "/create", "/delete", "status/update", "status/patch", "eviction/create":
		return allow() // NodeRestriction keeps these to the node's own pods
	case "/get":
		return ifRelated(node, a, r.view.pod)
	case "/list", "/watch":
		switch {
		case selects(a, "spec.nodeName", node):
			return allow()
		case a.GetName() != "":
			return ifRelated(node, a, r.view.pod)
		}
		return noOpinion("can only list/watch pods with spec.nodeName field selector")
	}
	return noOpinion("")
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
