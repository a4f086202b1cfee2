package registry

import (
	"context"

	certificatesv1 "k8s.io/api/certificates/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/pintle-io/pintle/engine/apis/certificates"
)

// approvalStrategy lets the approval subresource change the Approved and Denied
// conditions of a certificate signing request, and its metadata.
type approvalStrategy struct{ strategy }

func (approvalStrategy) AllowCreateOnUpdate(context.Context) bool { return false }

func (approvalStrategy) PrepareForUpdate(_ context.Context, obj, old runtime.Object) {
	req, before := obj.(*certificatesv1.CertificateSigningRequest), old.(*certificatesv1.CertificateSigningRequest)
	conditions := req.Status.Conditions
	req.Spec, req.Status = before.Spec, before.Status
	req.Status.Conditions = conditions
	certificates.StampConditions(req.Status.Conditions, before.Status.Conditions)
}

func (s approvalStrategy) ValidateUpdate(ctx context.Context, obj, old runtime.Object) field.ErrorList {
	if f := s.row.Rules.ValidateStatusUpdate; f != nil {
		return f(ctx, obj, old)
	}
	return nil
}

func (approvalStrategy) WarningsOnUpdate(context.Context, runtime.Object, runtime.Object) []string {
	return nil
}

func (s approvalStrategy) GetResetFields() map[fieldpath.APIVersion]*fieldpath.Set {
	return perVersion(s.row, fieldpath.NewSet(fieldpath.MakePathOrDie("spec"), fieldpath.MakePathOrDie("status", "certificate")))
}
