// Package serviceaccount gives every namespace its default ServiceAccount.
package serviceaccount

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pintle-io/pintle/engine/reconcile"
)

// Name is that of the account every namespace has.
const Name = "default"

// Observed is the snapshot of one namespace.
type Observed struct {
	Namespace *corev1.Namespace
	Exists    bool
}

// Plan creates the account if it is missing and the namespace is not going away.
func Plan(o Observed) reconcile.Result {
	var result reconcile.Result
	if o.Exists || o.Namespace.Status.Phase == corev1.NamespaceTerminating || o.Namespace.DeletionTimestamp != nil {
		return result
	}
	result.Add(reconcile.Create{Object: &corev1.ServiceAccount{
		ObjectMeta: metav1.ObjectMeta{Namespace: o.Namespace.Name, Name: Name},
	}})
	return result
}
