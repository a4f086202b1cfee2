package bootstrap

import (
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

const authReader = "extension-apiserver-authentication-reader"

// namespaced returns the default Roles and RoleBindings.
func namespaced() []runtime.Object {
	leases := []rbacv1.PolicyRule{
		on("create get list update watch", coordination, "leases"), on("create get list update watch", coordination, "leasecandidates"),
	}
	const system, public = metav1.NamespaceSystem, metav1.NamespacePublic
	leaderOf := func(component string) string { return "system::leader-locking-" + component }
	objects := []runtime.Object{
		localRole(system, authReader, on(read, core, "configmaps", "extension-apiserver-authentication")),
		localRole(system, controllerPrefix+"bootstrap-signer", on(read, core, "secrets")),
		localRole(system, controllerPrefix+"cloud-provider", on("create get list watch", core, "configmaps")),
		localRole(system, controllerPrefix+"token-cleaner", on("delete get list watch", core, "secrets"), recording()),
		localRole(system, leaderOf("kube-controller-manager"), leases...),
		localRole(system, leaderOf("kube-scheduler"), leases...),
		localRole(public, controllerPrefix+"bootstrap-signer", on(read, core, "configmaps"), on("update", core, "configmaps", "cluster-info"), recording()),

		localBinding(system, "system::"+authReader, authReader, user("system:kube-controller-manager", "system:kube-scheduler")),
		localBinding(system, controllerPrefix+"bootstrap-signer", controllerPrefix+"bootstrap-signer", account("bootstrap-signer")),
		localBinding(system, controllerPrefix+"cloud-provider", controllerPrefix+"cloud-provider", account("cloud-provider")),
		localBinding(system, controllerPrefix+"token-cleaner", controllerPrefix+"token-cleaner", account("token-cleaner")),
		localBinding(public, controllerPrefix+"bootstrap-signer", controllerPrefix+"bootstrap-signer", account("bootstrap-signer")),
	}
	for _, component := range []string{"kube-controller-manager", "kube-scheduler"} {
		to := append(user("system:"+component), account(component)...)
		if component == "kube-controller-manager" {
			to = append(to, account("leader-election-controller")...)
		}
		objects = append(objects, localBinding(system, leaderOf(component), leaderOf(component), to))
	}
	return objects
}

func localRole(namespace, name string, rules ...rbacv1.PolicyRule) *rbacv1.Role {
	return &rbacv1.Role{ObjectMeta: defaults(metav1.ObjectMeta{Namespace: namespace, Name: name}, nil), Rules: rules}
}

func localBinding(namespace, name, role string, to []rbacv1.Subject) *rbacv1.RoleBinding {
	return &rbacv1.RoleBinding{
		ObjectMeta: defaults(metav1.ObjectMeta{Namespace: namespace, Name: name}, nil),
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: role},
		Subjects:   to,
	}
}
