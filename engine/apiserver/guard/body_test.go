package guard

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/yaml"
)

var pods = schema.GroupVersionResource{Version: "v1", Resource: "pods"}

// incoming is a request as the filters before the guard leave it.
func incoming(who string, verb string, body io.Reader, contentType string) *http.Request {
	req := httptest.NewRequest(http.MethodPost, "/api/v1/namespaces/a/pods", body)
	req.Header.Set("Content-Type", contentType)
	ctx := request.WithRequestInfo(req.Context(), &request.RequestInfo{
		IsResourceRequest: true, Verb: verb, APIVersion: "v1", Resource: "pods", Namespace: "a", Name: "p",
	})
	ctx = request.WithUser(ctx, &user.DefaultInfo{Name: who})
	return req.WithContext(context.WithValue(ctx, http.LocalAddrContextKey, address{}))
}

// answered is the Status of a refusal; its code is zero where there is none.
func answered(t *testing.T, w *httptest.ResponseRecorder) metav1.Status {
	t.Helper()
	var status metav1.Status
	if w.Code >= 300 {
		if err := yaml.Unmarshal(w.Body.Bytes(), &status); err != nil {
			t.Fatalf("%d %s: %v", w.Code, w.Body, err)
		}
	}
	return status
}

func TestBodies(t *testing.T) {
	const limit = 256 << 10
	long := strings.Repeat("x", wideBody)
	for name, test := range map[string]struct {
		body, contentType string
		code              int32
		says              string
	}{
		"empty":           {"", "application/json", 0, ""},
		"small":           {"{}", "application/json", 0, ""},
		"at the limit":    {strings.Repeat(" ", limit), "application/json", 0, ""},
		"over the limit":  {strings.Repeat(" ", 2*limit), "application/json", 0, ""},
		"echoes":          {"a: &a " + long + "\nb: [*a,*a,*a,*a,*a]\n", "application/yaml", 400, "aliases"},
		"echoes in apply": {"a: &a " + long + "\nb: [*a,*a,*a,*a,*a]\n", "application/apply-patch+yaml; charset=utf-8", 400, "aliases"},
		"a long exponent": {`{"spec":{"overhead":{"cpu":"1e99999"}}}`, "application/json", 400, "/spec/overhead/cpu: the exponent"},
		"many owners":     {`{"metadata":{"name":5,"ownerReferences":[` + strings.Repeat(`{"name":"a"},`, 6000) + `{}]}}`, "application/json", 422, "ownerReferences: Too many: 6001"},
		"a long name":     {`{"metadata":{"name":"` + long + `"}}`, "application/merge-patch+json", 422, "metadata.name: Too long"},
	} {
		for _, sized := range []bool{true, false} {
			t.Run(name, func(t *testing.T) {
				bodies := &Bodies{Limit: limit, Types: map[schema.GroupVersionResource]reflect.Type{pods: reflect.TypeFor[*corev1.Pod]()}, Codecs: scheme.Codecs}
				req := incoming("a", "create", strings.NewReader(test.body), test.contentType)
				if !sized {
					req.ContentLength = -1
				}
				var got []byte
				w := httptest.NewRecorder()
				bodies.Wrap(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
					got, _ = io.ReadAll(req.Body)
				})).ServeHTTP(w, req)
				status := answered(t, w)
				if status.Code != test.code || !strings.Contains(status.Message, test.says) {
					t.Errorf("answered %d %q, want %d %q", status.Code, status.Message, test.code, test.says)
				}
				if test.code == 0 && string(got) != test.body {
					t.Errorf("%d bytes were passed on, want %d", len(got), len(test.body))
				}
			})
		}
	}
}

// What goes through to a pod is not held up to be looked at.
func TestStreamsAreNotRead(t *testing.T) {
	bodies := &Bodies{Limit: 100, Types: map[schema.GroupVersionResource]reflect.Type{pods: reflect.TypeFor[*corev1.Pod]()}, Codecs: scheme.Codecs}
	for _, sub := range []string{"proxy", "exec", "attach", "portforward"} {
		req := incoming("a", "create", failing{errors.New("read")}, "application/yaml")
		body := req.Body
		info, _ := request.RequestInfoFrom(req.Context())
		info.Subresource = sub
		bodies.Wrap(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
			if req.Body != body {
				t.Errorf("the body of %s was replaced", sub)
			}
		})).ServeHTTP(httptest.NewRecorder(), req)
	}
}

// A body that breaks off is passed on with its error.
func TestBodyBreaksOff(t *testing.T) {
	bodies := &Bodies{Limit: 100, Types: map[schema.GroupVersionResource]reflect.Type{pods: reflect.TypeFor[*corev1.Pod]()}, Codecs: scheme.Codecs}
	broken := errors.New("broken off")
	req := incoming("a", "create", io.MultiReader(strings.NewReader(`{"a":`), failing{broken}), "application/json")
	var got []byte
	var err error
	bodies.Wrap(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		got, err = io.ReadAll(req.Body)
	})).ServeHTTP(httptest.NewRecorder(), req)
	if string(got) != `{"a":` || !errors.Is(err, broken) {
		t.Errorf("%q, %v", got, err)
	}
}

// One user's large bodies leave room for another's.
func TestLargeBodies(t *testing.T) {
	bodies := &Bodies{Limit: largestBody, Codecs: scheme.Codecs}
	large := bytes.Repeat([]byte(" "), LargeBody)
	hold, held := make(chan struct{}), make(chan struct{})
	handler := bodies.Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		held <- struct{}{}
		<-hold
	}))
	serve := func(who string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, incoming(who, "create", bytes.NewReader(large), "application/json"))
		return w
	}
	const most = LargeBodies / 2 / LargeBody
	done := make(chan struct{})
	for range most {
		go func() { serve("greedy"); done <- struct{}{} }()
		<-held
	}
	if status := answered(t, serve("greedy")); status.Code != http.StatusTooManyRequests {
		t.Errorf("one more of the same user is answered %d", status.Code)
	}
	go func() { serve("modest"); done <- struct{}{} }()
	<-held
	close(hold)
	for range most + 1 {
		<-done
	}
	if n := len(bodies.room.byUser); n != 0 {
		t.Errorf("%d users are still charged", n)
	}
}
