package agent

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"net"
	"time"

	certv1 "k8s.io/api/certificates/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/certificate/csr"
)

// certLife is how long node certificates are asked to be good for.
const certLife = 30 * 24 * time.Hour

// KeyPair is a certificate and its key, PEM encoded.
type KeyPair struct{ Cert, Key []byte }

// TLS parses the pair.
func (k KeyPair) TLS() (*tls.Certificate, error) {
	c, err := tls.X509KeyPair(k.Cert, k.Key)
	return &c, err
}

// Bootstrap turns a join token into a client certificate of the node: it asks
// the API server with the token to sign one and waits until it does. cfg names
// the server and its CA.
func Bootstrap(ctx context.Context, cfg *rest.Config, token, node string) (KeyPair, error) {
	c := rest.AnonymousClientConfig(cfg)
	c.BearerToken = token
	client, err := kubernetes.NewForConfig(c)
	if err != nil {
		return KeyPair{}, err
	}
	pair, err := requestCertificate(ctx, client, certv1.KubeAPIServerClientKubeletSignerName, nodeRequest(node),
		[]certv1.KeyUsage{certv1.UsageDigitalSignature, certv1.UsageClientAuth})
	if err != nil {
		return KeyPair{}, fmt.Errorf("get a certificate for node %s with the join token: %w", node, err)
	}
	return pair, nil
}

// ServingCertificate asks, as the node, for a certificate of its kubelet API.
func ServingCertificate(ctx context.Context, client kubernetes.Interface, node string, ips []net.IP) (KeyPair, error) {
	req := nodeRequest(node)
	req.DNSNames, req.IPAddresses = []string{node}, ips
	pair, err := requestCertificate(ctx, client, certv1.KubeletServingSignerName, req,
		[]certv1.KeyUsage{certv1.UsageDigitalSignature, certv1.UsageServerAuth})
	if err != nil {
		return KeyPair{}, fmt.Errorf("get a serving certificate for node %s: %w", node, err)
	}
	return pair, nil
}

func nodeRequest(node string) *x509.CertificateRequest {
	return &x509.CertificateRequest{Subject: pkix.Name{CommonName: "system:node:" + node, Organization: []string{"system:nodes"}}}
}

func requestCertificate(ctx context.Context, client kubernetes.Interface, signer string, tmpl *x509.CertificateRequest, usages []certv1.KeyUsage) (KeyPair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return KeyPair{}, err
	}
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return KeyPair{}, err
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, tmpl, key)
	if err != nil {
		return KeyPair{}, err
	}
	body := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
	life := certLife
	name, uid, err := csr.RequestCertificateWithContext(ctx, client, body, "", signer, &life, usages, key)
	if err != nil {
		return KeyPair{}, err
	}
	cert, err := csr.WaitForCertificate(ctx, client, name, uid)
	if err != nil {
		return KeyPair{}, err
	}
	return KeyPair{Cert: cert, Key: pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: keyDER})}, nil
}
