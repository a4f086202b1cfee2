package main

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func get(t *testing.T, h http.Handler, path string) (int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
	body, err := io.ReadAll(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	return w.Code, string(body)
}

func TestPage(t *testing.T) {
	var posts int
	counter := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			posts++
		}
		_, _ = w.Write([]byte(`{"visits":42}`))
	}))
	file := filepath.Join(t.TempDir(), "greeting")
	if err := os.WriteFile(file, []byte("Hello <world>\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := &site{
		counter: counter.URL, greetingFile: file, title: "Demo", token: "hush-hush", pod: "web-1", node: "node-0",
		client: counter.Client(), logger: slog.New(slog.DiscardHandler),
	}
	code, body := get(t, s.handler(), "/")
	for _, want := range []string{`id="visits">42<`, "Hello &lt;world&gt;", "present (9 bytes)", "web-1", "node-0"} {
		if code != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("status %d, the page lacks %q", code, want)
		}
	}
	if strings.Contains(body, "hush-hush") {
		t.Error("the page shows the secret")
	}
	if code, _ = get(t, s.handler(), "/readyz"); code != http.StatusOK || posts != 1 {
		t.Errorf("ready: %d; visits counted: %d, want 1", code, posts)
	}
	counter.Close()
	if code, body = get(t, s.handler(), "/"); code != http.StatusBadGateway || !strings.Contains(body, "does not answer") {
		t.Errorf("without the counter: %d", code)
	}
	if code, _ = get(t, s.handler(), "/readyz"); code != http.StatusServiceUnavailable {
		t.Errorf("ready without the counter: %d", code)
	}
	if code, _ = get(t, s.handler(), "/healthz"); code != http.StatusOK {
		t.Errorf("alive without the counter: %d", code)
	}
}
