package csr

import (
	"testing"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
)

// Whatever is sent as a request, the plan survives it, and signs nothing that is
// not approved.
func FuzzPlan(f *testing.F) {
	f.Add([]byte("-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n"), certificatesv1.KubeAPIServerClientSignerName, "system:node:a")
	f.Add([]byte("noise"), certificatesv1.KubeletServingSignerName, "")
	f.Add([]byte("-----BEGIN CERTIFICATE REQUEST-----\n-----END CERTIFICATE REQUEST-----\n"), certificatesv1.KubeAPIServerClientKubeletSignerName, "x")
	f.Fuzz(func(t *testing.T, request []byte, signer, user string) {
		csr := &certificatesv1.CertificateSigningRequest{}
		csr.Name = "fuzzed"
		csr.Spec = certificatesv1.CertificateSigningRequestSpec{
			Request: request, SignerName: signer, Username: user, Groups: []string{nodeGroup},
			Usages: []certificatesv1.KeyUsage{certificatesv1.UsageClientAuth, certificatesv1.UsageDigitalSignature},
		}
		v := Plan(Observed{CSR: csr, Request: parse(request), MayHaveNodeClient: true, Now: time.Unix(1_800_000_000, 0)})
		if v.Sign != nil {
			t.Error("an unapproved request is signed")
		}
	})
}
