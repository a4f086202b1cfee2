package apiserver

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	restful "github.com/emicklei/go-restful/v3"

	"github.com/pintle-io/pintle/engine/apis/served"
	"github.com/pintle-io/pintle/engine/registry"
	"github.com/pintle-io/pintle/store"

	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authorization/authorizerfactory"
)

// TestRoutesAreThoseOfGoRestful asks both routers for every path that is installed,
// and for some that are not, by all methods and content types.
func TestRoutesAreThoseOfGoRestful(t *testing.T) {
	db, err := store.Open(t.TempDir(), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	reg, err := registry.New(registry.Config{Table: served.Table(), Scheme: served.Scheme(), Codecs: served.Codecs(), Store: db})
	if err != nil {
		t.Fatal(err)
	}
	nobody := authenticator.RequestFunc(func(*http.Request) (*authenticator.Response, bool, error) { return nil, false, nil })
	s, err := New(Config{Registry: reg, Authenticator: nobody, Authorizer: authorizerfactory.NewAlwaysAllowAuthorizer()})
	if err != nil {
		t.Fatal(err)
	}
	services := s.generic.Handler.GoRestfulContainer.RegisteredWebServices()
	paths := map[string]bool{"/": true, "/api//v1/pods": true, "/api/v1/pods/": true, "/nothing": true, "/api/v1/namespaces/a/b/c/d/e": true}
	for _, ws := range services {
		for _, route := range ws.Routes() {
			path := strings.NewReplacer("{namespace}", "n", "{name}", "status", "{path:*}", "some/path", "{logpath:*}", "l").Replace(route.Path)
			paths[path], paths[strings.Replace(path, "/n/", "/pods/", 1)] = true, true
		}
	}
	ours, found := &router{}, 0
	for path := range paths {
		for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"} {
			for _, header := range []http.Header{
				{}, {"Accept": {"application/json"}, "Content-Type": {"application/json"}},
				{"Accept": {"application/vnd.kubernetes.protobuf;q=1, */*"}, "Content-Type": {"application/strategic-merge-patch+json"}},
				{"Accept": {"text/none"}, "Content-Type": {"text/none"}},
			} {
				req := httptest.NewRequest(method, "http://server"+path, nil)
				req.Header = header
				_, want, wantErr := restful.CurlyRouter{}.SelectRoute(services, req)
				_, got, gotErr := ours.SelectRoute(services, req)
				if (wantErr == nil) != (gotErr == nil) || (want == nil) != (got == nil) {
					t.Fatalf("%s %s %v: %v, go-restful %v", method, path, header, gotErr, wantErr)
				}
				if want != nil && (want.Path != got.Path || want.Operation != got.Operation || want.Method != got.Method) {
					t.Errorf("%s %s: %s, go-restful %s", method, path, got.Operation, want.Operation)
				}
				if ours.current(services).find(req) != nil {
					found++
				}
			}
		}
	}
	if found < len(paths) {
		t.Errorf("only %d of %d paths are found without go-restful", found, len(paths))
	}
}
