// Package rbac holds the rules of roles and role bindings: defaults, validation
// and table columns. Who may write which role is decided elsewhere, by the
// registry's escalation check.
//
// Every function is safe for concurrent use on distinct objects.
package rbac

import (
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/pintle-io/pintle/engine/apis"
)

// Resources lists the rows of the rbac.authorization.k8s.io group.
func Resources() []apis.Resource {
	return []apis.Resource{clusterRoleBindings(), clusterRoles(), roleBindings(), roles()}
}

func kind(name string) schema.GroupVersionKind {
	return rbacv1.SchemeGroupVersion.WithKind(name)
}
