package bootstrap

import (
	rbacv1 "k8s.io/api/rbac/v1"
)

const (
	toAdmin = "rbac.authorization.k8s.io/aggregate-to-admin"
	toEdit  = "rbac.authorization.k8s.io/aggregate-to-edit"
	toView  = "rbac.authorization.k8s.io/aggregate-to-view"

	healthPaths = "/healthz /livez /readyz /version /version/"
)

// NodeRules is what a node may do anywhere, whatever runs on it; the node
// authorizer adds what its pods need.
func NodeRules() []rbacv1.PolicyRule {
	return []rbacv1.PolicyRule{
		on("create", authenticate, "tokenreviews"), on("create", authorize, "localsubjectaccessreviews subjectaccessreviews"),
		on(read, core, "services"), on("create get list watch", core, "nodes"), on("patch update", core, "nodes/status"),
		on("patch update", core, "nodes"), recording(), on(read, core, "pods"), on("create delete", core, "pods"),
		on("patch update", core, "pods/status"), on("create", core, "pods/eviction"), on(read, core, "configmaps secrets"),
		on("get", core, "persistentvolumeclaims persistentvolumes"), on("get", core, "endpoints"),
		on("create get list watch", certificates, "certificatesigningrequests"), on("create delete get patch update", coordination, "leases"),
		on("get", storage, "volumeattachments"), on("create", core, "serviceaccounts/token"),
		on("get patch update", core, "persistentvolumeclaims/status"), on(read, storage, "csidrivers"),
		on("create delete get patch update", storage, "csinodes"), on(read, nodeGroup, "runtimeclasses"),
		on("get", resourceGroup, "resourceclaims"), on("deletecollection", resourceGroup, "resourceslices"),
		on(read, certificates, "clustertrustbundles"), on("get", core, "serviceaccounts"),
		on("create get list watch", certificates, "podcertificaterequests"),
	}
}

// clusterRoles are the published roles, besides those of controllers.
func clusterRoles() []role {
	return append(userRoles(), componentRoles()...)
}

func userRoles() []role {
	return []role{
		{name: "cluster-admin", rules: []rbacv1.PolicyRule{on("*", "*", "*"), urls("*", "*")}},
		{name: "system:discovery", rules: []rbacv1.PolicyRule{urls("get", "/api /api/* /apis /apis/* /healthz /livez /openapi /openapi/* /readyz /version /version/")}},
		{name: "system:monitoring", rules: []rbacv1.PolicyRule{
			urls("get", "/flagz /healthz /healthz/* /livez /livez/* /metrics /metrics/slis /readyz /readyz/* /statusz"),
			on("get", core, "nodes/metrics"),
		}},
		{name: "system:basic-user", rules: []rbacv1.PolicyRule{
			on("create", authorize, "selfsubjectaccessreviews selfsubjectrulesreviews"),
			on("create", authenticate, "selfsubjectreviews"),
		}},
		{name: "system:public-info-viewer", rules: []rbacv1.PolicyRule{urls("get", healthPaths)}},
		{name: "admin", aggregate: toAdmin},
		{name: "edit", labels: map[string]string{toAdmin: "true"}, aggregate: toEdit},
		{name: "view", labels: map[string]string{toEdit: "true"}, aggregate: toView},
		{name: "system:aggregate-to-admin", labels: map[string]string{toAdmin: "true"}, rules: []rbacv1.PolicyRule{
			on("create", authorize, "localsubjectaccessreviews"),
			on(everything, rbacv1.GroupName, "rolebindings roles"),
		}},
		{name: "system:aggregate-to-edit", labels: map[string]string{toEdit: "true"}, rules: []rbacv1.PolicyRule{
			on(read, core, "pods/attach pods/exec pods/portforward pods/proxy secrets services/proxy"), on("impersonate", core, "serviceaccounts"),
			on(write, core, "pods pods/attach pods/exec pods/portforward pods/proxy"), on("create", core, "pods/eviction"),
			on(write, core, "configmaps persistentvolumeclaims replicationcontrollers replicationcontrollers/scale secrets serviceaccounts services services/proxy"),
			on("create", core, "serviceaccounts/token"), on(write, bothEvents, "events"),
			on(write, apps, "daemonsets deployments deployments/rollback deployments/scale replicasets replicasets/scale statefulsets statefulsets/scale"),
			on(write, autoscaling, "horizontalpodautoscalers"), on(write, batch, "cronjobs jobs"),
			on(write, extensions, "daemonsets deployments deployments/rollback deployments/scale ingresses networkpolicies replicasets replicasets/scale replicationcontrollers/scale"),
			on(write, policy, "poddisruptionbudgets"), on(write, networking, "ingresses networkpolicies"),
			on(everything, coordination, "leases"),
			on(write, resourceGroup, "resourceclaims resourceclaimtemplates"),
		}},
		{name: "system:aggregate-to-view", labels: map[string]string{toView: "true"}, rules: []rbacv1.PolicyRule{
			on(read, core, "configmaps endpoints persistentvolumeclaims persistentvolumeclaims/status pods replicationcontrollers replicationcontrollers/scale serviceaccounts services services/status"),
			on(read, core, "bindings limitranges namespaces/status pods/log pods/status replicationcontrollers/status resourcequotas resourcequotas/status"),
			on(read, core, "namespaces"), on(read, bothEvents, "events"), on(read, discovery, "endpointslices"),
			on(read, apps, "controllerrevisions daemonsets daemonsets/status deployments deployments/scale deployments/status replicasets replicasets/scale replicasets/status statefulsets statefulsets/scale statefulsets/status"),
			on(read, autoscaling, "horizontalpodautoscalers horizontalpodautoscalers/status"),
			on(read, batch, "cronjobs cronjobs/status jobs jobs/status"),
			on(read, extensions, "daemonsets daemonsets/status deployments deployments/scale deployments/status ingresses ingresses/status networkpolicies replicasets replicasets/scale replicasets/status replicationcontrollers/scale"),
			on(read, policy, "poddisruptionbudgets poddisruptionbudgets/status"), on(read, networking, "ingresses ingresses/status networkpolicies"),
			on(read, resourceGroup, "resourceclaims resourceclaims/status resourceclaimtemplates"),
		}},
	}
}

func componentRoles() []role {
	return []role{
		{name: "system:heapster", rules: []rbacv1.PolicyRule{on(read, core, "events namespaces nodes pods"), on(read, extensions, "deployments")}},
		{name: "system:node", rules: NodeRules()},
		{name: "system:node-problem-detector", rules: []rbacv1.PolicyRule{on("get", core, "nodes"), on("patch", core, "nodes/status"), recording()}},
		{name: "system:kubelet-api-admin", rules: []rbacv1.PolicyRule{
			on(read, core, "nodes"), on("proxy", core, "nodes"), on("*", core, "nodes/log nodes/metrics nodes/proxy nodes/stats"),
			on("*", core, "nodes/configz nodes/healthz nodes/pods"),
		}},
		{name: "system:node-bootstrapper", rules: []rbacv1.PolicyRule{on("create get list watch", certificates, "certificatesigningrequests")}},
		{name: "system:auth-delegator", rules: []rbacv1.PolicyRule{
			on("create", authenticate, "tokenreviews"), on("create", authorize, "subjectaccessreviews")}},
		{name: "system:kube-aggregator", rules: []rbacv1.PolicyRule{
			on(read, core, "endpoints services"),
		}},
		{name: "system:kube-controller-manager", rules: []rbacv1.PolicyRule{
			recording(),
			on("create", coordination, "leases"), on("get update", coordination, "leases", "kube-controller-manager"),
			on("create", core, "secrets serviceaccounts"), on("delete", core, "secrets"),
			on("get", core, "configmaps namespaces secrets serviceaccounts"), on("update", core, "secrets serviceaccounts"),
			on("create", authenticate, "tokenreviews"), on("create", authorize, "subjectaccessreviews"),
			on("list watch", "*", "*"), on("create", core, "serviceaccounts/token"),
		}},
		{name: "system:kube-dns", rules: []rbacv1.PolicyRule{
			on("list watch", core, "endpoints services"),
		}},
		{name: "system:persistent-volume-provisioner", rules: []rbacv1.PolicyRule{
			on("create delete get list watch", core, "persistentvolumes"), on("get list update watch", core, "persistentvolumeclaims"),
			on(read, storage, "storageclasses"), on("watch", core, "events"), recording(),
		}},
		{name: "system:certificates.k8s.io:certificatesigningrequests:nodeclient", rules: []rbacv1.PolicyRule{on("create", certificates, "certificatesigningrequests/nodeclient")}},
		{name: "system:certificates.k8s.io:certificatesigningrequests:selfnodeclient", rules: []rbacv1.PolicyRule{on("create", certificates, "certificatesigningrequests/selfnodeclient")}},
		{name: "system:volume-scheduler", rules: []rbacv1.PolicyRule{
			on(readUpdate, core, "persistentvolumes"), on(read, storage, "storageclasses"), on(readUpdate, core, "persistentvolumeclaims"),
		}},
		{name: "system:certificates.k8s.io:legacy-unknown-approver", rules: []rbacv1.PolicyRule{on("approve", certificates, "signers", "kubernetes.io/legacy-unknown")}},
		{name: "system:certificates.k8s.io:kubelet-serving-approver", rules: []rbacv1.PolicyRule{on("approve", certificates, "signers", "kubernetes.io/kubelet-serving")}},
		{name: "system:certificates.k8s.io:kube-apiserver-client-approver", rules: []rbacv1.PolicyRule{on("approve", certificates, "signers", "kubernetes.io/kube-apiserver-client")}},
		{name: "system:certificates.k8s.io:kube-apiserver-client-kubelet-approver", rules: []rbacv1.PolicyRule{on("approve", certificates, "signers", "kubernetes.io/kube-apiserver-client-kubelet")}},
		{name: "system:service-account-issuer-discovery", rules: []rbacv1.PolicyRule{urls("get", "/.well-known/openid-configuration /.well-known/openid-configuration/ /openid/v1/jwks /openid/v1/jwks/")}},
		{name: "system:cluster-trust-bundle-discovery", rules: []rbacv1.PolicyRule{on(read, certificates, "clustertrustbundles")}},
		{name: "system:node-proxier", rules: []rbacv1.PolicyRule{
			on("list watch", core, "endpoints services"), on(read, core, "nodes"), recording(), on("list watch", networking, "servicecidrs"),
			on("list watch", discovery, "endpointslices"),
		}},
		{name: "system:kube-scheduler", rules: []rbacv1.PolicyRule{
			recording(), on("create", coordination, "leases"), on(workloadVerbs, coordination, "leases", "kube-scheduler"),
			on(everything, coordination, "leasecandidates"), on(read, core, "nodes"),
			on("delete get list watch", core, "pods"), on("create", core, "bindings pods/binding"), on("patch update", core, "pods/status"),
			on(read, core, "replicationcontrollers services"), on(read, appsExt, "replicasets"), on(read, apps, "statefulsets"),
			on(read, policy, "poddisruptionbudgets"), on(read, core, "persistentvolumeclaims persistentvolumes"),
			on("create", authenticate, "tokenreviews"), on("create", authorize, "subjectaccessreviews"), on(read, storage, "csinodes"),
			on(read, storage, "volumeattachments"), on(read, core, "namespaces"), on(read, storage, "csidrivers"),
			on(read, storage, "csistoragecapacities"), on(read, resourceGroup, "deviceclasses"), on(readUpdate, resourceGroup, "resourceclaims"),
			on(readUpdate, resourceGroup, "resourceclaims/status"), on("update", core, "pods/finalizers"), on(read, resourceGroup, "resourceslices"),
			on("create delete", resourceGroup, "resourceclaims"), on(read, resourceGroup, "devicetaintrules"),
			on("patch update", resourceGroup, "resourceclaims/binding"),
		}},
		// The agent routes services and enforces network policies on its node, which
		// upstream leaves to pods with identities of their own: so do nodes, as this user.
		{name: nodeNetworkRole, rules: []rbacv1.PolicyRule{
			on(read, core, "endpoints namespaces nodes pods services"), on(read, discovery, "endpointslices"),
			on(read, networking, "ingressclasses ingresses networkpolicies servicecidrs"),
		}},
		{name: nodeImpersonatorRole, rules: []rbacv1.PolicyRule{on("impersonate", core, "users", NetworkUser)}},
	}
}

// NetworkUser is whom nodes impersonate, and may, for the network of their pods.
const NetworkUser = "system:pintle:network"

const (
	nodeNetworkRole      = "system:pintle:node-network"
	nodeImpersonatorRole = "system:pintle:node-network-impersonator"
)

func clusterRoleBindings() []*rbacv1.ClusterRoleBinding {
	const joiners = "system:bootstrappers:pintle:join"
	const nodes = "system:nodes"
	same := func(name string, to []rbacv1.Subject) *rbacv1.ClusterRoleBinding {
		return clusterBinding(name, name, to)
	}
	return []*rbacv1.ClusterRoleBinding{
		same("cluster-admin", group("system:masters")),
		same("system:monitoring", group("system:monitoring")),
		same("system:discovery", group("system:authenticated")),
		same("system:basic-user", group("system:authenticated")),
		same("system:public-info-viewer", group("system:authenticated", "system:unauthenticated")),
		same("system:node-proxier", user("system:kube-proxy")),
		same("system:kube-controller-manager", user("system:kube-controller-manager")),
		same("system:kube-dns", account("kube-dns")),
		same("system:kube-scheduler", user("system:kube-scheduler")),
		same("system:volume-scheduler", user("system:kube-scheduler")),
		same("system:node", nil),
		same("system:service-account-issuer-discovery", group("system:serviceaccounts")),
		same("system:cluster-trust-bundle-discovery", group("system:serviceaccounts")),
		same(nodeNetworkRole, user(NetworkUser)),
		same(nodeImpersonatorRole, group(nodes)),
		clusterBinding("pintle:node-bootstrapper", "system:node-bootstrapper", group(joiners)),
		clusterBinding("pintle:node-autoapprove-bootstrap", "system:certificates.k8s.io:certificatesigningrequests:nodeclient", group(joiners)),
		clusterBinding("pintle:node-autoapprove-rotation", "system:certificates.k8s.io:certificatesigningrequests:selfnodeclient", group(nodes)),
	}
}
