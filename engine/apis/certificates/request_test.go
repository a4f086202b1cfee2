package certificates

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"strings"
	"testing"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/endpoints/request"
)

func good(t *testing.T) *csr {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		t.Fatal(err)
	}
	return &csr{
		ObjectMeta: metav1.ObjectMeta{Name: "r"},
		Spec: certificatesv1.CertificateSigningRequestSpec{
			Request:    pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}),
			SignerName: certificatesv1.KubeAPIServerClientSignerName, Usages: []certificatesv1.KeyUsage{certificatesv1.UsageClientAuth},
		},
	}
}

func TestRequestsNameTheirMaker(t *testing.T) {
	r := good(t)
	r.Spec.Username, r.Spec.Groups = "admin", []string{"system:masters"}
	ctx := request.WithUser(context.Background(), &user.DefaultInfo{Name: "mallory", Groups: []string{"g"}})
	prepareForCreate(ctx, r)
	if r.Spec.Username != "mallory" || len(r.Spec.Groups) != 1 || r.Spec.Groups[0] != "g" {
		t.Errorf("the body said who asks: %+v", r.Spec)
	}
	prepareForCreate(context.Background(), r)
	if r.Spec.Username != "" {
		t.Error("a request without a user kept one:", r.Spec.Username)
	}
}

func TestValidation(t *testing.T) {
	for name, test := range map[string]struct {
		edit func(*csr)
		want string
	}{
		"good":           {func(*csr) {}, ""},
		"no PEM":         {func(r *csr) { r.Spec.Request = []byte("x") }, "spec.request"},
		"no usage":       {func(r *csr) { r.Spec.Usages = nil }, "spec.usages"},
		"unknown usage":  {func(r *csr) { r.Spec.Usages = append(r.Spec.Usages, "fun") }, "spec.usages[1]"},
		"no domain":      {func(r *csr) { r.Spec.SignerName = "signer" }, "spec.signerName"},
		"legacy":         {func(r *csr) { r.Spec.SignerName = legacySigner }, "legacy"},
		"too short life": {func(r *csr) { s := int32(60); r.Spec.ExpirationSeconds = &s }, "spec.expirationSeconds"},
	} {
		r := good(t)
		test.edit(r)
		err := validateCreate(context.Background(), r).ToAggregate()
		if (err != nil) != (test.want != "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestStatusKeepsTheApproval(t *testing.T) {
	approved := certificatesv1.CertificateSigningRequestCondition{Type: certificatesv1.CertificateApproved, Status: corev1.ConditionTrue}
	old := good(t)
	old.Status.Conditions = []certificatesv1.CertificateSigningRequestCondition{approved}
	r := old.DeepCopy()
	r.Status.Conditions = []certificatesv1.CertificateSigningRequestCondition{{Type: certificatesv1.CertificateDenied, Status: corev1.ConditionTrue}}
	prepareForStatusUpdate(context.Background(), r, old)
	if len(r.Status.Conditions) != 1 || r.Status.Conditions[0].Type != certificatesv1.CertificateApproved {
		t.Errorf("status changed the approval: %+v", r.Status.Conditions)
	}
	r.Status.Conditions = nil
	if errs := validateStatusUpdate(context.Background(), r, old); len(errs) == 0 {
		t.Error("an approval was taken back")
	}
}
