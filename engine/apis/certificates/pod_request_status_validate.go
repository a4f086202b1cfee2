package certificates

import (
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/mail"
	"strings"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/pintle-io/pintle/engine/apis"
)

const (
	maxChain       = 100 * 1024
	leastLifetime  = time.Hour
	refreshMargin  = 10 * time.Minute
	allowedSkew    = 5 * time.Minute
	notCertificate = "issued certificate chain must consist entirely of CERTIFICATE PEM blocks"
)

var (
	statusPath     = field.NewPath("status")
	chainPath      = statusPath.Child("certificateChain")
	notBeforePath  = statusPath.Child("notBefore")
	notAfterPath   = statusPath.Child("notAfter")
	refreshPath    = statusPath.Child("beginRefreshAt")
	outcomes       = []string{certificatesv1.PodCertificateRequestConditionTypeIssued, certificatesv1.PodCertificateRequestConditionTypeDenied, certificatesv1.PodCertificateRequestConditionTypeFailed}
	conditionsPath = statusPath.Child("conditions")
)

// validatePodRequestStatus lets the status change once: to issued, with a certificate
// for the key that was asked for, or to denied or failed, with nothing.
func validatePodRequestStatus(r, old *certificatesv1.PodCertificateRequest, now time.Time) field.ErrorList {
	errs := apis.ValidateMetaUpdate(&r.ObjectMeta, &old.ObjectMeta, metadata)
	if len(errs) > 0 {
		return errs
	}
	if errs = validateOutcome(r.Status.Conditions); len(errs) > 0 {
		return errs
	}
	same := func(want certificatesv1.PodCertificateRequestStatus, text string) field.ErrorList {
		if equality.Semantic.DeepEqual(r.Status, want) {
			return nil
		}
		return field.ErrorList{field.Invalid(statusPath, field.OmitValueType{}, text)}
	}
	switch {
	case podRequestState(old) != pending:
		return same(old.Status, "immutable after PodCertificateRequest is issued, denied, or failed")
	case podRequestState(r) == pending:
		return same(old.Status, `status is immutable unless transitioning to "Issued", "Denied", or "Failed"`)
	case podRequestState(r) == certificatesv1.PodCertificateRequestConditionTypeIssued:
		return validateIssued(r, old, now)
	}
	return same(certificatesv1.PodCertificateRequestStatus{Conditions: r.Status.Conditions}, "non-condition status fields must be empty when denying or failing the PodCertificateRequest")
}

// validateOutcome takes at most one of the conditions that end a request, and no other.
func validateOutcome(conditions []metav1.Condition) field.ErrorList {
	var errs field.ErrorList
	known := 0
	for i, c := range conditions {
		at := field.NewPath("status", "conditions", fmt.Sprintf("[%d]", i)) // with a dot before the index, as upstream
		switch c.Type {
		case outcomes[0], outcomes[1], outcomes[2]:
			if known++; known > 1 {
				errs = append(errs, field.Invalid(at.Child("type"), c.Type, `There may be at most one condition with type "Issued", "Denied", or "Failed"`))
			}
			if c.Status != metav1.ConditionTrue {
				errs = append(errs, field.NotSupported(at.Child("status"), c.Status, []metav1.ConditionStatus{metav1.ConditionTrue}))
			}
		default:
			errs = append(errs, field.NotSupported(at.Child("type"), c.Type, outcomes))
		}
	}
	return append(errs, metavalidation.ValidateConditions(conditions, conditionsPath)...)
}

func validateIssued(r, old *certificatesv1.PodCertificateRequest, now time.Time) field.ErrorList {
	s := &r.Status
	chain := func(text string) field.ErrorList {
		return field.ErrorList{field.Invalid(chainPath, s.CertificateChain, text)}
	}
	if len(s.CertificateChain) > maxChain {
		return field.ErrorList{field.TooLong(chainPath, "", maxChain)}
	}
	block, rest := pem.Decode([]byte(s.CertificateChain))
	switch {
	case block == nil:
		return chain("issued certificate chain must contain at least one certificate")
	case block.Type != "CERTIFICATE":
		return chain(notCertificate)
	}
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return chain("leaf certificate does not parse as valid X.509")
	}
	errs := validateLeafNames(leaf)
	key, bad := requestedKey(old)
	if bad != nil {
		return append(errs, bad)
	}
	if k, ok := key.(interface{ Equal(crypto.PublicKey) bool }); ok && !k.Equal(leaf.PublicKey) {
		return append(errs, chain("leaf certificate was not issued to the requested public key")...)
	}
	if errs = append(errs, requireTimes(s)...); len(errs) > 0 {
		return errs
	}
	if errs = validateTimes(r, leaf, now); len(errs) > 0 {
		return errs
	}
	for block, rest = pem.Decode(rest); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			return chain(notCertificate)
		}
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			return chain("intermediate certificate does not parse as valid X.509")
		}
	}
	return nil
}

func validateLeafNames(leaf *x509.Certificate) field.ErrorList {
	var errs field.ErrorList
	for _, name := range leaf.DNSNames {
		if name == "" {
			errs = append(errs, field.Invalid(chainPath, name, "leaf certificate should not contain empty DNSName"))
		}
		if strings.Contains(name, "..") {
			errs = append(errs, field.Invalid(chainPath, name, "leaf certificate's DNSName should not contain '..'"))
		}
		if strings.HasPrefix(name, ".") || strings.HasSuffix(name, ".") {
			errs = append(errs, field.Invalid(chainPath, name, "leaf certificate's DNSName should not start or end with '.'"))
		}
	}
	for _, address := range leaf.EmailAddresses {
		if _, err := mail.ParseAddress(address); err != nil {
			errs = append(errs, field.Invalid(chainPath, address, "leaf certificate should not contain invalid EmailAddress"))
		}
	}
	return errs
}

// requestedKey is the key of the stub request, or else the one given by itself.
func requestedKey(r *certificatesv1.PodCertificateRequest) (crypto.PublicKey, *field.Error) {
	stub, err := x509.ParseCertificateRequest(r.Spec.StubPKCS10Request)
	if err != nil {
		return nil, field.Invalid(specPath.Child("stubPKCS10Request"), field.OmitValueType{}, "must be a valid PKCS#10 CSR")
	}
	return stub.PublicKey, nil
}

func requireTimes(s *certificatesv1.PodCertificateRequestStatus) field.ErrorList {
	const consistent = "must be present and consistent with the issued certificate"
	var errs field.ErrorList
	if s.NotBefore == nil {
		errs = append(errs, field.Required(notBeforePath, consistent))
	}
	if s.NotAfter == nil {
		errs = append(errs, field.Required(notAfterPath, consistent))
	}
	if s.BeginRefreshAt == nil {
		errs = append(errs, field.Required(refreshPath, "must be present and in the range [notbefore+10min, notafter-10min]"))
	}
	return errs
}

// validateTimes holds the times of the status against the certificate and the clock.
func validateTimes(r *certificatesv1.PodCertificateRequest, leaf *x509.Certificate, now time.Time) field.ErrorList {
	one := func(at *field.Path, value any, text string) field.ErrorList {
		return field.ErrorList{field.Invalid(at, value, text)}
	}
	from, to, refresh := r.Status.NotBefore.Time, r.Status.NotAfter.Time, r.Status.BeginRefreshAt.Time
	lifetime := leaf.NotAfter.Sub(leaf.NotBefore)
	switch {
	case !from.Equal(leaf.NotBefore):
		return one(notBeforePath, from, "must be set to the NotBefore time encoded in the leaf certificate")
	case from.Sub(now).Abs() > allowedSkew:
		return one(notBeforePath, from, "must be set to within 5 minutes of kube-apiserver's current time")
	case !to.Equal(leaf.NotAfter):
		return one(notAfterPath, to, "must be set to the NotAfter time encoded in the leaf certificate")
	case lifetime < leastLifetime:
		return one(chainPath, lifetime, "leaf certificate lifetime must be >= 1 hour")
	case r.Spec.MaxExpirationSeconds != nil && lifetime > time.Duration(*r.Spec.MaxExpirationSeconds)*time.Second:
		return one(chainPath, lifetime, fmt.Sprintf("leaf certificate lifetime must be <= spec.maxExpirationSeconds (%v)", *r.Spec.MaxExpirationSeconds))
	case refresh.Before(from.Add(refreshMargin)):
		return one(refreshPath, refresh, "must be at least 10 minutes after status.notBefore")
	case refresh.After(to.Add(-refreshMargin)):
		return one(refreshPath, refresh, "must be at least 10 minutes before status.notAfter")
	}
	return nil
}
