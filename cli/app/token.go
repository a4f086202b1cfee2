package app

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"
)

// JoinToken lets a machine join a cluster: a bootstrap token of the API, and the
// hash of the cluster's authority, so that the machine knows whom it joins.
type JoinToken struct {
	// Bearer is "id.secret", as Kubernetes' bootstrap tokens.
	Bearer string
	// CAHash is the SHA-256 of the authority's certificate.
	CAHash [sha256.Size]byte
}

// String is what `pintle agent --token` takes: id.secret.hash.
func (t JoinToken) String() string { return t.Bearer + "." + hex.EncodeToString(t.CAHash[:]) }

// ParseJoinToken reads what String wrote.
func ParseJoinToken(s string) (JoinToken, error) {
	var t JoinToken
	parts := strings.Split(s, ".")
	if len(parts) != 3 {
		return t, errors.New("--token: want ID.SECRET.HASH, as `pintle token` prints it")
	}
	hash, err := hex.DecodeString(parts[2])
	if err != nil || len(hash) != len(t.CAHash) {
		return t, errors.New("--token: the part after the last dot is not the hash of a cluster's authority")
	}
	t.Bearer = parts[0] + "." + parts[1]
	copy(t.CAHash[:], hash)
	return t, nil
}

func caHash(pemBytes []byte) ([sha256.Size]byte, error) {
	block, _ := pem.Decode(pemBytes)
	if block == nil {
		return [sha256.Size]byte{}, errors.New("the cluster's authority is not in PEM form")
	}
	return sha256.Sum256(block.Bytes), nil
}

// FetchCA asks the server for its certificate chain and returns the authority in
// it whose hash the token names, in PEM. A server that does not present it, or
// whose own certificate it did not sign, is refused.
func (t JoinToken) FetchCA(server string) ([]byte, error) {
	u, err := url.Parse(server)
	if err != nil || u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("--server %q: want https://ADDR:PORT", server)
	}
	// The chain is verified below, against the one certificate the token names.
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: 10 * time.Second}, "tcp", u.Host, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		return nil, fmt.Errorf("reach the server %s: %w", server, err)
	}
	defer conn.Close()
	chain := conn.ConnectionState().PeerCertificates
	for _, cert := range chain {
		if sha256.Sum256(cert.Raw) != t.CAHash {
			continue
		}
		roots := x509.NewCertPool()
		roots.AddCert(cert)
		if _, err := chain[0].Verify(x509.VerifyOptions{Roots: roots, DNSName: u.Hostname()}); err != nil {
			return nil, fmt.Errorf("the server %s: %w", server, err)
		}
		return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}), nil
	}
	return nil, fmt.Errorf("the server %s is not of the cluster that the token is for", server)
}
