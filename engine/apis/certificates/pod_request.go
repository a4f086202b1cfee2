package certificates

import (
	"context"
	"fmt"
	"strings"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/pintle-io/pintle/engine/apis"
	"github.com/pintle-io/pintle/engine/apis/core"
)

func podCertificateRequests() apis.Resource {
	parts := apis.Parts[*certificatesv1.PodCertificateRequest, certificatesv1.PodCertificateRequestSpec, certificatesv1.PodCertificateRequestStatus]{
		Spec: func(r *certificatesv1.PodCertificateRequest) *certificatesv1.PodCertificateRequestSpec {
			return &r.Spec
		},
		Status: func(r *certificatesv1.PodCertificateRequest) *certificatesv1.PodCertificateRequestStatus {
			return &r.Status
		},
		NoGeneration: true,
	}
	rules := apis.TypedRules[*certificatesv1.PodCertificateRequest]{
		Default: func(r *certificatesv1.PodCertificateRequest) {
			if r.Spec.MaxExpirationSeconds == nil {
				day := int32(86400)
				r.Spec.MaxExpirationSeconds = &day
			}
		},
		PrepareForCreate:       parts.Create,
		PrepareForUpdate:       parts.Update,
		PrepareForStatusUpdate: parts.UpdateStatus,
		Validate: func(_ context.Context, r *certificatesv1.PodCertificateRequest) field.ErrorList {
			return validatePodRequest(r)
		},
		ValidateUpdate: func(_ context.Context, r, old *certificatesv1.PodCertificateRequest) field.ErrorList {
			errs := apis.ValidateMetaUpdate(&r.ObjectMeta, &old.ObjectMeta, metadata)
			if !equality.Semantic.DeepEqual(r.Spec, old.Spec) {
				errs = append(errs, field.Invalid(specPath, r.Spec, "field is immutable"))
			}
			return errs
		},
		ValidateStatusUpdate: func(_ context.Context, r, old *certificatesv1.PodCertificateRequest) field.ErrorList {
			return validatePodRequestStatus(r, old, time.Now())
		},
	}.Rules()
	return apis.Resource{
		GVK: certificatesv1.SchemeGroupVersion.WithKind("PodCertificateRequest"), Plural: "podcertificaterequests", Singular: "podcertificaterequest", Namespaced: true,
		New:     func() runtime.Object { return &certificatesv1.PodCertificateRequest{} },
		NewList: func() runtime.Object { return &certificatesv1.PodCertificateRequestList{} },
		Rules:   rules,
		Columns: []apis.Column{
			apis.NameColumn(),
			apis.Text("PodName", "The pod it is for.", func(r *certificatesv1.PodCertificateRequest) string { return r.Spec.PodName }),
			apis.Text("ServiceAccountName", "The identity of the pod.", func(r *certificatesv1.PodCertificateRequest) string { return r.Spec.ServiceAccountName }),
			apis.Text("NodeName", "The node that asked.", func(r *certificatesv1.PodCertificateRequest) string { return string(r.Spec.NodeName) }),
			apis.Text("SignerName", "Who is asked to sign.", func(r *certificatesv1.PodCertificateRequest) string { return r.Spec.SignerName }),
			apis.Text("State", "What became of the request.", podRequestState),
			apis.Text("UnverifiedUserAnnotations", "What the pod's author asked the signer for.", func(r *certificatesv1.PodCertificateRequest) string {
				return labels.FormatLabels(r.Spec.UnverifiedUserAnnotations)
			}),
		},
		HasStatus: true,
		Fields: func(obj runtime.Object) fields.Set {
			r := obj.(*certificatesv1.PodCertificateRequest)
			return fields.Set{"spec.signerName": r.Spec.SignerName, "spec.podName": r.Spec.PodName, "spec.nodeName": string(r.Spec.NodeName)}
		},
	}
}

// pending is the state of a request without an outcome.
const pending = "Pending"

func podRequestState(r *certificatesv1.PodCertificateRequest) string {
	for _, c := range r.Status.Conditions {
		switch c.Type {
		case certificatesv1.PodCertificateRequestConditionTypeIssued, certificatesv1.PodCertificateRequestConditionTypeDenied, certificatesv1.PodCertificateRequestConditionTypeFailed:
			return c.Type
		}
	}
	return pending
}

func validatePodRequest(r *certificatesv1.PodCertificateRequest) field.ErrorList {
	errs := apis.ValidateMeta(&r.ObjectMeta, true, validation.NameIsDNSSubdomain, metadata)
	errs = append(errs, core.ValidateSignerName(r.Spec.SignerName, specPath.Child("signerName"))...)
	for _, f := range []struct{ name, value string }{
		{"podName", r.Spec.PodName}, {"serviceAccountName", r.Spec.ServiceAccountName}, {"nodeName", string(r.Spec.NodeName)},
	} {
		for _, msg := range validation.NameIsDNSSubdomain(f.value, false) {
			errs = append(errs, field.Invalid(specPath.Child(f.name), f.value, msg))
		}
	}
	for _, f := range []struct{ name, value string }{
		{"podUID", string(r.Spec.PodUID)}, {"serviceAccountUID", string(r.Spec.ServiceAccountUID)}, {"nodeUID", string(r.Spec.NodeUID)},
	} {
		if f.value == "" {
			errs = append(errs, field.Required(specPath.Child(f.name), "must not be empty"))
		}
	}
	const least = 3600
	most := int32(91 * 24 * 3600)
	if domain, _, _ := strings.Cut(r.Spec.SignerName, "/"); domain == "kubernetes.io" || strings.HasSuffix(domain, ".kubernetes.io") {
		most = 24 * 3600
	}
	if m := r.Spec.MaxExpirationSeconds; m == nil {
		errs = append(errs, field.Required(specPath.Child("maxExpirationSeconds"), "must be set"))
	} else if *m < least || *m > most {
		errs = append(errs, field.Invalid(specPath.Child("maxExpirationSeconds"), *m, fmt.Sprintf("must be in the range [%d, %d]", least, most)))
	}
	if len(r.Spec.StubPKCS10Request) == 0 {
		errs = append(errs, field.Required(specPath.Child("stubPKCS10Request"), ""))
	}
	return errs
}
