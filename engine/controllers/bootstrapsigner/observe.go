package bootstrapsigner

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/pintle-io/pintle/engine/reconcile"
)

// New builds the controller; its one key is the ConfigMap.
func New(env reconcile.Env) (*reconcile.Controller, error) {
	core := env.Informers().Core().V1()
	key := []reconcile.Key{{Namespace: Namespace, Name: Name}}
	return env.Controller(reconcile.Config{
		Name: "bootstrap-signer",
		Watches: []reconcile.Watch{
			reconcile.On(core.ConfigMaps().Informer(), func(cm *corev1.ConfigMap) []reconcile.Key {
				if cm.Namespace != Namespace || cm.Name != Name {
					return nil
				}
				return key
			}),
			reconcile.On(core.Secrets().Informer(), func(secret *corev1.Secret) []reconcile.Key {
				if secret.Type != secretType || secret.Namespace != metav1.NamespaceSystem {
					return nil
				}
				return key
			}),
		},
		Reconcile: func(_ context.Context, _ reconcile.Key, now time.Time) (reconcile.Result, error) {
			cm, err := core.ConfigMaps().Lister().ConfigMaps(Namespace).Get(Name)
			if apierrors.IsNotFound(err) {
				return reconcile.Result{}, nil
			}
			if err != nil {
				return reconcile.Result{}, err
			}
			all, err := core.Secrets().Lister().Secrets(metav1.NamespaceSystem).List(labels.Everything())
			if err != nil {
				return reconcile.Result{}, err
			}
			return Plan(Observed{ConfigMap: cm, Tokens: all, Now: now}), nil
		},
	})
}
