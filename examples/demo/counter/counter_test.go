package main

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
)

func TestCounter(t *testing.T) {
	path := filepath.Join(t.TempDir(), "visits.json")
	c, err := open(path)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(c.handler("secret"))
	defer srv.Close()
	for _, step := range []struct {
		method, path, token string
		status, visits      int
	}{
		{"GET", "/visits", "", 200, 0},
		{"PUT", "/visits?seed=41", "", 401, 0},
		{"PUT", "/visits?seed=41", "wrong", 401, 0},
		{"PUT", "/visits?seed=many", "secret", 400, 0},
		{"PUT", "/visits?seed=41", "secret", 200, 41},
		{"POST", "/visits", "", 200, 42},
		{"PUT", "/visits?seed=7", "secret", 200, 42}, // a Job that runs again changes nothing
		{"GET", "/healthz", "", 200, 42},
	} {
		req, err := http.NewRequestWithContext(t.Context(), step.method, srv.URL+step.path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+step.token)
		res, err := srv.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != step.status || c.visits() != step.visits {
			t.Errorf("%s %s: status %d, %d visits; want %d, %d", step.method, step.path, res.StatusCode, c.visits(), step.status, step.visits)
		}
	}
	again, err := open(path)
	if err != nil || again.visits() != 42 {
		t.Errorf("after a restart: %d visits, %v", again.visits(), err)
	}
}

func TestSeed(t *testing.T) {
	c, err := open(filepath.Join(t.TempDir(), "visits.json"))
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(c.handler("secret"))
	defer srv.Close()
	if err := seed(t.Context(), srv.Client(), srv.URL, "5", "secret"); err != nil || c.visits() != 5 {
		t.Errorf("seeded: %d, %v", c.visits(), err)
	}
	if err := seedOnce(t.Context(), srv.Client(), srv.URL, "5", "wrong"); err == nil || !strings.Contains(err.Error(), "401") {
		t.Errorf("with the wrong token: %v", err)
	}
}
