package ingress

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httputil"
	"strings"
	"sync"
)

// handler answers requests by a table that may change between them.
type handler struct {
	table func() *Table
	proxy *httputil.ReverseProxy
}

type backendKey struct{}

func newHandler(table func() *Table, transport http.RoundTripper, log *slog.Logger) *handler {
	return &handler{table: table, proxy: &httputil.ReverseProxy{
		Transport: transport, BufferPool: newBuffers(),
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.Host = r.In.Host
			// What the client says of itself is not believed.
			r.SetXForwarded()
		},
		ErrorHandler: explain,
		ErrorLog:     slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}}
}

// ServeHTTP implements http.Handler.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := r.URL.Path
	if climbs(path) {
		// A backend might resolve it to a path that the rules lead elsewhere.
		refuse(w, http.StatusBadRequest, "the path has a .. element")
		return
	}
	backend := h.table().Lookup(r.Host, path)
	switch {
	case backend == nil:
		refuse(w, http.StatusNotFound, fmt.Sprintf("no ingress has a rule for host %q and path %q", r.Host, path))
	case len(backend.Endpoints) == 0:
		refuse(w, http.StatusServiceUnavailable, fmt.Sprintf("ingress %s: %s", backend.Ingress, backend.Broken))
	default:
		h.proxy.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), backendKey{}, backend)))
	}
}

func climbs(path string) bool {
	return strings.Contains(path, "/../") || strings.HasSuffix(path, "/..")
}

// explain answers for a backend that did not.
func explain(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil {
		panic(http.ErrAbortHandler) // the client is gone
	}
	status := http.StatusBadGateway
	if timeout := net.Error(nil); errors.As(err, &timeout) && timeout.Timeout() {
		status = http.StatusGatewayTimeout
	}
	backend := r.Context().Value(backendKey{}).(*Backend)
	refuse(w, status, fmt.Sprintf("ingress %s: service %s: %v", backend.Ingress, backend.Target, err))
}

func refuse(w http.ResponseWriter, status int, why string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, fmt.Sprintf("%d %s\n%s\n", status, http.StatusText(status), why))
}

// buffers lets copies of bodies share memory.
type buffers struct{ pool sync.Pool }

func newBuffers() *buffers {
	return &buffers{sync.Pool{New: func() any { b := make([]byte, 32<<10); return &b }}}
}

// Get implements httputil.BufferPool.
func (b *buffers) Get() []byte { return *b.pool.Get().(*[]byte) }

// Put implements httputil.BufferPool.
func (b *buffers) Put(buf []byte) { b.pool.Put(&buf) }
