package network

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	_ "embed"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pintle-io/pintle/conformance/suite"
)

//go:embed ingresstls.yaml
var ingressTLSYAML string

func ingressTLS() suite.Case {
	return suite.Case{
		Name:     "network/ingress-tls",
		Promise:  "an Ingress serves the certificate of the Secret that is for the host asked for, and a new one as soon as the Secret has it",
		Needs:    []suite.Feature{suite.Containers, suite.Ingress},
		Manifest: ingressTLSYAML,
		Run: func(ctx context.Context, e *suite.Env) error {
			if err := e.Apply(ctx); err != nil {
				return err
			}
			at, err := ingressAddress(ctx, e, "site")
			if err != nil {
				return err
			}
			one, two := "one."+e.Namespace+".example", "two."+e.Namespace+".example"
			secrets := e.Kube.CoreV1().Secrets(e.Namespace)
			for _, s := range []struct{ name, host, asked string }{{"one", one, one}, {"many", "*." + e.Namespace + ".example", two}} {
				secret, roots, err := certificate(s.name, s.host)
				if err != nil {
					return err
				}
				if _, err := secrets.Create(ctx, secret, metav1.CreateOptions{}); err != nil {
					return err
				}
				if err := verified(ctx, e, at, s.asked, roots); err != nil {
					return err
				}
			}
			renewed, roots, err := certificate("one", one)
			if err != nil {
				return err
			}
			if _, err := secrets.Update(ctx, renewed, metav1.UpdateOptions{}); err != nil {
				return err
			}
			if err := verified(ctx, e, at, one, roots); err != nil {
				return fmt.Errorf("after the secret changed: %w", err)
			}
			return nil
		},
	}
}

// verified waits for a handshake that trusts roots alone.
func verified(ctx context.Context, e *suite.Env, at, host string, roots *x509.CertPool) error {
	return e.Eventually(ctx, 30*time.Second, "the certificate of "+host, func(ctx context.Context) (bool, string, error) {
		d := tls.Dialer{Config: &tls.Config{ServerName: host, RootCAs: roots, MinVersion: tls.VersionTLS12}}
		conn, err := d.DialContext(ctx, "tcp", net.JoinHostPort(at, "443"))
		if err != nil {
			return false, "", err
		}
		return true, "", conn.Close()
	})
}

// certificate makes a self-signed one for a host.
func certificate(name, host string) (*corev1.Secret, *x509.CertPool, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	now := time.Now()
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), DNSNames: []string{host}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true,
	}, &x509.Certificate{SerialNumber: big.NewInt(1)}, key.Public(), key)
	if err != nil {
		return nil, nil, err
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, nil, err
	}
	roots := x509.NewCertPool()
	roots.AddCert(cert)
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: name}, Type: corev1.SecretTypeTLS,
		Data: map[string][]byte{
			corev1.TLSCertKey:       pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
			corev1.TLSPrivateKeyKey: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}),
		},
	}, roots, nil
}
