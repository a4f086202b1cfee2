package admission

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"

	certificatesv1 "k8s.io/api/certificates/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
)

var csrResource = certificatesv1.Resource("certificatesigningrequests")

// signerGate lets those approve or sign certificate requests who may do so for
// the signer concerned.
type signerGate struct {
	operations
	authorizer  authorizer.Authorizer
	subresource string
	verb        string
}

func newCertificateApproval(b *builder) (admission.Interface, error) {
	return &signerGate{operations{admission.Update}, b.Authorizer, "approval", "approve"}, nil
}

func newCertificateSigning(b *builder) (admission.Interface, error) {
	return &signerGate{operations{admission.Update}, b.Authorizer, "status", "sign"}, nil
}

// Validate implements admission.ValidationInterface.
func (g *signerGate) Validate(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	if !is(a, csrResource, g.subresource) {
		return nil
	}
	csr, ok := a.GetObject().(*certificatesv1.CertificateSigningRequest)
	old, isOld := a.GetOldObject().(*certificatesv1.CertificateSigningRequest)
	if !ok || !isOld {
		return admission.NewForbidden(a, fmt.Errorf("expected a CertificateSigningRequest, got %T", a.GetObject()))
	}
	if g.verb == "sign" && slices.Equal(csr.Status.Certificate, old.Status.Certificate) &&
		equality.Semantic.DeepEqual(csr.Status.Conditions, old.Status.Conditions) {
		return nil
	}
	if !g.allowed(ctx, a.GetUserInfo(), old.Spec.SignerName) {
		return admission.NewForbidden(a, fmt.Errorf("user not permitted to %s requests with signerName %q", g.verb, old.Spec.SignerName))
	}
	return nil
}

// allowed asks for the signer itself, then for all of its domain.
func (g *signerGate) allowed(ctx context.Context, who user.Info, signer string) bool {
	domain, _, _ := strings.Cut(signer, "/")
	for _, name := range []string{signer, domain + "/*"} {
		decision, _, err := g.authorizer.Authorize(ctx, authorizer.AttributesRecord{
			User: who, Verb: g.verb, Name: name,
			APIGroup: certificatesv1.GroupName, APIVersion: "*", Resource: "signers", ResourceRequest: true,
		})
		if err == nil && decision == authorizer.DecisionAllow {
			return true
		}
	}
	return false
}

// certificateSubject refuses requests for client certificates of administrators.
type certificateSubject struct{ operations }

func newCertificateSubject(*builder) (admission.Interface, error) {
	return &certificateSubject{onCreate}, nil
}

// Validate implements admission.ValidationInterface.
func (*certificateSubject) Validate(_ context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	csr, ok := subject[*certificatesv1.CertificateSigningRequest](a, csrResource)
	if !ok || csr.Spec.SignerName != certificatesv1.KubeAPIServerClientSignerName {
		return nil
	}
	request, err := parseRequest(csr.Spec.Request)
	if err != nil {
		return admission.NewForbidden(a, fmt.Errorf("failed to parse CSR: %w", err))
	}
	if slices.Contains(request.Subject.Organization, user.SystemPrivilegedGroup) {
		return admission.NewForbidden(a, fmt.Errorf("use of %s signer with %s group is not allowed",
			certificatesv1.KubeAPIServerClientSignerName, user.SystemPrivilegedGroup))
	}
	return nil
}

func parseRequest(data []byte) (*x509.CertificateRequest, error) {
	block, _ := pem.Decode(data)
	if block == nil || block.Type != "CERTIFICATE REQUEST" {
		return nil, errors.New("PEM block type must be CERTIFICATE REQUEST")
	}
	return x509.ParseCertificateRequest(block.Bytes)
}
