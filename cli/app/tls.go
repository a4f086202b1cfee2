package app

import (
	"crypto/tls"

	"github.com/pintle-io/pintle/engine/auth/pki"
)

// clientTLS presents the API server's certificate to node agents and trusts the
// cluster's authority alone.
func clientTLS(keys *pki.PKI) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12, RootCAs: keys.Pool(), GetClientCertificate: keys.KubeletClientCertificate,
	}
}
