package pki

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
)

const (
	pemCertificate = "CERTIFICATE"
	pemKey         = "EC PRIVATE KEY"
)

// identity is a certificate with its private key.
type identity struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func (id *identity) certPEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: pemCertificate, Bytes: id.cert.Raw})
}

func (id *identity) keyPEM() ([]byte, error) { return encodeKey(id.key) }

func (id *identity) tls() *tls.Certificate {
	return &tls.Certificate{Certificate: [][]byte{id.cert.Raw}, PrivateKey: id.key, Leaf: id.cert}
}

func (id *identity) encode() ([]byte, error) {
	key, err := id.keyPEM()
	if err != nil {
		return nil, err
	}
	return append(id.certPEM(), key...), nil
}

func newKey() (*ecdsa.PrivateKey, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }

func encodeKey(key *ecdsa.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode private key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: pemKey, Bytes: der}), nil
}

func decodeKey(data []byte) (*ecdsa.PrivateKey, error) {
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == pemKey {
			return x509.ParseECPrivateKey(block.Bytes)
		}
	}
	return nil, fmt.Errorf("no %q block", pemKey)
}

// decodeIdentity reads what encode wrote and checks that the key belongs to the
// certificate.
func decodeIdentity(data []byte) (*identity, error) {
	key, err := decodeKey(data)
	if err != nil {
		return nil, err
	}
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != pemCertificate {
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		if !key.PublicKey.Equal(cert.PublicKey) {
			return nil, fmt.Errorf("the private key does not belong to certificate %q", cert.Subject.CommonName)
		}
		return &identity{cert: cert, key: key}, nil
	}
	return nil, fmt.Errorf("no %q block", pemCertificate)
}

// sign issues a certificate from template, by ca or (ca nil) by itself.
func sign(template *x509.Certificate, public any, ca *identity, key *ecdsa.PrivateKey) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 126))
	if err != nil {
		return nil, fmt.Errorf("draw serial number: %w", err)
	}
	template.SerialNumber = serial.Add(serial, big.NewInt(1))
	parent, signer := template, key
	if ca != nil {
		parent, signer = ca.cert, ca.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, signer)
	if err != nil {
		return nil, fmt.Errorf("sign certificate %q: %w", template.Subject.CommonName, err)
	}
	return x509.ParseCertificate(der)
}

// writeFile replaces path by data: written beside it, synced, renamed.
func writeFile(path string, data []byte, uid, gid int) error {
	old, err := os.ReadFile(path)
	if err == nil && bytes.Equal(old, data) {
		return nil
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // fails once renamed, which is the good case
	_, err = f.Write(data)
	if err == nil && (uid != os.Getuid() || gid != os.Getgid()) {
		err = f.Chown(uid, gid)
	}
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
