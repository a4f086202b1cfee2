package certificates

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"testing"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

func key(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// TestPodRequestStatus guards that a signer can neither answer twice, nor with a
// certificate for another key or another time than was asked for.
func TestPodRequestStatus(t *testing.T) {
	now := time.Now().Truncate(time.Second)
	asked, other := key(t), key(t)
	stub, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, asked)
	if err != nil {
		t.Fatal(err)
	}
	chain := func(of *ecdsa.PrivateKey, from, to time.Time, names ...string) string {
		template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: from, NotAfter: to, DNSNames: names}
		der, err := x509.CreateCertificate(rand.Reader, template, template, &of.PublicKey, of)
		if err != nil {
			t.Fatal(err)
		}
		return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	}
	at := func(d time.Duration) *metav1.Time { return ptr.To(metav1.NewTime(now.Add(d))) }
	ended := func(outcome string) []metav1.Condition {
		return []metav1.Condition{{Type: outcome, Status: metav1.ConditionTrue, Reason: "R", LastTransitionTime: metav1.NewTime(now)}}
	}
	issued := func(s *certificatesv1.PodCertificateRequestStatus) {
		s.Conditions = ended("Issued")
		s.CertificateChain = chain(asked, now, now.Add(2*time.Hour), "a.b")
		s.NotBefore, s.NotAfter, s.BeginRefreshAt = at(0), at(2*time.Hour), at(time.Hour)
	}
	const certificate = "status.certificateChain"
	for name, test := range map[string]struct {
		was, is func(*certificatesv1.PodCertificateRequestStatus)
		want    string
	}{
		"issued":             {nil, issued, ""},
		"denied":             {nil, func(s *certificatesv1.PodCertificateRequestStatus) { s.Conditions = ended("Denied") }, ""},
		"nothing":            {nil, func(*certificatesv1.PodCertificateRequestStatus) {}, ""},
		"no outcome":         {nil, func(s *certificatesv1.PodCertificateRequestStatus) { s.NotBefore = at(0) }, "status"},
		"denied, with chain": {nil, func(s *certificatesv1.PodCertificateRequestStatus) { issued(s); s.Conditions = ended("Denied") }, "status"},
		"a second time":      {issued, func(s *certificatesv1.PodCertificateRequestStatus) { s.Conditions = ended("Denied") }, "status"},
		"unknown condition":  {nil, func(s *certificatesv1.PodCertificateRequestStatus) { s.Conditions = ended("Maybe") }, "status.conditions.[0].type"},
		"two outcomes": {nil, func(s *certificatesv1.PodCertificateRequestStatus) {
			s.Conditions = append(ended("Denied"), ended("Failed")...)
		}, "status.conditions.[1].type"},
		"not true": {nil, func(s *certificatesv1.PodCertificateRequestStatus) { issued(s); s.Conditions[0].Status = "False" }, "status.conditions.[0].status"},
		"another key": {nil, func(s *certificatesv1.PodCertificateRequestStatus) {
			issued(s)
			s.CertificateChain = chain(other, now, now.Add(2*time.Hour))
		}, certificate},
		"no PEM": {nil, func(s *certificatesv1.PodCertificateRequestStatus) { issued(s); s.CertificateChain = "x" }, certificate},
		"odd name": {nil, func(s *certificatesv1.PodCertificateRequestStatus) {
			issued(s)
			s.CertificateChain = chain(asked, now, now.Add(2*time.Hour), "a..b")
		}, certificate},
		"no times":  {nil, func(s *certificatesv1.PodCertificateRequestStatus) { issued(s); s.NotAfter = nil }, "status.notAfter"},
		"other end": {nil, func(s *certificatesv1.PodCertificateRequestStatus) { issued(s); s.NotAfter = at(3 * time.Hour) }, "status.notAfter"},
		"from long ago": {nil, func(s *certificatesv1.PodCertificateRequestStatus) {
			issued(s)
			s.CertificateChain, s.NotBefore = chain(asked, now.Add(-time.Hour), now.Add(2*time.Hour)), at(-time.Hour)
		}, "status.notBefore"},
		"too short": {nil, func(s *certificatesv1.PodCertificateRequestStatus) {
			issued(s)
			s.CertificateChain, s.NotAfter = chain(asked, now, now.Add(time.Minute)), at(time.Minute)
		}, certificate},
		"longer than asked": {nil, func(s *certificatesv1.PodCertificateRequestStatus) {
			issued(s)
			s.CertificateChain, s.NotAfter = chain(asked, now, now.Add(30*time.Hour)), at(30*time.Hour)
		}, certificate},
		"refresh too early": {nil, func(s *certificatesv1.PodCertificateRequestStatus) { issued(s); s.BeginRefreshAt = at(time.Minute) }, "status.beginRefreshAt"},
		"refresh too late":  {nil, func(s *certificatesv1.PodCertificateRequestStatus) { issued(s); s.BeginRefreshAt = at(2 * time.Hour) }, "status.beginRefreshAt"},
		"broken rest": {nil, func(s *certificatesv1.PodCertificateRequestStatus) {
			issued(s)
			s.CertificateChain += "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
		}, certificate},
	} {
		t.Run(name, func(t *testing.T) {
			old := &certificatesv1.PodCertificateRequest{
				ObjectMeta: metav1.ObjectMeta{Name: "r", Namespace: "n", ResourceVersion: "1"},
				Spec:       certificatesv1.PodCertificateRequestSpec{StubPKCS10Request: stub, MaxExpirationSeconds: ptr.To(int32(86400))},
			}
			if test.was != nil {
				test.was(&old.Status)
			}
			r := old.DeepCopy()
			test.is(&r.Status)
			got := ""
			errs := validatePodRequestStatus(r, old, now)
			if len(errs) > 0 {
				got = errs[0].Field
			}
			if got != test.want {
				t.Errorf("got %v, want an error at %q", errs.ToAggregate(), test.want)
			}
		})
	}
}
