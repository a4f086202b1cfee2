package robustness

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/client-go/rest"
)

const webhookPath = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"

// evil is a TLS server and its certificate for a caBundle.
func evil(t *testing.T, answer http.HandlerFunc) (url, bundle string) {
	t.Helper()
	server := httptest.NewTLSServer(answer)
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	return server.URL, base64.StdEncoding.EncodeToString(cert)
}

// evilAnswers are those of a server that is asked for its opinion.
func evilAnswers(release <-chan struct{}) map[string]http.HandlerFunc {
	return map[string]http.HandlerFunc{
		"hangs": func(_ http.ResponseWriter, req *http.Request) {
			// Once its body is read, the end of the request is noticed.
			_, _ = io.Copy(io.Discard, req.Body)
			select {
			case <-release:
			case <-req.Context().Done():
			}
		},
		"never ends": func(w http.ResponseWriter, req *http.Request) {
			w.Header().Set("Content-Type", asJSON)
			block := bytes.Repeat([]byte(" "), 1<<20)
			for req.Context().Err() == nil {
				if _, err := w.Write(block); err != nil {
					return
				}
			}
		},
		"is deep":          func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, nested("[", "", "]", 1<<20)) },
		"is noise":         func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "\x00\xff") },
		"sends elsewhere":  func(w http.ResponseWriter, req *http.Request) { http.Redirect(w, req, "/again", http.StatusFound) },
		"closes":           func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"has long headers": func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X", strings.Repeat("x", 20<<20)) },
	}
}

// A webhook that misbehaves fails what it is asked about, in time, and nothing else.
func TestHostileWebhooks(t *testing.T) {
	s := besiege(t)
	release := make(chan struct{})
	defer close(release)
	for name, answer := range evilAnswers(release) {
		t.Run(name, func(t *testing.T) {
			url, bundle := evil(t, answer)
			hook := fmt.Appendf(nil, `{"apiVersion":"admissionregistration.k8s.io/v1","kind":"ValidatingWebhookConfiguration","metadata":{"name":"hostile"},
"webhooks":[{"name":"hook.hostile.test","admissionReviewVersions":["v1"],"sideEffects":"None","timeoutSeconds":2,"clientConfig":{"url":%q,"caBundle":%q},
"rules":[{"apiGroups":[""],"apiVersions":["v1"],"operations":["CREATE"],"resources":["secrets"]}]}]}`, url, bundle)
			if a, err := s.send(t.Context(), call{method: http.MethodPost, path: webhookPath, contentType: asJSON, body: hook}); err != nil || a.code != http.StatusCreated {
				t.Fatalf("%d %s %v", a.code, a.body, err)
			}
			secret := []byte(`{"apiVersion":"v1","kind":"Secret","metadata":{"generateName":"hostile-"}}`)
			create := call{method: http.MethodPost, path: "/api/v1/namespaces/default/secrets", contentType: asJSON, body: secret}
			eventually(t, 20*time.Second, "the webhook to be asked", func(ctx context.Context) (bool, string) {
				a, err := s.send(ctx, create)
				return err == nil && a.code != http.StatusCreated, fmt.Sprint(a.code, err)
			})
			s.under(t, crowded, func(t *testing.T) {
				var group sync.WaitGroup
				for range 20 {
					group.Go(func() {
						began := time.Now()
						a, err := s.send(t.Context(), create)
						if err != nil {
							t.Error(err)
							return
						}
						a.refused(t, http.StatusInternalServerError, "hook.hostile.test")
						if took := time.Since(began); took > 10*time.Second {
							t.Errorf("answered after %s, the webhook has 2 s", took)
						}
					})
				}
				group.Wait()
			})
			if a, err := s.send(t.Context(), call{method: http.MethodDelete, path: webhookPath + "/hostile"}); err != nil || a.code != http.StatusOK {
				t.Errorf("%d %s %v", a.code, a.body, err)
			}
		})
	}
}

// An extension server that misbehaves makes its own group unavailable, and leaves
// discovery and all other groups alone.
func TestHostileExtensionServers(t *testing.T) {
	s := besiege(t)
	release := make(chan struct{})
	defer close(release)
	for name, answer := range evilAnswers(release) {
		t.Run(name, func(t *testing.T) {
			url, _ := evil(t, answer)
			_, port, err := net.SplitHostPort(strings.TrimPrefix(url, "https://"))
			if err != nil {
				t.Fatal(err)
			}
			for path, body := range map[string]string{
				"/api/v1/namespaces/default/services": `{"apiVersion":"v1","kind":"Service","metadata":{"name":"evil"},"spec":{"type":"ExternalName","externalName":"127.0.0.1","ports":[{"port":` + port + `}]}}`,
				"/apis/apiregistration.k8s.io/v1/apiservices": `{"apiVersion":"apiregistration.k8s.io/v1","kind":"APIService","metadata":{"name":"v1.evil.test"},
"spec":{"group":"evil.test","version":"v1","groupPriorityMinimum":1,"versionPriority":1,"insecureSkipTLSVerify":true,"service":{"namespace":"default","name":"evil","port":` + port + `}}}`,
			} {
				if a, err := s.send(t.Context(), call{method: http.MethodPost, path: path, contentType: asJSON, body: []byte(body)}); err != nil || a.code != http.StatusCreated {
					t.Fatalf("%d %s %v", a.code, a.body, err)
				}
			}
			s.under(t, crowded, func(t *testing.T) {
				began := time.Now()
				if _, err := s.kube.Discovery().ServerGroups(); err != nil {
					t.Errorf("discovery: %v", err)
				}
				if a, err := s.send(t.Context(), call{method: http.MethodGet, path: "/openapi/v2"}); err != nil || a.code != http.StatusOK {
					t.Errorf("OpenAPI: %d %v", a.code, err)
				}
				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
				defer cancel()
				a, err := s.send(ctx, call{method: http.MethodGet, path: "/apis/evil.test/v1/things"})
				t.Logf("the group itself: %d %.100s %v; %s in all", a.code, a.body, err, time.Since(began).Round(time.Millisecond))
			})
			for _, path := range []string{"/apis/apiregistration.k8s.io/v1/apiservices/v1.evil.test", "/api/v1/namespaces/default/services/evil"} {
				if a, err := s.send(t.Context(), call{method: http.MethodDelete, path: path}); err != nil || a.code != http.StatusOK {
					t.Errorf("%d %s %v", a.code, a.body, err)
				}
			}
		})
	}
}

// Upgrades towards pods that are not there, certificates that are none, and both
// many times.
func TestHostileHandshakes(t *testing.T) {
	s := besiege(t)
	t.Run("exec to missing pods", func(t *testing.T) {
		s.under(t, crowded, func(t *testing.T) {
			var group sync.WaitGroup
			for i := range 200 {
				group.Go(func() {
					for _, sub := range []string{"exec?command=sh&stdin=true", "attach?stdin=true", "portforward?ports=80", "log?follow=true"} {
						a, err := s.send(t.Context(), call{method: http.MethodGet, path: fmt.Sprintf("%s/missing-%d/%s", podsPath, i, sub), header: http.Header{
							"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"AAAAAAAAAAAAAAAAAAAAAA=="}, "Sec-Websocket-Protocol": {"v5.channel.k8s.io"},
						}})
						if err != nil {
							// HTTP/2 has no such header.
							if a, err = s.send(t.Context(), call{method: http.MethodGet, path: fmt.Sprintf("%s/missing-%d/%s", podsPath, i, sub)}); err != nil {
								t.Error(err)
								return
							}
						}
						a.refused(t, http.StatusNotFound)
					}
				})
			}
			group.Wait()
		})
	})
	t.Run("certificates of nobody", func(t *testing.T) {
		// The certificate of a test server is signed by itself.
		server := httptest.NewTLSServer(http.NotFoundHandler())
		defer server.Close()
		own := server.TLS.Certificates[0]
		cfg, err := rest.TLSConfigFor(rest.AnonymousClientConfig(s.config))
		if err != nil {
			t.Fatal(err)
		}
		cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &own, nil }
		from := *s
		from.http = &http.Client{Transport: &http.Transport{TLSClientConfig: cfg, DisableKeepAlives: true}}
		s.under(t, crowded, func(t *testing.T) {
			for range 100 {
				a, err := from.send(t.Context(), call{method: http.MethodGet, path: mapsPath})
				if err != nil {
					t.Fatal(err)
				}
				a.refused(t, http.StatusUnauthorized)
			}
		})
	})
}

// kubectl's library decodes what it is told to apply by itself.
func TestHostileManifests(t *testing.T) {
	c, _ := server(t)
	for name, test := range map[string]struct{ manifest, says string }{
		"aliases of aliases":   {yamlMap + laughs(12), "alias"},
		"echoes":               {yamlMap + echoes(limit/2, limit/8), "alias"},
		"depth":                {yamlMap + "data: " + nested("[", "", "]", limit/3), "error"},
		"noise":                {"\x00\x01\x02", "error"},
		"echoes in the second": {yamlMap + "---\n" + yamlMap + echoes(limit/2, limit/8), "alias"},
	} {
		t.Run(name, func(t *testing.T) {
			cmd := command(t, c, test.manifest, "apply", "-f", "-")
			began := time.Now()
			got, used := runMeasured(t, cmd)
			t.Logf("status %d after %s with %d MiB: %.300s", got.status, time.Since(began).Round(time.Millisecond), used, got.stderr)
			if got.status == 0 || !strings.Contains(got.stderr, test.says) || len(got.stderr) > longestMessage {
				t.Errorf("status %d, %d bytes of %.500q; want a failure that says %q", got.status, len(got.stderr), got.stderr, test.says)
			}
			if used > 700 {
				t.Errorf("pintle apply used %d MiB, want at most 700", used)
			}
		})
	}
}

// runMeasured is run, with the most memory that the command was seen to have in MiB.
// The kernel's figure for an ended process is of no use: it counts what the test itself
// had when it forked.
func runMeasured(t *testing.T, cmd *exec.Cmd) (got result, peak int) {
	t.Helper()
	var out, errOut strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errOut
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case err := <-ended:
			var exit *exec.ExitError
			if err != nil && !errors.As(err, &exit) {
				t.Fatal(err)
			}
			if peak == 0 {
				t.Error("the command's memory was never seen")
			}
			return result{cmd.ProcessState.ExitCode(), out.String(), errOut.String()}, peak
		case <-tick.C:
			if mib, err := memoryOf(cmd.Process.Pid, "VmHWM"); err == nil {
				peak = max(peak, mib)
			}
		}
	}
}
