// Package trustbundle publishes the root certificate of the API server's serving
// certificate as a ClusterTrustBundle, for pods to mount.
package trustbundle

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/pintle-io/pintle/engine/reconcile"
)

// Signer is who signs serving certificates of API servers.
const Signer = "kubernetes.io/kube-apiserver-serving"

var bundles = certificatesv1.SchemeGroupVersion.WithResource("clustertrustbundles")

// Observed is the snapshot of all bundles.
type Observed struct {
	Bundles []*certificatesv1.ClusterTrustBundle
	Root    string // PEM
}

// Name is that of the bundle of a certificate.
func Name(root string) string {
	sum := sha256.Sum256([]byte(root))
	return strings.ReplaceAll(Signer, "/", ":") + ":" + hex.EncodeToString(sum[:])[:20]
}

// Plan makes or repairs the signer's bundle, then deletes those of former roots.
func Plan(o Observed) reconcile.Result {
	var result reconcile.Result
	var stale []reconcile.Action
	found := false
	for _, bundle := range o.Bundles {
		switch {
		case bundle.Spec.SignerName != Signer:
		case bundle.Name != Name(o.Root):
			stale = append(stale, reconcile.DeleteOf(bundles, bundle))
		default:
			found = true
			if bundle.Spec.TrustBundle != o.Root {
				updated := bundle.DeepCopy()
				updated.Spec.TrustBundle = o.Root
				result.Add(reconcile.Update{Object: updated})
			}
		}
	}
	if !found {
		result.Add(reconcile.Create{Object: &certificatesv1.ClusterTrustBundle{
			ObjectMeta: metav1.ObjectMeta{Name: Name(o.Root)},
			Spec:       certificatesv1.ClusterTrustBundleSpec{SignerName: Signer, TrustBundle: o.Root},
		}})
	}
	result.Add(stale...)
	return result
}

// New builds the controller; its one key is the signer. root is PEM.
func New(env reconcile.Env, root []byte) (*reconcile.Controller, error) {
	informer := env.Informers().Certificates().V1().ClusterTrustBundles()
	key := reconcile.Key{Name: Signer}
	return env.Controller(reconcile.Config{
		Name: "kube-apiserver-serving-clustertrustbundle-publisher",
		Watches: []reconcile.Watch{reconcile.On(informer.Informer(), func(bundle *certificatesv1.ClusterTrustBundle) []reconcile.Key {
			if bundle.Spec.SignerName != Signer {
				return nil
			}
			return []reconcile.Key{key}
		})},
		Start: func(_ context.Context, c *reconcile.Controller) error { c.Enqueue(key); return nil },
		Reconcile: func(context.Context, reconcile.Key, time.Time) (reconcile.Result, error) {
			all, err := informer.Lister().List(labels.Everything())
			if err != nil {
				return reconcile.Result{}, err
			}
			return Plan(Observed{Bundles: all, Root: string(root)}), nil
		},
	})
}
