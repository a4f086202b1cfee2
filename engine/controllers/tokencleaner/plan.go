// Package tokencleaner deletes bootstrap tokens that have expired.
package tokencleaner

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pintle-io/pintle/engine/reconcile"
)

var secrets = corev1.SchemeGroupVersion.WithResource("secrets")

// secretType is that of bootstrap tokens.
const secretType = corev1.SecretType("bootstrap.kubernetes.io/token")

// Observed is one bootstrap token.
type Observed struct {
	Secret *corev1.Secret
	Now    time.Time
}

// Plan deletes the token when its time has come. What is no time has come.
func Plan(o Observed) reconcile.Result {
	var result reconcile.Result
	text := string(o.Secret.Data["expiration"])
	if o.Secret.Type != secretType || text == "" || o.Secret.DeletionTimestamp != nil {
		return result
	}
	if end, err := time.Parse(time.RFC3339, text); err == nil && o.Now.Before(end) {
		result.RequeueIn(end.Sub(o.Now))
		return result
	}
	result.Add(reconcile.DeleteOf(secrets, o.Secret))
	return result
}

// New builds the controller; its keys are the tokens of kube-system.
func New(env reconcile.Env) (*reconcile.Controller, error) {
	informer := env.Informers().Core().V1().Secrets()
	return env.Controller(reconcile.Config{
		Name: "token-cleaner",
		Watches: []reconcile.Watch{reconcile.On(informer.Informer(), func(secret *corev1.Secret) []reconcile.Key {
			if secret.Type != secretType || secret.Namespace != metav1.NamespaceSystem {
				return nil
			}
			return []reconcile.Key{reconcile.KeyOf(secret)}
		})},
		Reconcile: func(_ context.Context, key reconcile.Key, now time.Time) (reconcile.Result, error) {
			secret, err := informer.Lister().Secrets(key.Namespace).Get(key.Name)
			if apierrors.IsNotFound(err) {
				return reconcile.Result{}, nil
			}
			if err != nil {
				return reconcile.Result{}, err
			}
			return Plan(Observed{Secret: secret, Now: now}), nil
		},
	})
}
