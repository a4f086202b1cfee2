package pki

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"time"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// ClientCertificate issues a client certificate for name in groups and returns
// it and its key in PEM. The life ends with the authority's at the latest.
func (p *PKI) ClientCertificate(name string, groups []string, life time.Duration) (cert, key []byte, err error) {
	id, err := p.issue(clientTemplate(name, groups), life)
	if err != nil {
		return nil, nil, err
	}
	if key, err = id.keyPEM(); err != nil {
		return nil, nil, err
	}
	return id.certPEM(), key, nil
}

// SignRequest signs a PEM certificate request with the usages given: the work of
// the certificate signing controller, which has decided that it may be signed.
// Subject and alternative names are taken from the request as they are.
func (p *PKI) SignRequest(request []byte, usage x509.KeyUsage, extended []x509.ExtKeyUsage, life time.Duration) ([]byte, error) {
	block, _ := pem.Decode(request)
	if block == nil || block.Type != "CERTIFICATE REQUEST" {
		return nil, errors.New("decode certificate request: no \"CERTIFICATE REQUEST\" block")
	}
	csr, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("decode certificate request: %w", err)
	}
	if err := csr.CheckSignature(); err != nil {
		return nil, fmt.Errorf("check certificate request %q: %w", csr.Subject.CommonName, err)
	}
	now := p.cfg.Now()
	cert, err := sign(&x509.Certificate{
		Subject:               csr.Subject,
		DNSNames:              csr.DNSNames,
		IPAddresses:           csr.IPAddresses,
		EmailAddresses:        csr.EmailAddresses,
		URIs:                  csr.URIs,
		NotBefore:             now.Add(-skew),
		NotAfter:              earlier(now.Add(life), p.ca.cert.NotAfter),
		KeyUsage:              usage,
		ExtKeyUsage:           extended,
		BasicConstraintsValid: true,
	}, csr.PublicKey, p.ca, p.ca.key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: pemCertificate, Bytes: cert.Raw}), nil
}

// Kubeconfig is where and how an administrator's kubeconfig is written.
type Kubeconfig struct {
	// Path is the file. Other clusters it already names are kept.
	Path string
	// Server is the URL clients use.
	Server string
	// Name is of the cluster, the user and the context; "pintle" if empty.
	Name string
	// UID and GID own the file: the user who ran the command.
	UID, GID int
}

// WriteKubeconfig issues an administrator's certificate and writes it to a
// kubeconfig of mode 0600, replaced in one step, with its context selected.
func (p *PKI) WriteKubeconfig(k Kubeconfig) error {
	if k.Name == "" {
		k.Name = "pintle"
	}
	config, err := loadKubeconfig(k.Path)
	if err != nil {
		return err
	}
	cert, key, err := p.ClientCertificate(AdminName, []string{AdminGroup}, leafLife)
	if err != nil {
		return err
	}
	config.Clusters[k.Name] = &clientcmdapi.Cluster{Server: k.Server, CertificateAuthorityData: p.CA()}
	config.AuthInfos[k.Name] = &clientcmdapi.AuthInfo{ClientCertificateData: cert, ClientKeyData: key}
	config.Contexts[k.Name] = &clientcmdapi.Context{Cluster: k.Name, AuthInfo: k.Name}
	config.CurrentContext = k.Name
	data, err := clientcmd.Write(*config)
	if err != nil {
		return fmt.Errorf("encode kubeconfig: %w", err)
	}
	if err := writeFile(k.Path, data, k.UID, k.GID); err != nil {
		return fmt.Errorf("write kubeconfig %s: %w", k.Path, err)
	}
	return nil
}

func loadKubeconfig(path string) (*clientcmdapi.Config, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return clientcmdapi.NewConfig(), nil
	}
	if err != nil {
		return nil, fmt.Errorf("read kubeconfig: %w", err)
	}
	config, err := clientcmd.Load(data)
	if err != nil {
		return nil, fmt.Errorf("%s exists and is not a kubeconfig; name another file: %w", path, err)
	}
	return config, nil
}
