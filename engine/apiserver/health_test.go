package apiserver_test

import (
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/pintle-io/pintle/engine/apiserver"
	"github.com/pintle-io/pintle/engine/registry"
)

// get fetches a path as nobody.
func (e *environment) get(t *testing.T, path string, header http.Header) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, e.rest.Host+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if header != nil {
		req.Header = header
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true, DisableCompression: true}
	defer transport.CloseIdleConnections()
	response, err := transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, string(body)
}

func TestHealthMetricsAndUnknownCallers(t *testing.T) {
	e := start(t, func(_ *registry.Config, c *apiserver.Config) {
		c.Authenticator = authenticator.RequestFunc(func(req *http.Request) (*authenticator.Response, bool, error) {
			if strings.HasSuffix(req.URL.Path, "z") || req.Header.Get("Authorization") != "" || req.TLS == nil {
				return &authenticator.Response{User: &user.DefaultInfo{Name: "somebody"}}, true, nil
			}
			return nil, false, nil
		})
		c.Paths = map[string]http.Handler{"/extra": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "extra") })}
	})
	// The checks include hooks that run after the start; nothing announces their end.
	err := wait.PollUntilContextTimeout(e.ctx, 10*time.Millisecond, 10*time.Second, true, func(context.Context) (bool, error) {
		r, _ := e.get(t, "/readyz", nil)
		return r.StatusCode == http.StatusOK, nil
	})
	if err != nil {
		t.Fatal("ready:", err)
	}
	for _, path := range []string{"/healthz", "/livez"} {
		if r, body := e.get(t, path, nil); r.StatusCode != http.StatusOK || body != "ok" {
			t.Errorf("%s: %d %s", path, r.StatusCode, body)
		}
	}
	r, body := e.get(t, "/livez?verbose", nil)
	if r.StatusCode != http.StatusOK || !strings.Contains(body, "[+]ping ok") || r.ProtoMajor != 2 {
		t.Errorf("verbose: %s %d\n%s", r.Proto, r.StatusCode, body)
	}
	if r, body := e.get(t, "/api/v1/pods", nil); r.StatusCode != http.StatusUnauthorized || !strings.Contains(body, `"reason":"Unauthorized"`) {
		t.Errorf("unknown caller: %d %s", r.StatusCode, body)
	}
	known := http.Header{"Authorization": {"Bearer x"}, "Accept-Encoding": {"gzip"}}
	if r, body := e.get(t, "/extra", known); r.StatusCode != http.StatusOK || body != "extra" {
		t.Errorf("extra path: %d %s", r.StatusCode, body)
	}
	if r, body := e.get(t, "/metrics", known); r.StatusCode != http.StatusOK || !strings.Contains(body, "apiserver_request_total") {
		t.Errorf("metrics: %d", r.StatusCode)
	} else {
		for _, filter := range []string{"authentication", "audit", "constrainedimpersonation", "priorityandfairness", "authorization"} {
			if !strings.Contains(body, `apiserver_request_filter_duration_seconds_count{filter="`+filter+`"}`) {
				t.Errorf("metrics: nothing says how long the filter %s takes", filter)
			}
		}
	}
	if r, _ := e.get(t, "/api/v1/namespaces", known); r.StatusCode != http.StatusOK || r.Header.Get("Content-Encoding") != "" || r.Header.Get("Cache-Control") != "no-cache, private" {
		t.Errorf("list: %d %v", r.StatusCode, r.Header)
	}
}
