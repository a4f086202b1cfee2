package registry

import (
	"context"

	authenticationv1 "k8s.io/api/authentication/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
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

	_ rest.SubresourceObjectMetaPreserver = (*tokenREST)(nil)
)

// New implements rest.Storage.
func (*tokenREST) New() runtime.Object { return &authenticationv1.TokenRequest{} }

// Destroy implements rest.Storage.
func (*tokenREST) Destroy() {}

// GroupVersionKind names the kind served, which is not of the core group.
func (*tokenREST) GroupVersionKind(schema.GroupVersion) schema.GroupVersionKind {
	return tokenRequestKind
}

var tokenRequestKind = authenticationv1.SchemeGroupVersion.WithKind("TokenRequest")

// PreserveRequestObjectMetaSystemFieldsOnSubresourceCreate keeps the UID of the
// request: it says which service account of the name is meant.
func (*tokenREST) PreserveRequestObjectMetaSystemFieldsOnSubresourceCreate() bool { return true }

// Create asks the token issuer.
func (s *tokenREST) Create(ctx context.Context, name string, obj runtime.Object, validate rest.ValidateObjectFunc, _ *metav1.CreateOptions) (runtime.Object, error) {
	req := obj.(*authenticationv1.TokenRequest)
	metadata := field.NewPath("metadata")
	if req.Name != "" && req.Name != name {
		return nil, apierrors.NewInvalid(tokenRequestKind.GroupKind(), name, field.ErrorList{
			field.Invalid(metadata.Child("name"), req.Name, "must match the service account name if specified")})
	}
	if namespace := request.NamespaceValue(ctx); req.Namespace != "" && req.Namespace != namespace {
		return nil, apierrors.NewInvalid(tokenRequestKind.GroupKind(), name, field.ErrorList{
			field.Invalid(metadata.Child("namespace"), req.Namespace, "must match the service account namespace if specified")})
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
	return issuer.Issue(ctx, request.NamespaceValue(ctx), name, req)
}
