package ingress

import (
	"crypto/tls"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"time"
)

// Bounds of connections to endpoints.
const (
	dialTimeout = 2 * time.Second
	idleTimeout = 30 * time.Second
	idlePerHost = 64
	// attempts is how many endpoints are tried for a request that none has got yet.
	attempts = 3
)

// balancer sends each request to an endpoint of the backend in its context, chosen at
// random, and to another one if that cannot be connected to.
type balancer struct{ transports map[Protocol]*http.Transport }

func newBalancer() *balancer {
	return &balancer{map[Protocol]*http.Transport{
		ProtocolHTTP:  transport(func(p *http.Protocols) { p.SetHTTP1(true) }),
		ProtocolHTTPS: transport(func(p *http.Protocols) { p.SetHTTP1(true) }),
		ProtocolH2C:   transport(func(p *http.Protocols) { p.SetUnencryptedHTTP2(true) }),
	}}
}

func transport(speak func(*http.Protocols)) *http.Transport {
	protocols := new(http.Protocols)
	speak(protocols)
	dialer := &net.Dialer{Timeout: dialTimeout, KeepAlive: idleTimeout}
	return &http.Transport{
		DialContext: dialer.DialContext, Protocols: protocols,
		MaxIdleConnsPerHost: idlePerHost, IdleConnTimeout: idleTimeout, TLSHandshakeTimeout: 5 * time.Second,
		DisableCompression: true, // bodies pass as they are
		// An Ingress cannot say whom to trust: what vouches for a pod is its address.
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12},
	}
}

// RoundTrip implements http.RoundTripper.
func (b *balancer) RoundTrip(r *http.Request) (*http.Response, error) {
	backend := r.Context().Value(backendKey{}).(*Backend)
	at := rand.IntN(len(backend.Endpoints))
	var err error
	for range min(attempts, len(backend.Endpoints)) {
		var resp *http.Response
		resp, err = b.transports[backend.Protocol].RoundTrip(towards(r, backend, at))
		if err == nil || !undelivered(err) || r.Context().Err() != nil {
			closeBody(r, err)
			return resp, err
		}
		at = (at + 1) % len(backend.Endpoints)
	}
	closeBody(r, err)
	return nil, err
}

// towards is the request for one endpoint. Its body is still open if the attempt
// fails.
func towards(r *http.Request, backend *Backend, at int) *http.Request {
	out := r.Clone(r.Context())
	out.URL = new(url.URL)
	*out.URL = *r.URL
	out.URL.Scheme, out.URL.Host = "http", backend.Endpoints[at].String()
	if backend.Protocol == ProtocolHTTPS {
		out.URL.Scheme = "https"
	}
	if r.Body != nil && r.Body != http.NoBody {
		out.Body = io.NopCloser(r.Body)
	}
	return out
}

// closeBody keeps a RoundTripper's promise for a request that failed; otherwise the
// server closes the body when the handler ends.
func closeBody(r *http.Request, err error) {
	if err != nil && r.Body != nil {
		_ = r.Body.Close()
	}
}

// undelivered says that nothing of the request went out, so it may go elsewhere.
func undelivered(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

func (b *balancer) close() {
	for _, t := range b.transports {
		t.CloseIdleConnections()
	}
}
