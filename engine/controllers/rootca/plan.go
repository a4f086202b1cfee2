// Package rootca publishes the cluster's root certificate as the ConfigMap
// kube-root-ca.crt of every namespace, where pods verify the API server with it.
package rootca

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pintle-io/pintle/engine/reconcile"
)

// Name is that of the ConfigMap, key its only key.
const (
	Name        = "kube-root-ca.crt"
	key         = "ca.crt"
	description = "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal service IP or kubernetes.default.svc. " +
		"No other usage is guaranteed across distributions of Kubernetes clusters."
)

// Observed is the snapshot of one namespace.
type Observed struct {
	Namespace *corev1.Namespace
	ConfigMap *corev1.ConfigMap // nil if there is none
	Bundle    string            // PEM
}

// Plan creates or corrects the ConfigMap.
func Plan(o Observed) reconcile.Result {
	var result reconcile.Result
	data := map[string]string{key: o.Bundle}
	switch {
	case o.Namespace.Status.Phase == corev1.NamespaceTerminating || o.Namespace.DeletionTimestamp != nil:
	case o.ConfigMap == nil:
		result.Add(reconcile.Create{Object: &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Namespace: o.Namespace.Name, Name: Name, Annotations: map[string]string{"kubernetes.io/description": description}},
			Data:       data,
		}})
	case len(o.ConfigMap.Data) != 1 || o.ConfigMap.Data[key] != o.Bundle || o.ConfigMap.Annotations["kubernetes.io/description"] == "":
		updated := o.ConfigMap.DeepCopy()
		updated.Data = data
		metav1.SetMetaDataAnnotation(&updated.ObjectMeta, "kubernetes.io/description", description)
		result.Add(reconcile.Update{Object: updated})
	}
	return result
}
