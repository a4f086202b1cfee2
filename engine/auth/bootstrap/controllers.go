package bootstrap

import (
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
)

const controllerPrefix = "system:controller:"

// controllerRoles are the roles of the built-in controllers, by the name of the
// service account in kube-system that each is bound to.
func controllerRoles() []role {
	var out []role
	for _, r := range controllerTable {
		rules := r.rules
		if !r.silent {
			rules = append(rules[:len(rules):len(rules)], recording())
		}
		out = append(out, role{name: controllerPrefix + r.name, rules: rules})
	}
	return out
}

func controllerBindings() []*rbacv1.ClusterRoleBinding {
	var out []*rbacv1.ClusterRoleBinding
	for _, r := range controllerTable {
		out = append(out, clusterBinding(controllerPrefix+r.name, controllerPrefix+r.name, account(r.name)))
	}
	return out
}

const (
	workloadVerbs = "get list update watch"
	podVerbs      = "create delete list patch watch"
)

// controllerTable: silent controllers write no events.
var controllerTable = []struct {
	name   string
	silent bool
	rules  []rbacv1.PolicyRule
}{
	{name: "attachdetach-controller", silent: true, rules: []rbacv1.PolicyRule{
		on("list watch", core, "persistentvolumeclaims persistentvolumes"), on(read, core, "nodes"), on("patch update", core, "nodes/status"),
		on("list watch", core, "pods"), recording(), on("create delete get list watch", storage, "volumeattachments"), on(read, storage, "csidrivers"),
		on(read, storage, "csinodes")}},
	{name: "certificate-controller", rules: []rbacv1.PolicyRule{
		on("delete get list watch", certificates, "certificatesigningrequests"),
		on("update", certificates, "certificatesigningrequests/approval certificatesigningrequests/status"),
		// Beyond upstream: serving certificates of registered nodes are approved too.
		on("approve", certificates, "signers", strings.Fields("kubernetes.io/kube-apiserver-client-kubelet kubernetes.io/kubelet-serving")...),
		on("sign", certificates, "signers", strings.Fields("kubernetes.io/kube-apiserver-client kubernetes.io/kube-apiserver-client-kubelet kubernetes.io/kubelet-serving kubernetes.io/legacy-unknown")...),
		on("create", authorize, "subjectaccessreviews")}},
	{name: "clusterrole-aggregation-controller", silent: true, rules: []rbacv1.PolicyRule{
		on("escalate get list patch update watch", rbacv1.GroupName, "clusterroles")}},
	{name: "cronjob-controller", rules: []rbacv1.PolicyRule{
		on(workloadVerbs, batch, "cronjobs"), on("create delete get list patch update watch", batch, "jobs"), on("update", batch, "cronjobs/status"),
		on("update", batch, "cronjobs/finalizers"), on("delete list watch", core, "pods")}},
	{name: "daemon-set-controller", rules: []rbacv1.PolicyRule{
		on(read, appsExt, "daemonsets"), on("update", appsExt, "daemonsets/status"), on("update", appsExt, "daemonsets/finalizers"),
		on("list watch", core, "nodes"), on(podVerbs, core, "pods"), on("create", core, "pods/binding"),
		on("create delete get list patch update watch", apps, "controllerrevisions")}},
	{name: "deployment-controller", rules: []rbacv1.PolicyRule{
		on(workloadVerbs, appsExt, "deployments"), on("update", appsExt, "deployments/status"), on("update", appsExt, "deployments/finalizers"),
		on("create delete get list patch update watch", appsExt, "replicasets"), on(workloadVerbs, core, "pods")}},
	{name: "device-taint-eviction-controller", silent: true, rules: []rbacv1.PolicyRule{
		on("delete get list watch", core, "pods"), on("patch update", core, "pods/status"), on(read, resourceGroup, "resourceclaims"),
		on(read, resourceGroup, "resourceslices"), on(read, resourceGroup, "deviceclasses"), recording(),
		on("patch update", resourceGroup, "devicetaintrules/status"), on(read, resourceGroup, "devicetaintrules")}},
	{name: "disruption-controller", rules: []rbacv1.PolicyRule{
		on(read, appsExt, "deployments"), on(read, appsExt, "replicasets"), on(read, core, "replicationcontrollers"),
		on(read, policy, "poddisruptionbudgets"), on(read, apps, "statefulsets"), on("update", policy, "poddisruptionbudgets/status"),
		on("patch update", core, "pods/status"), on("get", "*", "*/scale")}},
	{name: "endpoint-controller", rules: []rbacv1.PolicyRule{
		on(read, core, "pods services"), on("create delete get list update watch", core, "endpoints"), on("create", core, "endpoints/restricted")}},
	{name: "endpointslice-controller", rules: []rbacv1.PolicyRule{
		on(read, core, "nodes pods services"), on("update", core, "services/finalizers"),
		on("create delete get list update watch", discovery, "endpointslices")}},
	{name: "endpointslicemirroring-controller", rules: []rbacv1.PolicyRule{
		on(read, core, "endpoints services"), on("update", core, "services/finalizers"), on("update", core, "endpoints/finalizers"),
		on("create delete get list update watch", discovery, "endpointslices")}},
	{name: "ephemeral-volume-controller", rules: []rbacv1.PolicyRule{
		on(read, core, "pods"), on("update", core, "pods/finalizers"), on("create get list watch", core, "persistentvolumeclaims")}},
	{name: "expand-controller", rules: []rbacv1.PolicyRule{
		on(readUpdate, core, "persistentvolumes"), on("patch update", core, "persistentvolumeclaims/status"), on(read, core, "persistentvolumeclaims")}},
	{name: "generic-garbage-collector", rules: []rbacv1.PolicyRule{
		on("delete get list patch update watch", "*", "*")}},
	{name: "horizontal-pod-autoscaler", rules: []rbacv1.PolicyRule{
		on(read, autoscaling, "horizontalpodautoscalers"), on("update", autoscaling, "horizontalpodautoscalers/status"), on("get update", "*", "*/scale"),
		on("list watch", core, "pods"), on("list watch", metrics, "pods"), on(read, "custom.metrics.k8s.io", "*"), on(read, "external.metrics.k8s.io", "*"),
		// Beyond upstream: the scale is patched, under its resourceVersion.
		on("patch", "*", "*/scale")}},
	{name: "job-controller", rules: []rbacv1.PolicyRule{
		on(readUpdate, batch, "jobs"), on("update", batch, "jobs/status"), on("update", batch, "jobs/finalizers"), on(podVerbs, core, "pods")}},
	{name: "kube-apiserver-serving-clustertrustbundle-publisher", rules: []rbacv1.PolicyRule{
		on("attest", certificates, "signers", "kubernetes.io/kube-apiserver-serving"),
		on("create delete list update watch", certificates, "clustertrustbundles")}},
	{name: "legacy-service-account-token-cleaner", silent: true, rules: []rbacv1.PolicyRule{
		on("get", core, "configmaps", "kube-apiserver-legacy-service-account-token-tracking"), on("delete patch", core, "secrets")}},
	{name: "namespace-controller", silent: true, rules: []rbacv1.PolicyRule{
		on("delete get list watch", core, "namespaces"), on("update", core, "namespaces/finalize namespaces/status"),
		on("delete deletecollection get list watch", "*", "*")}},
	{name: "node-controller", rules: []rbacv1.PolicyRule{
		on("delete get list patch update watch", core, "nodes"), on("patch update", core, "nodes/status"), on("patch update", core, "pods/status"),
		on("delete get list watch", core, "pods"), on(read, coordination, "leases")}},
	{name: "persistent-volume-binder", silent: true, rules: []rbacv1.PolicyRule{
		on("create delete get list update watch", core, "persistentvolumes"), on("update", core, "persistentvolumes/status"),
		on(workloadVerbs, core, "persistentvolumeclaims"), on("update", core, "persistentvolumeclaims/status"),
		on("create delete get list watch", core, "pods"), on(read, storage, "storageclasses"), on("list watch", core, "nodes"), recording(),
		on("watch", core, "events"),
		// Beyond upstream: agents make and remove the directories of local volumes.
		on("create delete get update", core, "nodes/proxy")}},
	{name: "pod-garbage-collector", silent: true, rules: []rbacv1.PolicyRule{
		on("delete list watch", core, "pods"), on(read, core, "nodes"), on("patch", core, "pods/status")}},
	{name: "podcertificaterequestcleaner", silent: true, rules: []rbacv1.PolicyRule{
		on("delete get list watch", certificates, "podcertificaterequests")}},
	{name: "pv-protection-controller", rules: []rbacv1.PolicyRule{
		on(workloadVerbs, core, "persistentvolumes")}},
	{name: "pvc-protection-controller", rules: []rbacv1.PolicyRule{
		on(workloadVerbs, core, "persistentvolumeclaims"), on("update", core, "persistentvolumeclaims/status"), on(read, core, "pods")}},
	{name: "replicaset-controller", rules: []rbacv1.PolicyRule{
		on(workloadVerbs, appsExt, "replicasets"), on("update", appsExt, "replicasets/status"), on("update", appsExt, "replicasets/finalizers"),
		on(podVerbs, core, "pods")}},
	{name: "replication-controller", rules: []rbacv1.PolicyRule{
		on(workloadVerbs, core, "replicationcontrollers"), on("update", core, "replicationcontrollers/status"),
		on("update", core, "replicationcontrollers/finalizers"), on(podVerbs, core, "pods")}},
	{name: "resource-claim-controller", silent: true, rules: []rbacv1.PolicyRule{
		on(read, core, "pods"), on("update", core, "pods/finalizers"), on("create delete get list watch", resourceGroup, "resourceclaims"),
		on("patch update", resourceGroup, "resourceclaims resourceclaims/status"), on("patch update", core, "pods/status"), recording(),
		on("patch update", resourceGroup, "resourceclaims/binding")}},
	{name: "resourcequota-controller", rules: []rbacv1.PolicyRule{
		on("list watch", "*", "*"), on("update", core, "resourcequotas/status")}},
	{name: "root-ca-cert-publisher", rules: []rbacv1.PolicyRule{
		on("create update", core, "configmaps")}},
	{name: "route-controller", rules: []rbacv1.PolicyRule{
		on("list watch", core, "nodes"), on("patch", core, "nodes/status")}},
	{name: "selinux-warning-controller", silent: true, rules: []rbacv1.PolicyRule{
		recording(), on(read, core, "persistentvolumes"), on(read, core, "persistentvolumeclaims"), on(read, core, "pods"), on(read, storage, "csidrivers")}},
	{name: "service-account-controller", rules: []rbacv1.PolicyRule{
		on("create", core, "serviceaccounts")}},
	{name: "service-cidrs-controller", rules: []rbacv1.PolicyRule{
		on(readUpdate, networking, "servicecidrs"), on("patch update", networking, "servicecidrs/finalizers"),
		on("patch update", networking, "servicecidrs/status"), on(read, networking, "ipaddresses")}},
	{name: "service-controller", rules: []rbacv1.PolicyRule{
		on(read, core, "services"), on("patch update", core, "services/status"), on("list watch", core, "nodes")}},
	{name: "statefulset-controller", rules: []rbacv1.PolicyRule{
		on("list watch", core, "pods"), on(read, apps, "statefulsets"), on("update", apps, "statefulsets/status"),
		on("update", apps, "statefulsets/finalizers"), on("create delete get patch update", core, "pods"),
		on("create delete get list patch update watch", apps, "controllerrevisions"), on("create get list watch", core, "persistentvolumeclaims"),
		on("delete update", core, "persistentvolumeclaims"), on("update", core, "pods/finalizers")}},
	{name: "strategy-binding-controller", rules: []rbacv1.PolicyRule{on(read, pintleGroup, "strategies strategybindings"), on("patch", pintleGroup, "strategybindings/status")}},
	{name: "strategy-controller", rules: []rbacv1.PolicyRule{
		on(read, pintleGroup, "strategies strategybindings"), on("patch", pintleGroup, "strategies/status"), on(read, core, "configmaps")}},
	{name: "storage-version-migrator-controller", silent: true, rules: []rbacv1.PolicyRule{
		on("list patch", "*", "*"), on("get", "apiextensions.k8s.io", "customresourcedefinitions"),
		on("patch", "apiextensions.k8s.io", "customresourcedefinitions/status"), on("update", "storagemigration.k8s.io", "storageversionmigrations/status")}},
	// Upstream runs this one as the node controller.
	{name: "taint-eviction-controller", rules: []rbacv1.PolicyRule{
		on(read, core, "nodes"), on("delete get list watch", core, "pods"), on("patch update", core, "pods/status")}},
	{name: "ttl-after-finished-controller", rules: []rbacv1.PolicyRule{
		on("delete get list watch", batch, "jobs")}},
	{name: "ttl-controller", rules: []rbacv1.PolicyRule{
		on("list patch update watch", core, "nodes")}},
	{name: "validatingadmissionpolicy-status-controller", rules: []rbacv1.PolicyRule{
		on(read, admissionReg, "validatingadmissionpolicies"), on("get patch update", admissionReg, "validatingadmissionpolicies/status")}},
	{name: "volumeattributesclass-protection-controller", rules: []rbacv1.PolicyRule{
		on(read, core, "persistentvolumeclaims"), on(read, core, "persistentvolumes"), on(workloadVerbs, storage, "volumeattributesclasses")}},
}
