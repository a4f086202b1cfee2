package app

import (
	"crypto/tls"
	"encoding/pem"

	"github.com/pintle-io/pintle/engine/auth/pki"
)

// clientTLS presents the API server's certificate to node agents and trusts the
// cluster's authority alone.
func clientTLS(keys *pki.PKI) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12, RootCAs: keys.Pool(), GetClientCertificate: keys.KubeletClientCertificate,
	}
}

// servingChain is the API's certificate with the cluster's authority behind it,
// which lets a joining node find the one its token names.
func servingChain(keys *pki.PKI) func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	ca, _ := pem.Decode(keys.CA())
	return func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		leaf, err := keys.ServingCertificate(hello)
		if err != nil {
			return nil, err
		}
		chain := *leaf
		chain.Certificate = append(leaf.Certificate[:1:1], ca.Bytes)
		return &chain, nil
	}
}
