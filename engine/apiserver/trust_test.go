package apiserver

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"
)

// authority makes a certificate that is good until end.
func authority(t *testing.T, name string, end time.Time) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: end.Add(-time.Hour), NotAfter: end, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func TestTrustOfSeveralServersIsJoined(t *testing.T) {
	now := time.Now()
	ours, theirs, expired := authority(t, "ours", now.Add(time.Hour)), authority(t, "theirs", now.Add(time.Hour)), authority(t, "old", now.Add(-time.Minute))
	want := map[string]string{clientCAKey: ours, requestHeaderCA: ours, "requestheader-allowed-names": `["front"]`}
	for name, tc := range map[string]struct {
		have, result map[string]string
	}{
		"nothing":              {nil, want},
		"the same":             {want, want},
		"another's authority":  {map[string]string{clientCAKey: theirs}, map[string]string{clientCAKey: theirs + ours, requestHeaderCA: ours, "requestheader-allowed-names": `["front"]`}},
		"one that expired":     {map[string]string{clientCAKey: expired + theirs, "requestheader-allowed-names": `["other","front"]`}, map[string]string{clientCAKey: theirs + ours, requestHeaderCA: ours, "requestheader-allowed-names": `["other","front"]`}},
		"what cannot be read":  {map[string]string{clientCAKey: "nonsense", "requestheader-allowed-names": "{"}, want},
		"keys nobody knows go": {map[string]string{"mine": "x"}, want},
	} {
		got := joinTrust(tc.have, want, now)
		if len(got) != len(tc.result) {
			t.Errorf("%s: %v", name, got)
		}
		for key, value := range tc.result {
			if strings.TrimSpace(got[key]) != strings.TrimSpace(value) {
				t.Errorf("%s: %s is\n%s\nwant\n%s", name, key, got[key], value)
			}
		}
	}
}
