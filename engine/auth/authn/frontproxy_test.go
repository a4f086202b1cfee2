package authn

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apiserver/pkg/apis/apiserver"
)

func TestFrontProxy(t *testing.T) {
	ours, proxies := testPKI(t), testPKI(t)
	header, err := DefaultFrontProxy(proxies.CA(), "front").RequestHeader()
	if err != nil {
		t.Fatal(err)
	}
	who, err := New(Config{ClientRoots: ours.Pool(), RequestHeader: header, Audiences: []string{"api"}})
	if err != nil {
		t.Fatal(err)
	}
	with := func(req *http.Request, headers map[string][]string) *http.Request {
		for k, v := range headers {
			req.Header[k] = v
		}
		return req
	}
	ann := map[string][]string{"X-Remote-User": {"ann"}, "X-Remote-Uid": {"1"}, "X-Remote-Group": {"dev", "ops"}, "X-Remote-Extra-Scopes": {"a", "b"}}
	for name, tc := range map[string]struct {
		req   *http.Request
		user  string
		fails bool
	}{
		"an allowed proxy":           {req: with(clientRequest(t, proxies, "front"), ann), user: "ann"},
		"a proxy of another name":    {req: with(clientRequest(t, proxies, "other"), ann), fails: true},
		"headers of a common client": {req: with(clientRequest(t, ours, "bob"), ann), user: "bob"},
		"headers without a proxy":    {req: with(bearer("/api", ""), ann)},
		"a proxy without headers":    {req: clientRequest(t, proxies, "front"), fails: true},
	} {
		t.Run(name, func(t *testing.T) {
			resp, ok, err := who.Request.AuthenticateRequest(tc.req)
			if ok != (tc.user != "") || (err != nil) != tc.fails {
				t.Fatalf("%v %v %v", resp, ok, err)
			}
			if !ok {
				return
			}
			if resp.User.GetName() != tc.user {
				t.Errorf("user %q", resp.User.GetName())
			}
			if tc.user == "ann" && (resp.User.GetUID() != "1" || !cmp.Equal(resp.User.GetGroups(), []string{"dev", "ops", "system:authenticated"}) || !cmp.Equal(resp.User.GetExtra(), map[string][]string{"scopes": {"a", "b"}})) {
				t.Errorf("%+v", resp.User)
			}
			if tc.user == "ann" && tc.req.Header.Get("X-Remote-User") != "" {
				t.Error("the header is passed on")
			}
		})
	}
	if _, err := (FrontProxy{CA: []byte("no certificate")}).RequestHeader(); err == nil {
		t.Error("no error for a bundle without certificates")
	}
}

func TestAnonymity(t *testing.T) {
	for name, tc := range map[string]struct {
		config  *apiserver.AnonymousAuthConfig
		allowed map[string]bool
	}{
		"by default, health alone": {nil, map[string]bool{"/livez": true, "/readyz": true, "/healthz": true, "/version": false, "/api": false, "/readyz/etcd": false}},
		"off":                      {&apiserver.AnonymousAuthConfig{}, map[string]bool{"/livez": false}},
		"on":                       {&apiserver.AnonymousAuthConfig{Enabled: true}, map[string]bool{"/livez": true, "/api": true}},
		"one path":                 {&apiserver.AnonymousAuthConfig{Enabled: true, Conditions: []apiserver.AnonymousAuthCondition{{Path: "/version"}}}, map[string]bool{"/version": true, "/livez": false}},
	} {
		who, err := New(Config{ClientRoots: testPKI(t).Pool(), Anonymous: tc.config})
		if err != nil {
			t.Fatal(err)
		}
		for path, want := range tc.allowed {
			if _, ok, err := who.Request.AuthenticateRequest(bearer(path, "")); ok != want || err != nil {
				t.Errorf("%s: %s: %v %v", name, path, ok, err)
			}
		}
	}
}
