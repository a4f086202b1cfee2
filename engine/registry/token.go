package registry

import (
	"context"

	authenticationv1 "k8s.io/api/authentication/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"
)

// tokenREST serves serviceaccounts/token: the create of a TokenRequest.
type tokenREST struct {
	accounts *REST
	hooks    func() *Hooks
}

var (
	_ rest.NamedCreater             = (*tokenREST)(nil)
	_ rest.GroupVersionKindProvider = (*tokenREST)(nil)
)

// New implements rest.Storage.
func (*tokenREST) New() runtime.Object { return &authenticationv1.TokenRequest{} }

// Destroy implements rest.Storage.
func (*tokenREST) Destroy() {}

// GroupVersionKind names the kind served, which is not of the core group.
func (*tokenREST) GroupVersionKind(schema.GroupVersion) schema.GroupVersionKind {
	return authenticationv1.SchemeGroupVersion.WithKind("TokenRequest")
}

// Create asks the token issuer.
func (s *tokenREST) Create(ctx context.Context, name string, obj runtime.Object, validate rest.ValidateObjectFunc, options *metav1.CreateOptions) (runtime.Object, error) {
	req := obj.(*authenticationv1.TokenRequest)
	if req.Name != "" && req.Name != name {
		return nil, apierrors.NewBadRequest("the name in the token request does not match the name of the service account")
	}
	if _, err := s.accounts.Get(ctx, name, &metav1.GetOptions{}); err != nil {
		return nil, err
	}
	if validate != nil {
		if err := validate(ctx, obj.DeepCopyObject()); err != nil {
			return nil, err
		}
	}
	issuer := s.hooks().TokenIssuer
	if issuer == nil {
		return nil, apierrors.NewServiceUnavailable("service account tokens cannot be issued yet: no token issuer is configured")
	}
	if len(options.DryRun) > 0 {
		return req, nil
	}
	return issuer.Issue(ctx, request.NamespaceValue(ctx), name, req)
}
