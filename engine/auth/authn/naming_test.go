package authn

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/request/headerrequest"
)

// TestFrontProxyIsAskedForHeadersOnly guards what a request costs that no proxy sent:
// verifying its certificate took a sixth of a server's processor time.
func TestFrontProxyIsAskedForHeadersOnly(t *testing.T) {
	asked := 0
	n := namingUser{
		authenticator.RequestFunc(func(*http.Request) (*authenticator.Response, bool, error) {
			asked++
			return nil, false, nil
		}),
		headerrequest.StaticStringSlice{"X-Remote-User", "X-Other-User"},
	}
	for header, want := range map[string]int{"": 0, "X-Remote-Group": 0, "X-Remote-User": 1, "x-other-user": 1} {
		req := httptest.NewRequest(http.MethodGet, "/", nil)
		if header != "" {
			req.Header.Set(header, "somebody")
		}
		asked = 0
		if _, ok, err := n.AuthenticateRequest(req); ok || err != nil || asked != want {
			t.Errorf("%q: asked %d times (%v), want %d", header, asked, err, want)
		}
	}
}
