package main

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"os"
	"strings"
)

//go:embed page.html
var pageText string

var page = template.Must(template.New("page").Parse(pageText))

// site is the page with all that it shows.
type site struct {
	counter, greetingFile, title, token string
	pod, podIP, node                    string
	client                              *http.Client
	logger                              *slog.Logger
}

// view is what the page is made from.
type view struct {
	Title, Greeting string
	Visits          int
	CounterError    string
	SecretBytes     int
	Pod, IP, Node   string
}

func (s *site) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.index)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", s.ready)
	return mux
}

// index counts a visit. Without the back end the page still comes, and says so.
func (s *site) index(w http.ResponseWriter, r *http.Request) {
	v := view{
		Title: s.title, Greeting: s.greeting(), SecretBytes: len(s.token),
		Pod: s.pod, IP: s.podIP, Node: s.node,
	}
	status := http.StatusOK
	visits, err := s.ask(r.Context(), http.MethodPost)
	if err != nil {
		s.logger.Warn("the counter does not answer", "err", err)
		v.CounterError, status = err.Error(), http.StatusBadGateway
	}
	v.Visits = visits
	var buf bytes.Buffer
	if err := page.Execute(&buf, v); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(buf.Bytes())
}

// ready tells whether a visit could be counted, without counting one.
func (s *site) ready(w http.ResponseWriter, r *http.Request) {
	if _, err := s.ask(r.Context(), http.MethodGet); err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	_, _ = fmt.Fprintln(w, "ok")
}

// greeting is read each time: the file follows its ConfigMap.
func (s *site) greeting() string {
	data, err := os.ReadFile(s.greetingFile)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(data))
}

// ask talks to the counter and answers its count.
func (s *site) ask(ctx context.Context, method string) (int, error) {
	req, err := http.NewRequestWithContext(ctx, method, s.counter+"/visits", nil)
	if err != nil {
		return 0, err
	}
	res, err := s.client.Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("the counter answered %s", res.Status)
	}
	var body struct{ Visits int }
	err = json.NewDecoder(res.Body).Decode(&body)
	return body.Visits, err
}
