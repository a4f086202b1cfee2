// Package accounttoken fills Secrets of type kubernetes.io/service-account-token
// with a token that does not expire, and deletes them with their account.
package accounttoken

import (
	"bytes"
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"github.com/pintle-io/pintle/engine/client"
	"github.com/pintle-io/pintle/engine/reconcile"
)

var secrets = corev1.SchemeGroupVersion.WithResource("secrets")

// Issuer makes tokens that are good as long as their secret and account are.
type Issuer interface {
	IssueLegacy(account *corev1.ServiceAccount, secret string) (string, error)
}

// Observed is one secret and the account its annotation names.
type Observed struct {
	Secret *corev1.Secret
	// Account is nil if there is none of that name (and UID, if one is given).
	Account *corev1.ServiceAccount
	RootCA  []byte
	// Token is one for the secret, if it has none.
	Token string
}

// Plan fills in what is missing; a secret without its account goes.
func Plan(o Observed) reconcile.Result {
	var result reconcile.Result
	if o.Account == nil {
		result.Add(reconcile.Delete{Resource: secrets, Namespace: o.Secret.Namespace, Name: o.Secret.Name, UID: o.Secret.UID})
		return result
	}
	updated := o.Secret.DeepCopy()
	if updated.Data == nil {
		updated.Data = map[string][]byte{}
	}
	if len(o.RootCA) > 0 && !bytes.Equal(updated.Data[corev1.ServiceAccountRootCAKey], o.RootCA) {
		updated.Data[corev1.ServiceAccountRootCAKey] = o.RootCA
	}
	if len(updated.Data[corev1.ServiceAccountNamespaceKey]) == 0 {
		updated.Data[corev1.ServiceAccountNamespaceKey] = []byte(updated.Namespace)
	}
	if NeedsToken(updated) {
		updated.Data[corev1.ServiceAccountTokenKey] = []byte(o.Token)
	}
	changed := len(updated.Data) != len(o.Secret.Data)
	for key, value := range updated.Data {
		changed = changed || !bytes.Equal(value, o.Secret.Data[key])
	}
	if changed {
		metav1.SetMetaDataAnnotation(&updated.ObjectMeta, corev1.ServiceAccountUIDKey, string(o.Account.UID))
		result.Add(reconcile.Update{Object: updated})
	}
	return result
}

// NeedsToken reports that a secret has no token yet.
func NeedsToken(secret *corev1.Secret) bool {
	return len(secret.Data[corev1.ServiceAccountTokenKey]) == 0
}

func isToken(secret *corev1.Secret) bool {
	return secret.Type == corev1.SecretTypeServiceAccountToken && secret.Annotations[corev1.ServiceAccountNameKey] != ""
}

// New builds the controller; its keys are secrets. rootCA is PEM.
func New(env reconcile.Env, issuer Issuer, rootCA []byte) (*reconcile.Controller, error) {
	core := env.Informers().Core().V1()
	writer := env.WriterFor("tokens-controller")
	return env.Controller(reconcile.Config{
		Name: "tokens-controller", Writer: writer,
		Watches: []reconcile.Watch{
			reconcile.On(core.Secrets().Informer(), func(secret *corev1.Secret) []reconcile.Key {
				if !isToken(secret) {
					return nil
				}
				return []reconcile.Key{reconcile.KeyOf(secret)}
			}),
			reconcile.On(core.ServiceAccounts().Informer(), func(account *corev1.ServiceAccount) []reconcile.Key {
				all, err := core.Secrets().Lister().Secrets(account.Namespace).List(labels.Everything())
				if err != nil {
					return nil
				}
				var keys []reconcile.Key
				for _, secret := range all {
					if isToken(secret) && secret.Annotations[corev1.ServiceAccountNameKey] == account.Name {
						keys = append(keys, reconcile.KeyOf(secret))
					}
				}
				return keys
			}),
		},
		Reconcile: func(ctx context.Context, key reconcile.Key, _ time.Time) (reconcile.Result, error) {
			secret, err := core.Secrets().Lister().Secrets(key.Namespace).Get(key.Name)
			if apierrors.IsNotFound(err) || err == nil && (!isToken(secret) || secret.DeletionTimestamp != nil) {
				return reconcile.Result{}, nil
			}
			if err != nil {
				return reconcile.Result{}, err
			}
			observed := Observed{Secret: secret, RootCA: rootCA}
			// From the store: nothing is deleted because a cache is behind.
			account, err := client.Get[*corev1.ServiceAccount](ctx, writer, secret.Namespace, secret.Annotations[corev1.ServiceAccountNameKey])
			if err != nil && !apierrors.IsNotFound(err) {
				return reconcile.Result{}, err
			}
			if uid := secret.Annotations[corev1.ServiceAccountUIDKey]; err == nil && (uid == "" || types.UID(uid) == account.UID) {
				observed.Account = account
			}
			if observed.Account != nil && NeedsToken(secret) {
				if observed.Token, err = issuer.IssueLegacy(observed.Account, secret.Name); err != nil {
					return reconcile.Result{}, fmt.Errorf("issue a token: %w", err)
				}
			}
			return Plan(observed), nil
		},
	})
}
