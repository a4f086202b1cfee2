package apiserver

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/netip"

	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/apiserver/pkg/server/dynamiccertificates"
)

func secureServing(cfg *Config) (*genericapiserver.SecureServingInfo, error) {
	info := &genericapiserver.SecureServingInfo{
		Listener:      cfg.Listener,
		Cert:          certificate{cfg.Certificate},
		MinTLSVersion: tls.VersionTLS12,
	}
	if len(cfg.ClientCA) > 0 {
		ca, err := dynamiccertificates.NewStaticCAContent("client-ca", cfg.ClientCA)
		if err != nil {
			return nil, fmt.Errorf("apiserver: client CA: %w", err)
		}
		info.ClientCA = ca
	}
	if h := cfg.Filters.RequestHeader; h != nil {
		if info.ClientCA == nil {
			info.ClientCA = h.CAContentProvider
		} else {
			info.ClientCA = dynamiccertificates.NewUnionCAContentProvider(info.ClientCA, h.CAContentProvider)
		}
	}
	return info, nil
}

// certificate offers a certificate function as upstream's content provider, which
// looks again every minute.
type certificate struct {
	get func(*tls.ClientHelloInfo) (*tls.Certificate, error)
}

var _ dynamiccertificates.CertKeyContentProvider = certificate{}

// Name implements dynamiccertificates.CertKeyContentProvider.
func (certificate) Name() string { return "serving-certificate" }

// AddListener implements dynamiccertificates.Notifier; nobody needs to be told.
func (certificate) AddListener(dynamiccertificates.Listener) {}

// CurrentCertKeyContent returns the PEM forms, or nothing if there is no
// certificate, which upstream treats as not yet loaded.
func (c certificate) CurrentCertKeyContent() (cert, key []byte) {
	current, err := c.get(&tls.ClientHelloInfo{})
	if err != nil {
		return nil, nil
	}
	der, err := x509.MarshalPKCS8PrivateKey(current.PrivateKey)
	if err != nil {
		return nil, nil
	}
	var chain bytes.Buffer
	for _, block := range current.Certificate {
		_ = pem.Encode(&chain, &pem.Block{Type: "CERTIFICATE", Bytes: block})
	}
	return chain.Bytes(), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

func isLoopback(remote string) bool {
	addr, err := netip.ParseAddrPort(remote)
	return err == nil && addr.Addr().Unmap().IsLoopback()
}
