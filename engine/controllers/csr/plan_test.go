package csr_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"net"
	"testing"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/pintle-io/pintle/engine/controllers/csr"
	"github.com/pintle-io/pintle/engine/reconcile"
)

var now = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)

func request(t *testing.T, template x509.CertificateRequest) *x509.CertificateRequest {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &template, key)
	if err != nil {
		t.Fatal(err)
	}
	req, err := x509.ParseCertificateRequest(der)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

func node(name string, orgs ...string) pkix.Name {
	return pkix.Name{CommonName: "system:node:" + name, Organization: orgs}
}

// outcome says in a word what a verdict is.
func outcome(v csr.Verdict) string {
	if v.Sign != nil {
		return "sign"
	}
	for _, action := range v.Actions {
		switch a := action.(type) {
		case reconcile.Update:
			conditions := a.Object.(*certificatesv1.CertificateSigningRequest).Status.Conditions
			return string(conditions[len(conditions)-1].Type)
		case reconcile.Delete:
			return "delete"
		}
	}
	return "wait"
}

func TestPlan(t *testing.T) {
	const (
		client  = certificatesv1.KubeAPIServerClientKubeletSignerName
		serving = certificatesv1.KubeletServingSignerName
		user    = certificatesv1.KubeAPIServerClientSignerName
	)
	own := []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: "10.1.1.1"}}
	ip := func(s string) []net.IP { return []net.IP{net.ParseIP(s)} }
	for name, c := range map[string]struct {
		signer    string
		req       x509.CertificateRequest
		usage     certificatesv1.KeyUsage
		username  string
		condition certificatesv1.RequestConditionType
		may       bool
		addresses []corev1.NodeAddress
		age       time.Duration
		want      string
	}{
		"a new node":                        {signer: client, req: x509.CertificateRequest{Subject: node("a", "system:nodes")}, usage: "client auth", may: true, want: "Approved"},
		"a new node without the right":      {signer: client, req: x509.CertificateRequest{Subject: node("a", "system:nodes")}, usage: "client auth", want: "wait"},
		"a node that wants to be admin":     {signer: client, req: x509.CertificateRequest{Subject: node("a", "system:nodes", "system:masters")}, usage: "client auth", may: true, want: "wait"},
		"a node client with addresses":      {signer: client, req: x509.CertificateRequest{Subject: node("a", "system:nodes"), DNSNames: []string{"x"}}, usage: "client auth", may: true, want: "wait"},
		"a node client to serve with":       {signer: client, req: x509.CertificateRequest{Subject: node("a", "system:nodes")}, usage: "server auth", may: true, want: "wait"},
		"serving, own address":              {signer: serving, req: x509.CertificateRequest{Subject: node("a", "system:nodes"), IPAddresses: ip("10.1.1.1"), DNSNames: []string{"a"}}, usage: "server auth", username: "system:node:a", addresses: own, want: "Approved"},
		"serving, somebody else's address":  {signer: serving, req: x509.CertificateRequest{Subject: node("a", "system:nodes"), IPAddresses: ip("10.1.1.2")}, usage: "server auth", username: "system:node:a", addresses: own, want: "wait"},
		"serving, somebody else's name":     {signer: serving, req: x509.CertificateRequest{Subject: node("a", "system:nodes"), DNSNames: []string{"kubernetes"}}, usage: "server auth", username: "system:node:a", addresses: own, want: "wait"},
		"serving, asked for by another":     {signer: serving, req: x509.CertificateRequest{Subject: node("a", "system:nodes"), IPAddresses: ip("10.1.1.1")}, usage: "server auth", username: "system:node:b", addresses: own, want: "wait"},
		"approved node":                     {signer: client, req: x509.CertificateRequest{Subject: node("a", "system:nodes")}, usage: "client auth", condition: "Approved", want: "sign"},
		"approved, but against the rules":   {signer: client, req: x509.CertificateRequest{Subject: node("a", "system:masters")}, usage: "client auth", condition: "Approved", want: "Failed"},
		"approved user":                     {signer: user, req: x509.CertificateRequest{Subject: pkix.Name{CommonName: "jane"}}, usage: "client auth", condition: "Approved", want: "sign"},
		"approved user as system:masters":   {signer: user, req: x509.CertificateRequest{Subject: pkix.Name{CommonName: "jane", Organization: []string{"system:masters"}}}, usage: "client auth", condition: "Approved", want: "Failed"},
		"a user's request waits for people": {signer: user, req: x509.CertificateRequest{Subject: pkix.Name{CommonName: "jane"}}, usage: "client auth", may: true, want: "wait"},
		"another signer's":                  {signer: "example.test/x", req: x509.CertificateRequest{Subject: pkix.Name{CommonName: "x"}}, usage: "client auth", condition: "Approved", want: "wait"},
		"denied, an hour ago":               {signer: user, usage: "client auth", condition: "Denied", age: time.Hour, want: "delete"},
		"never answered":                    {signer: user, usage: "client auth", age: 24 * time.Hour, want: "delete"},
	} {
		t.Run(name, func(t *testing.T) {
			obj := &certificatesv1.CertificateSigningRequest{
				ObjectMeta: metav1.ObjectMeta{Name: "x", CreationTimestamp: metav1.NewTime(now.Add(-c.age))},
				Spec: certificatesv1.CertificateSigningRequestSpec{
					SignerName: c.signer, Username: c.username, Usages: []certificatesv1.KeyUsage{"digital signature", c.usage},
					ExpirationSeconds: ptr.To(int32(3600)),
				},
			}
			if c.condition != "" {
				obj.Status.Conditions = []certificatesv1.CertificateSigningRequestCondition{{Type: c.condition, Status: corev1.ConditionTrue}}
			}
			verdict := csr.Plan(csr.Observed{CSR: obj, Request: request(t, c.req), MayHaveNodeClient: c.may, Addresses: c.addresses, Now: now})
			if got := outcome(verdict); got != c.want {
				t.Errorf("verdict %q, want %q", got, c.want)
			}
			if verdict.Sign != nil && verdict.Sign.Life != time.Hour {
				t.Errorf("signed for %v, the request says an hour", verdict.Sign.Life)
			}
		})
	}
}
