package pki

import (
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

const (
	fileCA            = "ca.pem"
	fileServing       = "apiserver.pem"
	fileKubeletClient = "kubelet-client.pem"
	fileSigning       = "service-account.pem"

	caLife   = 10 * 365 * 24 * time.Hour
	leafLife = 365 * 24 * time.Hour
	// skew is how far clocks may differ before a fresh certificate is not yet valid.
	skew = 5 * time.Minute
)

// AdminName and AdminGroup are the identity in the administrator's kubeconfig.
const (
	AdminName  = "kubernetes-admin"
	AdminGroup = "system:masters"
)

// Config says where the keys live and which names the server answers to.
type Config struct {
	// Dir holds the keys; it is created, with its parents, when missing.
	Dir string
	// Hosts are further names or addresses of the server: what it listens on,
	// the machine's name. Loopback and the in-cluster names are always included.
	Hosts []string
	// ServiceIPs are the cluster addresses of the kubernetes Service.
	ServiceIPs []net.IP
	// ClusterDomain defaults to cluster.local.
	ClusterDomain string
	// Now defaults to time.Now; it decides validity and renewal.
	Now func() time.Time
}

// PKI is an opened key directory.
type PKI struct {
	cfg     Config
	ca      *identity
	signing *ecdsa.PrivateKey

	mu struct {
		sync.Mutex
		serving, kubeletClient *identity
	}
}

// Open loads the keys in cfg.Dir, creating them on the first start. Leaf
// certificates near their end, or lacking a host, are issued anew; the authority
// and the service account key never change.
func Open(cfg Config) (*PKI, error) {
	if cfg.ClusterDomain == "" {
		cfg.ClusterDomain = "cluster.local"
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if _, err := os.Stat(cfg.Dir); errors.Is(err, fs.ErrNotExist) {
		if err := create(cfg); err != nil {
			return nil, fmt.Errorf("create keys in %s: %w", cfg.Dir, err)
		}
	}
	p := &PKI{cfg: cfg}
	if err := p.load(); err != nil {
		return nil, err
	}
	return p, nil
}

// create makes the authority and the signing key in a directory beside the
// final one and renames it, so that a crash leaves nothing half-made.
func create(cfg Config) error {
	parent := filepath.Dir(cfg.Dir)
	if err := os.MkdirAll(parent, 0o700); err != nil {
		return err
	}
	tmp, err := os.MkdirTemp(parent, ".pki-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	ca, err := newCA(cfg.Now())
	if err != nil {
		return err
	}
	data, err := ca.encode()
	if err != nil {
		return err
	}
	key, err := newKey()
	if err != nil {
		return err
	}
	keyData, err := encodeKey(key)
	if err != nil {
		return err
	}
	if err := writeFile(filepath.Join(tmp, fileCA), data, os.Getuid(), os.Getgid()); err != nil {
		return err
	}
	if err := writeFile(filepath.Join(tmp, fileSigning), keyData, os.Getuid(), os.Getgid()); err != nil {
		return err
	}
	return os.Rename(tmp, cfg.Dir)
}

func newCA(now time.Time) (*identity, error) {
	key, err := newKey()
	if err != nil {
		return nil, err
	}
	cert, err := sign(&x509.Certificate{
		Subject:               pkix.Name{CommonName: "pintle-ca"},
		NotBefore:             now.Add(-skew),
		NotAfter:              now.Add(caLife),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
	}, &key.PublicKey, nil, key)
	if err != nil {
		return nil, err
	}
	return &identity{cert: cert, key: key}, nil
}

func (p *PKI) load() error {
	data, err := os.ReadFile(filepath.Join(p.cfg.Dir, fileCA))
	if err != nil {
		return fmt.Errorf("read the cluster's authority: %w", err)
	}
	if p.ca, err = decodeIdentity(data); err != nil {
		return fmt.Errorf("read the cluster's authority in %s: %w", p.cfg.Dir, err)
	}
	if now := p.cfg.Now(); now.After(p.ca.cert.NotAfter) {
		return fmt.Errorf("the cluster's authority in %s ended on %s; move the directory away to make new keys (every kubeconfig and node must then be given anew)",
			p.cfg.Dir, p.ca.cert.NotAfter.Format(time.DateOnly))
	}
	data, err = os.ReadFile(filepath.Join(p.cfg.Dir, fileSigning))
	if err != nil {
		return fmt.Errorf("read the service account key: %w", err)
	}
	if p.signing, err = decodeKey(data); err != nil {
		return fmt.Errorf("read the service account key in %s: %w", p.cfg.Dir, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.renewLocked(&p.mu.serving, fileServing, p.servingTemplate()); err != nil {
		return err
	}
	return p.renewLocked(&p.mu.kubeletClient, fileKubeletClient, p.kubeletClientTemplate())
}

// renewLocked makes *slot an identity that is good for template: the one held,
// else the one on disk, else a new one. p.mu is held.
func (p *PKI) renewLocked(slot **identity, file string, template *x509.Certificate) error {
	if *slot != nil && p.good((*slot).cert, template) {
		return nil
	}
	path := filepath.Join(p.cfg.Dir, file)
	if data, err := os.ReadFile(path); err == nil {
		if id, err := decodeIdentity(data); err == nil && p.good(id.cert, template) {
			*slot = id
			return nil
		}
	}
	id, err := p.issue(template, leafLife)
	if err != nil {
		return err
	}
	data, err := id.encode()
	if err != nil {
		return err
	}
	if err := writeFile(path, data, os.Getuid(), os.Getgid()); err != nil {
		return fmt.Errorf("write certificate %s: %w", path, err)
	}
	*slot = id
	return nil
}

// good reports whether cert is ours, has a third of its life left, and names
// everything template names.
func (p *PKI) good(cert, template *x509.Certificate) bool {
	left := cert.NotAfter.Sub(p.cfg.Now())
	if left < cert.NotAfter.Sub(cert.NotBefore)/3 || cert.CheckSignatureFrom(p.ca.cert) != nil {
		return false
	}
	for _, name := range template.DNSNames {
		if !slices.Contains(cert.DNSNames, name) {
			return false
		}
	}
	for _, ip := range template.IPAddresses {
		if !slices.ContainsFunc(cert.IPAddresses, ip.Equal) {
			return false
		}
	}
	return true
}

func (p *PKI) issue(template *x509.Certificate, life time.Duration) (*identity, error) {
	key, err := newKey()
	if err != nil {
		return nil, err
	}
	now := p.cfg.Now()
	template.NotBefore, template.NotAfter = now.Add(-skew), earlier(now.Add(life), p.ca.cert.NotAfter)
	cert, err := sign(template, &key.PublicKey, p.ca, key)
	if err != nil {
		return nil, err
	}
	return &identity{cert: cert, key: key}, nil
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

func (p *PKI) servingTemplate() *x509.Certificate {
	t := &x509.Certificate{
		Subject:     pkix.Name{CommonName: "kube-apiserver"},
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames: []string{
			"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc",
			"kubernetes.default.svc." + p.cfg.ClusterDomain,
		},
		IPAddresses: append([]net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}, p.cfg.ServiceIPs...),
	}
	for _, host := range p.cfg.Hosts {
		if ip := net.ParseIP(host); ip != nil {
			if !ip.IsUnspecified() {
				t.IPAddresses = append(t.IPAddresses, ip)
			}
		} else if host != "" && !slices.Contains(t.DNSNames, host) {
			t.DNSNames = append(t.DNSNames, host)
		}
	}
	return t
}

func (p *PKI) kubeletClientTemplate() *x509.Certificate {
	return clientTemplate("kube-apiserver-kubelet-client", []string{AdminGroup})
}

func clientTemplate(name string, groups []string) *x509.Certificate {
	return &x509.Certificate{
		Subject:     pkix.Name{CommonName: name, Organization: groups},
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
}

// ServingCertificate is for tls.Config.GetCertificate: what the server presents,
// renewed in time.
func (p *PKI) ServingCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.renewLocked(&p.mu.serving, fileServing, p.servingTemplate()); err != nil {
		return nil, err
	}
	return p.mu.serving.tls(), nil
}

// KubeletClientCertificate is for tls.Config.GetClientCertificate: what the
// server presents when it dials a node agent.
func (p *PKI) KubeletClientCertificate(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.renewLocked(&p.mu.kubeletClient, fileKubeletClient, p.kubeletClientTemplate()); err != nil {
		return nil, err
	}
	return p.mu.kubeletClient.tls(), nil
}

// ServiceAccountKey signs service account tokens.
func (p *PKI) ServiceAccountKey() *ecdsa.PrivateKey { return p.signing }

// CA is the cluster's authority, for clients (kube-root-ca.crt) in PEM.
func (p *PKI) CA() []byte { return p.ca.certPEM() }

// Pool trusts the cluster's authority alone: the roots for client certificates
// and for the agents' serving certificates.
func (p *PKI) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(p.ca.cert)
	return pool
}
