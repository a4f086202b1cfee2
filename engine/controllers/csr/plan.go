// Package csr approves and signs the certificate requests by which nodes get and
// renew their identities, signs others that a person approved for the API client
// signer, and deletes requests that are done with.
//
// A node's client certificate is approved if an access review lets the requester
// have it (a bootstrap token for a new node, a node for itself); a node's serving
// certificate if the node asks for its own name and for addresses it has.
package csr

import (
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pintle-io/pintle/engine/reconcile"
)

// DefaultLife is that of certificates whose request names no other.
const DefaultLife = 30 * 24 * time.Hour

// Requests are deleted this long after they were answered, or never were.
const (
	keepAnswered = time.Hour
	keepPending  = 24 * time.Hour
)

const (
	nodePrefix = "system:node:"
	nodeGroup  = "system:nodes"
)

var resource = certificatesv1.SchemeGroupVersion.WithResource("certificatesigningrequests")

// Observed is the snapshot of one request.
type Observed struct {
	CSR *certificatesv1.CertificateSigningRequest
	// Request is the parsed PKCS#10 request; nil if it cannot be parsed.
	Request *x509.CertificateRequest
	// MayHaveNodeClient is the answer of the access review for a node client
	// certificate.
	MayHaveNodeClient bool
	// Addresses are those of the node that asks for a serving certificate; nil if
	// it has not registered yet.
	Addresses []corev1.NodeAddress
	Now       time.Time
}

// Verdict is what to do about a request: actions, and perhaps a signature, which
// the observer obtains since it needs the key.
type Verdict struct {
	reconcile.Result
	Sign *Signature
}

// Signature is what to sign a request with.
type Signature struct {
	Usage    x509.KeyUsage
	Extended []x509.ExtKeyUsage
	Life     time.Duration
}

// Plan decides about one request.
func Plan(o Observed) Verdict {
	var v Verdict
	csr := o.CSR
	if csr.DeletionTimestamp != nil {
		return v
	}
	approved, denied := has(csr, certificatesv1.CertificateApproved), has(csr, certificatesv1.CertificateDenied)
	failed := has(csr, certificatesv1.CertificateFailed)
	switch {
	case len(csr.Status.Certificate) > 0 || denied || failed:
		expire(&v, o, keepAnswered)
	case approved:
		sign(&v, o)
		expire(&v, o, keepAnswered)
	default:
		approve(&v, o)
		expire(&v, o, keepPending)
	}
	return v
}

func expire(v *Verdict, o Observed, keep time.Duration) {
	at := o.CSR.CreationTimestamp.Time
	for _, c := range o.CSR.Status.Conditions {
		if c.LastUpdateTime.After(at) {
			at = c.LastUpdateTime.Time
		}
	}
	if wait := at.Add(keep).Sub(o.Now); wait > 0 {
		v.RequeueIn(wait)
		return
	}
	if len(v.Actions) == 0 && v.Sign == nil {
		v.Add(reconcile.DeleteOf(resource, o.CSR))
	}
}

// approve approves what is approved without a person.
func approve(v *Verdict, o Observed) {
	if o.Request == nil || check(o.CSR, o.Request) != nil {
		return // left to a person, who will see why
	}
	switch o.CSR.Spec.SignerName {
	case certificatesv1.KubeAPIServerClientKubeletSignerName:
		if o.MayHaveNodeClient {
			v.Add(withCondition(o, "approval", certificatesv1.CertificateApproved, "AutoApproved",
				"Auto approving kubelet client certificate after SubjectAccessReview."))
		}
	case certificatesv1.KubeletServingSignerName:
		if o.CSR.Spec.Username != o.Request.Subject.CommonName {
			return
		}
		if o.Addresses == nil || !ownAddresses(o) {
			v.RequeueIn(time.Second) // the node registers its addresses soon
			return
		}
		v.Add(withCondition(o, "approval", certificatesv1.CertificateApproved, "AutoApproved",
			"Auto approving kubelet serving certificate: the node asks for itself."))
	}
}

// ownAddresses reports that every name and address asked for is the node's.
func ownAddresses(o Observed) bool {
	node := strings.TrimPrefix(o.Request.Subject.CommonName, nodePrefix)
	has := func(s string) bool {
		return s == node || s == "localhost" || slices.ContainsFunc(o.Addresses, func(a corev1.NodeAddress) bool { return a.Address == s })
	}
	for _, name := range o.Request.DNSNames {
		if !has(name) {
			return false
		}
	}
	for _, ip := range o.Request.IPAddresses {
		if !ip.IsLoopback() && !has(ip.String()) {
			return false
		}
	}
	return true
}

// sign asks for the signature of an approved request, or says why there is none.
func sign(v *Verdict, o Observed) {
	extended, ours := signers[o.CSR.Spec.SignerName]
	if !ours {
		return
	}
	err := fmt.Errorf("the request cannot be parsed")
	if o.Request != nil {
		err = check(o.CSR, o.Request)
	}
	if err != nil {
		v.Add(withCondition(o, "status", certificatesv1.CertificateFailed, "SignerValidationFailure", err.Error()))
		return
	}
	v.Sign = &Signature{Usage: x509.KeyUsageDigitalSignature, Extended: []x509.ExtKeyUsage{extended}, Life: DefaultLife}
	if slices.Contains(o.CSR.Spec.Usages, certificatesv1.UsageKeyEncipherment) {
		v.Sign.Usage |= x509.KeyUsageKeyEncipherment
	}
	if seconds := o.CSR.Spec.ExpirationSeconds; seconds != nil {
		v.Sign.Life = min(v.Sign.Life, time.Duration(*seconds)*time.Second)
	}
}

// signers are the signer names served here, with the purpose of each.
var signers = map[string]x509.ExtKeyUsage{
	certificatesv1.KubeAPIServerClientSignerName:        x509.ExtKeyUsageClientAuth,
	certificatesv1.KubeAPIServerClientKubeletSignerName: x509.ExtKeyUsageClientAuth,
	certificatesv1.KubeletServingSignerName:             x509.ExtKeyUsageServerAuth,
}

// check holds a request against the rules of its signer.
func check(csr *certificatesv1.CertificateSigningRequest, req *x509.CertificateRequest) error {
	purpose := certificatesv1.UsageClientAuth
	if csr.Spec.SignerName == certificatesv1.KubeletServingSignerName {
		purpose = certificatesv1.UsageServerAuth
	}
	if !slices.Contains(csr.Spec.Usages, purpose) {
		return fmt.Errorf("usages did not contain %s", purpose)
	}
	for _, usage := range csr.Spec.Usages {
		if usage != purpose && usage != certificatesv1.UsageDigitalSignature && usage != certificatesv1.UsageKeyEncipherment {
			return fmt.Errorf("usage %s is not permitted", usage)
		}
	}
	if csr.Spec.SignerName == certificatesv1.KubeAPIServerClientSignerName {
		if slices.Contains(req.Subject.Organization, "system:masters") {
			return fmt.Errorf("subject organization system:masters is not permitted")
		}
		return nil
	}
	return checkNode(csr.Spec.SignerName, req)
}

func checkNode(signer string, req *x509.CertificateRequest) error {
	if !slices.Equal(req.Subject.Organization, []string{nodeGroup}) {
		return fmt.Errorf("subject organization is not %s", nodeGroup)
	}
	if !strings.HasPrefix(req.Subject.CommonName, nodePrefix) {
		return fmt.Errorf("subject common name does not begin with %s", nodePrefix)
	}
	if len(req.EmailAddresses) > 0 || len(req.URIs) > 0 {
		return fmt.Errorf("email and URI subjectAltNames are not permitted")
	}
	names := len(req.DNSNames) + len(req.IPAddresses)
	if signer == certificatesv1.KubeletServingSignerName && names == 0 {
		return fmt.Errorf("DNS or IP subjectAltName is required")
	}
	if signer == certificatesv1.KubeAPIServerClientKubeletSignerName && names > 0 {
		return fmt.Errorf("DNS and IP subjectAltNames are not permitted")
	}
	return nil
}

func withCondition(o Observed, subresource string, kind certificatesv1.RequestConditionType, reason, message string) reconcile.Action {
	updated := o.CSR.DeepCopy()
	at := metav1.NewTime(o.Now)
	updated.Status.Conditions = append(updated.Status.Conditions, certificatesv1.CertificateSigningRequestCondition{
		Type: kind, Status: corev1.ConditionTrue, Reason: reason, Message: message, LastUpdateTime: at, LastTransitionTime: at,
	})
	return reconcile.Update{Object: updated, Subresource: subresource}
}

func has(csr *certificatesv1.CertificateSigningRequest, kind certificatesv1.RequestConditionType) bool {
	return slices.ContainsFunc(csr.Status.Conditions, func(c certificatesv1.CertificateSigningRequestCondition) bool {
		return c.Type == kind && c.Status == corev1.ConditionTrue
	})
}
