package apiserver_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/pintle-io/pintle/engine/apiserver"
	"github.com/pintle-io/pintle/engine/apiserver/auditlog"
	"github.com/pintle-io/pintle/engine/registry"
)

// BenchmarkFilters shows what priority and fairness and the audit log with its default
// policy add to a read and a write, without the network.
func BenchmarkFilters(b *testing.B) {
	for _, v := range []struct {
		name            string
		fairness, audit bool
	}{{"plain", false, false}, {"fairness", true, false}, {"audit", false, true}, {"both", true, true}} {
		b.Run(v.name, func(b *testing.B) {
			e := start(b, func(_ *registry.Config, c *apiserver.Config) {
				c.Authenticator, c.Filters = named, apiserver.Filters{NoFairness: !v.fairness}
				if v.audit {
					var err error
					if c.Audit, c.AuditPolicy, err = auditlog.New(auditlog.Config{Path: filepath.Join(b.TempDir(), "log"), MaxSize: 16, MaxBackups: 1}); err != nil {
						b.Fatal(err)
					}
				}
			})
			e.namespace(b, "bench")
			serve := func(method, path string, body []byte) {
				req := httptest.NewRequest(method, path, bytes.NewReader(body))
				req.Header = as("somebody")
				req.Header.Set("Content-Type", "application/json")
				w := httptest.NewRecorder()
				e.server.Handler().ServeHTTP(w, req)
				if w.Code >= http.StatusMultipleChoices {
					b.Fatal(w.Code, w.Body.String())
				}
			}
			b.Run("get", func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					serve(http.MethodGet, "/api/v1/namespaces/bench", nil)
				}
			})
			b.Run("create", func(b *testing.B) {
				b.ReportAllocs()
				n := 0
				for b.Loop() {
					n++
					serve(http.MethodPost, "/api/v1/namespaces/bench/configmaps", []byte(`{"metadata":{"name":"c`+strconv.Itoa(b.N)+"-"+strconv.Itoa(n)+`"}}`))
				}
			})
		})
	}
}
