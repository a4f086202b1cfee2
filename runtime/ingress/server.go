package ingress

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"
)

// Bounds of clients' connections.
const (
	headerTimeout = 30 * time.Second
	clientIdle    = 2 * time.Minute
	maxHeader     = 64 << 10
	// drainTimeout is how long requests may run on when the listeners close.
	drainTimeout = 5 * time.Second
)

// server holds the listeners while there are any. Only Run's goroutine opens and
// closes it.
type server struct {
	handler http.Handler
	tls     *tls.Config
	log     *slog.Logger
	open    []*http.Server
	wg      sync.WaitGroup
}

func newServer(table func() *Table, h http.Handler, log *slog.Logger) (*server, error) {
	own, err := ownCertificate(time.Now())
	if err != nil {
		return nil, err
	}
	return &server{handler: h, log: log, tls: &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			if c := table().Certificate(hello.ServerName); c != nil {
				return c, nil
			}
			return own, nil
		},
	}}, nil
}

// listen opens what is closed: the first address plain, the second with TLS.
func (s *server) listen(ctx context.Context, plain, secure netip.AddrPort) error {
	if len(s.open) > 0 {
		return nil
	}
	var lc net.ListenConfig
	first, err := lc.Listen(ctx, "tcp", plain.String())
	if err != nil {
		return err
	}
	second, err := lc.Listen(ctx, "tcp", secure.String())
	if err != nil {
		return errors.Join(err, first.Close())
	}
	s.serve(func(h *http.Server) error { return h.Serve(first) })
	s.serve(func(h *http.Server) error { return h.ServeTLS(second, "", "") })
	return nil
}

func (s *server) serve(run func(*http.Server) error) {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	h := &http.Server{
		Handler: s.handler, TLSConfig: s.tls.Clone(), Protocols: protocols,
		ReadHeaderTimeout: headerTimeout, IdleTimeout: clientIdle, MaxHeaderBytes: maxHeader,
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	s.open = append(s.open, h)
	s.wg.Go(func() {
		if err := run(h); !errors.Is(err, http.ErrServerClosed) {
			s.log.Error("ingress listener ended", "err", err)
		}
	})
}

// close stops listening at once; requests that run have some time to end.
func (s *server) close() {
	for _, h := range s.open {
		s.wg.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), drainTimeout)
			defer cancel()
			if h.Shutdown(ctx) != nil {
				_ = h.Close()
			}
		})
	}
	s.open = nil
}

func (s *server) wait() { s.wg.Wait() }

// ownCertificate is for hosts that no Secret has one for. Nobody trusts it, but who
// does not verify sees an answer that says what is wrong.
func ownCertificate(now time.Time) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: "Pintle ingress default certificate"},
		DNSNames: []string{"ingress.pintle.invalid"}, NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(10, 0, 0),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}
