// Package rootca publishes the cluster's root certificate as the ConfigMap
// kube-root-ca.crt of every namespace, where pods verify the API server with it.
package rootca

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
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

// New builds the controller; its keys are namespaces. bundle is PEM.
func New(env reconcile.Env, bundle []byte) (*reconcile.Controller, error) {
	namespaces := env.Informers().Core().V1().Namespaces()
	configMaps := env.Informers().Core().V1().ConfigMaps()
	namespaceLister, configMapLister := namespaces.Lister(), configMaps.Lister()
	return env.Controller(reconcile.Config{
		Name: "root-ca-cert-publisher",
		Watches: []reconcile.Watch{
			reconcile.Self[*corev1.Namespace](namespaces.Informer()),
			reconcile.On(configMaps.Informer(), func(cm *corev1.ConfigMap) []reconcile.Key {
				if cm.Name != Name {
					return nil
				}
				return []reconcile.Key{{Name: cm.Namespace}}
			}),
		},
		Reconcile: func(_ context.Context, key reconcile.Key, _ time.Time) (reconcile.Result, error) {
			observed := Observed{Bundle: string(bundle)}
			var err error
			if observed.Namespace, err = namespaceLister.Get(key.Name); err != nil {
				return reconcile.Result{}, ignoreNotFound(err)
			}
			if observed.ConfigMap, err = configMapLister.ConfigMaps(key.Name).Get(Name); err != nil {
				if !apierrors.IsNotFound(err) {
					return reconcile.Result{}, err
				}
				observed.ConfigMap = nil
			}
			return Plan(observed), nil
		},
	})
}

func ignoreNotFound(err error) error {
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}
