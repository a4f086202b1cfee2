package client_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/audit"

	"github.com/pintle-io/pintle/engine/client"
)

// watchServer answers any watch with events as they arrive on a channel.
func watchServer(events <-chan string, ended chan<- string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		who := "nobody"
		if response, ok, _ := client.Authenticator().AuthenticateRequest(req); ok {
			who = response.User.GetName()
		}
		w.Header().Set("Content-Type", "application/json")
		w.(http.Flusher).Flush()
		for {
			select {
			case <-req.Context().Done():
				ended <- who
				return
			case name := <-events:
				fmt.Fprintf(w, `{"type":"ADDED","object":{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":%q}}}`, name)
				w.(http.Flusher).Flush()
			}
		}
	})
}

func TestTransportStreamsAndCancels(t *testing.T) {
	for _, how := range []string{"stop", "cancel"} {
		t.Run(how, func(t *testing.T) {
			events, ended := make(chan string), make(chan string, 1)
			c := newClient(t, nil).AsController("watcher")
			c.SetHandler(watchServer(events, ended))
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			w, err := c.Clientset().CoreV1().ConfigMaps("ns").Watch(ctx, metav1.ListOptions{})
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range []string{"one", "two"} {
				events <- name
				event := <-w.ResultChan()
				if got := event.Object.(metav1.Object).GetName(); got != name {
					t.Errorf("watch delivered %q, want %q", got, name)
				}
			}
			if how == "stop" {
				w.Stop()
			} else {
				cancel()
			}
			if who := <-ended; who != "system:serviceaccount:kube-system:watcher" {
				t.Errorf("the handler saw %q", who)
			}
		})
	}
}

func TestTransportSurvivesPanic(t *testing.T) {
	c := newClient(t, nil)
	c.SetHandler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("broken") }))
	if _, err := c.Clientset().CoreV1().ConfigMaps("ns").Get(t.Context(), "x", metav1.GetOptions{}); err == nil {
		t.Error("a panic in the handler is not an error")
	}
}

func TestAuthenticatorTrustsOnlyThisProcess(t *testing.T) {
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://x/", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok, _ := client.Authenticator().AuthenticateRequest(req); ok {
		t.Error("a request from elsewhere is authenticated")
	}
}

// A request that another one gives rise to, of a plugin for instance, has nothing of
// what the server noted about that one, and ends with it.
func TestRequestsWithinRequests(t *testing.T) {
	c := newClient(t, nil)
	type noted struct{}
	entered := make(chan struct{})
	c.SetHandler(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		if audit.AuditContextFrom(req.Context()) != nil || req.Context().Value(noted{}) != nil {
			t.Error("it has the other's audit event, or its values")
		}
		if !client.InProcess(req.Context()) {
			t.Error("it is not known as one of this process")
		}
		close(entered)
		<-req.Context().Done()
	}))
	ctx, cancel := context.WithCancel(context.WithValue(audit.WithAuditContext(t.Context()), noted{}, true))
	ended := make(chan error, 1)
	go func() { ended <- c.Request(ctx, http.MethodGet, "/nested") }()
	<-entered
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("it ended with %v", err)
	}
}
