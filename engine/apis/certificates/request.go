package certificates

import (
	"context"
	"slices"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/duration"
	"k8s.io/apiserver/pkg/endpoints/request"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/pintle-io/pintle/engine/apis"
)

type csr = certificatesv1.CertificateSigningRequest

func signingRequests() apis.Resource {
	rules := apis.TypedRules[*csr]{
		PrepareForCreate:       prepareForCreate,
		PrepareForUpdate:       prepareForUpdate,
		PrepareForStatusUpdate: prepareForStatusUpdate,
		Validate:               validateCreate,
		ValidateUpdate:         validateUpdate,
		ValidateStatusUpdate:   validateStatusUpdate,
	}.Rules()
	rules.ResetFields = fieldpath.NewSet(fieldpath.MakePathOrDie("status"))
	rules.ResetStatusFields = fieldpath.NewSet(fieldpath.MakePathOrDie("spec"))
	return apis.Resource{
		GVK:    certificatesv1.SchemeGroupVersion.WithKind("CertificateSigningRequest"),
		Plural: "certificatesigningrequests", Singular: "certificatesigningrequest", ShortNames: []string{"csr"},
		New:       func() runtime.Object { return &csr{} },
		NewList:   func() runtime.Object { return &certificatesv1.CertificateSigningRequestList{} },
		Rules:     rules,
		HasStatus: true,
		Fields: func(obj runtime.Object) fields.Set {
			return fields.Set{"spec.signerName": obj.(*csr).Spec.SignerName}
		},
		Columns: []apis.Column{
			apis.NameColumn(),
			apis.AgeColumn(),
			apis.Text("SignerName", "The signer asked for a certificate.", func(r *csr) string { return apis.OrNone(r.Spec.SignerName) }),
			apis.Text("Requestor", "The user who asks.", func(r *csr) string { return r.Spec.Username }),
			apis.Text("RequestedDuration", "How long the certificate shall be good.", requestedDuration),
			apis.Text("Condition", "What became of the request.", condition),
		},
	}
}

// prepareForCreate notes who asks.
func prepareForCreate(ctx context.Context, r *csr) {
	r.Status = certificatesv1.CertificateSigningRequestStatus{}
	r.Spec.Username, r.Spec.UID, r.Spec.Groups, r.Spec.Extra = "", "", nil, nil
	u, ok := request.UserFrom(ctx)
	if !ok {
		return
	}
	r.Spec.Username, r.Spec.UID = u.GetName(), u.GetUID()
	r.Spec.Groups = slices.Clone(u.GetGroups())
	for k, v := range u.GetExtra() {
		if r.Spec.Extra == nil {
			r.Spec.Extra = map[string]certificatesv1.ExtraValue{}
		}
		r.Spec.Extra[k] = slices.Clone(v)
	}
}

// prepareForUpdate keeps all but the metadata.
func prepareForUpdate(_ context.Context, r, old *csr) {
	r.Spec, r.Status = old.Spec, old.Status
}

// prepareForStatusUpdate keeps the approval, which has a subresource of its own.
func prepareForStatusUpdate(_ context.Context, r, old *csr) {
	status := r.Status
	r.Spec = old.Spec
	r.Status = status
	r.Status.Conditions = nil
	for _, c := range old.Status.Conditions {
		if isApproval(c.Type) {
			r.Status.Conditions = append(r.Status.Conditions, c)
		}
	}
	for _, c := range status.Conditions {
		if !isApproval(c.Type) {
			r.Status.Conditions = append(r.Status.Conditions, c)
		}
	}
	StampConditions(r.Status.Conditions, old.Status.Conditions)
}

func isApproval(t certificatesv1.RequestConditionType) bool {
	return t == certificatesv1.CertificateApproved || t == certificatesv1.CertificateDenied
}

// StampConditions dates the conditions whose status is new compared with before.
func StampConditions(conditions, before []certificatesv1.CertificateSigningRequestCondition) {
	now := metav1.Now()
	for i := range conditions {
		c := &conditions[i]
		if c.LastUpdateTime.IsZero() {
			c.LastUpdateTime = now
		}
		if !c.LastTransitionTime.IsZero() {
			continue
		}
		c.LastTransitionTime = now
		for j := range before {
			if before[j].Type == c.Type && before[j].Status == c.Status && !before[j].LastTransitionTime.IsZero() {
				c.LastTransitionTime = before[j].LastTransitionTime
			}
		}
	}
}

func requestedDuration(r *csr) string {
	if r.Spec.ExpirationSeconds == nil {
		return "<none>"
	}
	return duration.HumanDuration(time.Duration(*r.Spec.ExpirationSeconds) * time.Second)
}

// condition is the state in the words of kubectl: Pending, or Approved, Denied,
// Failed and Issued as far as they hold.
func condition(r *csr) string {
	out := ""
	for _, t := range []certificatesv1.RequestConditionType{certificatesv1.CertificateApproved, certificatesv1.CertificateDenied, certificatesv1.CertificateFailed} {
		for _, c := range r.Status.Conditions {
			if c.Type == t && (c.Status == corev1.ConditionTrue || c.Status == "") {
				if out != "" {
					out += ","
				}
				out += string(t)
				break
			}
		}
	}
	if out == "" {
		out = "Pending"
	}
	if len(r.Status.Certificate) > 0 {
		out += ",Issued"
	}
	return out
}
