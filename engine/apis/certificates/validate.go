package certificates

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"slices"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/pintle-io/pintle/engine/apis"
	"github.com/pintle-io/pintle/engine/apis/core"
)

var knownUsages = sortedUsages(
	certificatesv1.UsageSigning, certificatesv1.UsageDigitalSignature, certificatesv1.UsageContentCommitment,
	certificatesv1.UsageKeyEncipherment, certificatesv1.UsageKeyAgreement, certificatesv1.UsageDataEncipherment,
	certificatesv1.UsageCertSign, certificatesv1.UsageCRLSign, certificatesv1.UsageEncipherOnly, certificatesv1.UsageDecipherOnly,
	certificatesv1.UsageAny, certificatesv1.UsageServerAuth, certificatesv1.UsageClientAuth, certificatesv1.UsageCodeSigning,
	certificatesv1.UsageEmailProtection, certificatesv1.UsageSMIME, certificatesv1.UsageIPsecEndSystem, certificatesv1.UsageIPsecTunnel,
	certificatesv1.UsageIPsecUser, certificatesv1.UsageTimestamping, certificatesv1.UsageOCSPSigning, certificatesv1.UsageMicrosoftSGC,
	certificatesv1.UsageNetscapeSGC,
)

func sortedUsages(list ...certificatesv1.KeyUsage) []certificatesv1.KeyUsage {
	slices.Sort(list)
	return list
}

// anyName leaves names to what every name must keep: to be a segment of a path.
func anyName(string, bool) []string { return nil }

const (
	legacySigner  = "kubernetes.io/legacy-unknown"
	minExpiration = 600
)

func validateCreate(_ context.Context, r *csr) field.ErrorList {
	errs := apis.ValidateMeta(&r.ObjectMeta, false, anyName, field.NewPath("metadata"))
	spec := field.NewPath("spec")
	if err := parseRequest(r.Spec.Request); err != nil {
		errs = append(errs, field.Invalid(spec.Child("request"), r.Spec.Request, err.Error()))
	}
	errs = append(errs, validateUsages(r.Spec.Usages, spec.Child("usages"))...)
	if r.Spec.SignerName == legacySigner {
		errs = append(errs, field.Invalid(spec.Child("signerName"), r.Spec.SignerName, "the legacy signerName is not allowed via this API version"))
	} else {
		errs = append(errs, core.ValidateSignerName(r.Spec.SignerName, spec.Child("signerName"))...)
	}
	if s := r.Spec.ExpirationSeconds; s != nil && *s < minExpiration {
		errs = append(errs, field.Invalid(spec.Child("expirationSeconds"), *s, "may not specify a duration less than 600 seconds (10 minutes)"))
	}
	return errs
}

func parseRequest(raw []byte) error {
	block, _ := pem.Decode(raw)
	if block == nil || block.Type != "CERTIFICATE REQUEST" {
		return fmt.Errorf("PEM block type must be CERTIFICATE REQUEST")
	}
	_, err := x509.ParseCertificateRequest(block.Bytes)
	return err
}

func validateUsages(usages []certificatesv1.KeyUsage, at *field.Path) field.ErrorList {
	if len(usages) == 0 {
		return field.ErrorList{field.Required(at, "")}
	}
	var errs field.ErrorList
	for i, usage := range usages {
		if !slices.Contains(knownUsages, usage) {
			errs = append(errs, field.NotSupported(at.Index(i), usage, knownUsages))
		}
	}
	for i, usage := range usages {
		if slices.Contains(usages[:i], usage) {
			errs = append(errs, field.Duplicate(at.Index(i), usage))
		}
	}
	return errs
}

func validateUpdate(_ context.Context, r, old *csr) field.ErrorList {
	return apis.ValidateMetaUpdate(&r.ObjectMeta, &old.ObjectMeta, field.NewPath("metadata"))
}

// validateStatusUpdate serves the status and the approval endpoint: conditions are
// well formed, an approval is never taken back, a certificate is PEM and, once
// issued, stays.
func validateStatusUpdate(_ context.Context, r, old *csr) field.ErrorList {
	errs := apis.ValidateMetaUpdate(&r.ObjectMeta, &old.ObjectMeta, field.NewPath("metadata"))
	at := field.NewPath("status", "conditions")
	seen := map[certificatesv1.RequestConditionType]bool{}
	for i, c := range r.Status.Conditions {
		if c.Type == "" {
			errs = append(errs, field.Required(at.Index(i).Child("type"), ""))
		}
		allowed := []corev1.ConditionStatus{corev1.ConditionFalse, corev1.ConditionTrue, corev1.ConditionUnknown}
		if isApproval(c.Type) || c.Type == certificatesv1.CertificateFailed {
			allowed = []corev1.ConditionStatus{corev1.ConditionTrue}
		}
		switch {
		case c.Status == "":
			errs = append(errs, field.Required(at.Index(i).Child("status"), ""))
		case !slices.Contains(allowed, c.Status):
			errs = append(errs, field.NotSupported(at.Index(i).Child("status"), c.Status, allowed))
		}
		if seen[c.Type] {
			errs = append(errs, field.Duplicate(at.Index(i).Child("type"), c.Type))
		}
		seen[c.Type] = true
	}
	for _, c := range old.Status.Conditions {
		if (isApproval(c.Type) || c.Type == certificatesv1.CertificateFailed) && !seen[c.Type] {
			errs = append(errs, field.Forbidden(at, fmt.Sprintf("updates may not remove a condition of type %q", c.Type)))
		}
	}
	return append(errs, validateCertificate(r, old)...)
}

func validateCertificate(r, old *csr) field.ErrorList {
	at := field.NewPath("status", "certificate")
	if string(r.Status.Certificate) == string(old.Status.Certificate) {
		return nil
	}
	if len(old.Status.Certificate) > 0 {
		return field.ErrorList{field.Forbidden(at, "updates may not replace existing certificate content")}
	}
	rest, found := r.Status.Certificate, false
	for {
		block, next := pem.Decode(rest)
		if block == nil {
			break
		}
		rest, found = next, true
		if block.Type != "CERTIFICATE" {
			return field.ErrorList{field.Invalid(at, "<certificate data>", fmt.Sprintf("only CERTIFICATE PEM blocks are allowed, found %q", block.Type))}
		}
		if _, err := x509.ParseCertificates(block.Bytes); err != nil {
			return field.ErrorList{field.Invalid(at, "<certificate data>", err.Error())}
		}
	}
	if !found {
		return field.ErrorList{field.Invalid(at, "<certificate data>", "must contain at least one CERTIFICATE PEM block")}
	}
	return nil
}
