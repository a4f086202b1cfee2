package authn

import (
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// kubeconfigFor writes how to reach a test server.
func kubeconfigFor(t *testing.T, server *httptest.Server) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "kubeconfig")
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	config := clientcmdapi.Config{
		Clusters:       map[string]*clientcmdapi.Cluster{"c": {Server: server.URL, CertificateAuthorityData: ca}},
		Contexts:       map[string]*clientcmdapi.Context{"c": {Cluster: "c"}},
		CurrentContext: "c",
	}
	if err := clientcmd.WriteToFile(config, file); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestTokenWebhook(t *testing.T) {
	var asked atomic.Int32
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		asked.Add(1)
		var review authenticationv1.TokenReview
		if err := json.NewDecoder(req.Body).Decode(&review); err != nil {
			t.Error(err)
		}
		switch review.Spec.Token {
		case "good":
			review.Status = authenticationv1.TokenReviewStatus{
				Authenticated: true, Audiences: review.Spec.Audiences, User: authenticationv1.UserInfo{Username: "ann", Groups: []string{"dev"}},
			}
		case "elsewhere":
			review.Status = authenticationv1.TokenReviewStatus{Authenticated: true, Audiences: []string{"other"}, User: authenticationv1.UserInfo{Username: "ann"}}
		case "broken":
			review.Status.Error = "the directory is down"
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(review)
	}))
	t.Cleanup(server.Close)
	hook, err := NewWebhook(Webhook{Kubeconfig: kubeconfigFor(t, server), CacheTTL: time.Minute}, []string{"api"})
	if err != nil {
		t.Fatal(err)
	}
	who, err := New(Config{ClientRoots: testPKI(t).Pool(), Webhook: hook, Audiences: []string{"api"}})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]struct {
		ok, fails bool
	}{"good": {ok: true}, "unknown": {fails: true}, "elsewhere": {fails: true}, "broken": {fails: true}} {
		req := bearer("/api", name)
		// The server's filter says whom it takes tokens for.
		req = req.WithContext(authenticator.WithAudiences(req.Context(), []string{"api"}))
		resp, ok, err := who.Request.AuthenticateRequest(req)
		if ok != want.ok || (err != nil) != want.fails || ok && (resp.User.GetName() != "ann" || len(resp.User.GetGroups()) != 2) {
			t.Errorf("%s: %v %v %v", name, resp, ok, err)
		}
	}
	req := bearer("/api", "good")
	req = req.WithContext(authenticator.WithAudiences(req.Context(), []string{"api"}))
	before := asked.Load()
	for range 5 {
		req.Header.Set("Authorization", "Bearer good")
		if _, ok, err := who.Request.AuthenticateRequest(req); !ok || err != nil {
			t.Fatal(ok, err)
		}
	}
	if asked.Load() != before {
		t.Errorf("a remembered token was asked for %d times", asked.Load()-before)
	}
	if _, ok, err := who.Token.AuthenticateToken(t.Context(), "good"); !ok || err != nil {
		t.Errorf("a review: %v %v", ok, err)
	}
}

func TestAWebhookThatCannotBe(t *testing.T) {
	if _, err := NewWebhook(Webhook{Kubeconfig: filepath.Join(t.TempDir(), "none")}, nil); err == nil {
		t.Error("no error for a kubeconfig that is not there")
	}
}
