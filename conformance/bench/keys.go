package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"time"
)

// keys are the files upstream's server needs: an authority for clients, an
// administrator of it (certificate and key in one file), and a key for tokens.
type keys struct{ ca, admin, accounts string }

func newKeys(dir string) (keys, error) {
	k := keys{filepath.Join(dir, "ca.pem"), filepath.Join(dir, "admin.pem"), filepath.Join(dir, "accounts.pem")}
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return k, err
	}
	adminKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return k, err
	}
	ca := template(1, pkix.Name{CommonName: "bench"})
	ca.IsCA, ca.BasicConstraintsValid, ca.KeyUsage = true, true, x509.KeyUsageCertSign
	admin := template(2, pkix.Name{CommonName: "admin", Organization: []string{"system:masters"}})
	admin.KeyUsage, admin.ExtKeyUsage = x509.KeyUsageDigitalSignature, []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, caKey.Public(), caKey)
	if err != nil {
		return k, err
	}
	adminDER, err := x509.CreateCertificate(rand.Reader, admin, ca, adminKey.Public(), caKey)
	if err != nil {
		return k, err
	}
	adminKeyDER, err := x509.MarshalECPrivateKey(adminKey)
	if err != nil {
		return k, err
	}
	private := pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: adminKeyDER})
	for file, content := range map[string][]byte{
		k.ca:       certificatePEM(caDER),
		k.admin:    append(certificatePEM(adminDER), private...),
		k.accounts: private,
	} {
		if err := os.WriteFile(file, content, 0o600); err != nil {
			return k, err
		}
	}
	return k, nil
}

func template(serial int64, subject pkix.Name) *x509.Certificate {
	now := time.Now()
	return &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: subject,
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour),
	}
}

func certificatePEM(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}
