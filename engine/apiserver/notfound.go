package apiserver

import (
	"net/http"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/endpoints/handlers/responsewriters"
	"k8s.io/apiserver/pkg/endpoints/request"
)

// notFound answers what nobody serves: 404, or 503 while definitions of custom
// resources, which might serve it, are still being read.
func notFound(codecs runtime.NegotiatedSerializer, complete <-chan struct{}) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		select {
		case <-complete:
			http.NotFound(w, req)
			return
		default:
		}
		err := apierrors.NewServiceUnavailable("the request was made before all known HTTP paths were installed, please try again")
		err.ErrStatus.Details = &metav1.StatusDetails{RetryAfterSeconds: 1}
		gv := schema.GroupVersion{Group: "unknown", Version: "unknown"}
		if info, ok := request.RequestInfoFrom(req.Context()); ok {
			gv = schema.GroupVersion{Group: info.APIGroup, Version: info.APIVersion}
		}
		w.Header().Set("Retry-After", "1")
		responsewriters.ErrorNegotiated(err, codecs, gv, w, req)
	})
}
