package authn

import (
	"crypto/sha256"
	"crypto/x509"
	"net/http"
	"time"

	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/request/headerrequest"
	requestx509 "k8s.io/apiserver/pkg/authentication/request/x509"
	"k8s.io/utils/lru"
)

const (
	rememberedCertificates = 1024
	// rememberFor bounds how long a verified certificate is taken at its word.
	rememberFor = 5 * time.Minute
)

// certificates authenticates client certificates. Verifying a chain costs more
// than most requests, and a connection sends many with one certificate; so the
// answer is remembered for single certificates, by their bytes.
type certificates struct {
	verifier authenticator.Request
	now      func() time.Time
	seen     *lru.Cache // sha256 of the certificate -> remembered
}

type remembered struct {
	response *authenticator.Response
	until    time.Time
}

func newCertificates(roots *x509.CertPool, now func() time.Time) *certificates {
	options := requestx509.DefaultVerifyOptions()
	options.Roots = roots
	return &certificates{
		verifier: requestx509.New(options, requestx509.CommonNameUserConversion),
		now:      now,
		seen:     lru.New(rememberedCertificates),
	}
}

// namingUser asks about front proxies only if a request names a user in a header, as
// theirs all do: verifying the certificate comes before the look at the headers.
type namingUser struct {
	authenticator.Request
	headers headerrequest.StringSliceProvider
}

// AuthenticateRequest implements authenticator.Request.
func (n namingUser) AuthenticateRequest(req *http.Request) (*authenticator.Response, bool, error) {
	for _, header := range n.headers.Value() {
		if req.Header.Get(header) != "" {
			return n.Request.AuthenticateRequest(req)
		}
	}
	return nil, false, nil
}

// AuthenticateRequest implements authenticator.Request.
func (c *certificates) AuthenticateRequest(req *http.Request) (*authenticator.Response, bool, error) {
	if req.TLS == nil || len(req.TLS.PeerCertificates) != 1 {
		return c.verifier.AuthenticateRequest(req)
	}
	leaf := req.TLS.PeerCertificates[0]
	key, now := sha256.Sum256(leaf.Raw), c.now()
	if value, ok := c.seen.Get(key); ok && now.Before(value.(remembered).until) {
		return value.(remembered).response, true, nil
	}
	response, ok, err := c.verifier.AuthenticateRequest(req)
	if ok && err == nil {
		until := now.Add(rememberFor)
		if leaf.NotAfter.Before(until) {
			until = leaf.NotAfter
		}
		c.seen.Add(key, remembered{response: response, until: until})
	}
	return response, ok, err
}
