// Package podcertificatecleaner deletes PodCertificateRequests after a while: what
// they gave is with the pod by then, or never will be.
package podcertificatecleaner

import (
	"context"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/pintle-io/pintle/engine/reconcile"
)

var requests = certificatesv1.SchemeGroupVersion.WithResource("podcertificaterequests")

// Life is how long a request is kept.
const Life = 15 * time.Minute

// Plan deletes a request that is old enough.
func Plan(request *certificatesv1.PodCertificateRequest, now time.Time) reconcile.Result {
	var result reconcile.Result
	if left := request.CreationTimestamp.Add(Life).Sub(now); left > 0 {
		result.RequeueIn(left)
	} else {
		result.Add(reconcile.DeleteOf(requests, request))
	}
	return result
}

// New builds the controller; its keys are requests.
func New(env reconcile.Env) (*reconcile.Controller, error) {
	informer := env.Informers().Certificates().V1().PodCertificateRequests()
	watch := reconcile.Self[*certificatesv1.PodCertificateRequest](informer.Informer())
	watch.Skip = func(any, any) bool { return true }
	return env.Controller(reconcile.Config{
		Name: "podcertificaterequestcleaner", Watches: []reconcile.Watch{watch},
		Reconcile: func(_ context.Context, key reconcile.Key, now time.Time) (reconcile.Result, error) {
			request, err := informer.Lister().PodCertificateRequests(key.Namespace).Get(key.Name)
			if apierrors.IsNotFound(err) {
				return reconcile.Result{}, nil
			}
			if err != nil {
				return reconcile.Result{}, err
			}
			return Plan(request, now), nil
		},
	})
}
