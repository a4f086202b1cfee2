// Package auth holds the cases about who is asking, who may, and in what order they
// are served.
package auth

import (
	"context"
	"fmt"
	"strings"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/pintle-io/pintle/conformance/suite"
)

// Cases lists the package's cases.
func Cases() []suite.Case {
	return []suite.Case{tokens(), reviews(), grants(), flows(), probes()}
}

// as is a client of another user, by impersonation.
func as(e *suite.Env, user string, groups ...string) (kubernetes.Interface, error) {
	cfg := rest.CopyConfig(e.REST)
	cfg.Impersonate = rest.ImpersonationConfig{UserName: user, Groups: groups}
	return kubernetes.NewForConfig(cfg)
}

// bearer is a client that shows a token and nothing else; an empty one shows nothing.
func bearer(e *suite.Env, token string) (kubernetes.Interface, error) {
	cfg := rest.AnonymousClientConfig(e.REST)
	cfg.BearerToken = token
	return kubernetes.NewForConfig(cfg)
}

// get fetches a path and returns the status code and the body.
func get(ctx context.Context, c kubernetes.Interface, path string) (int, string) {
	var code int
	parts := strings.SplitN(path, "?", 2)
	req := c.Discovery().RESTClient().Get().AbsPath(parts[0])
	if len(parts) == 2 {
		for _, p := range strings.Split(parts[1], "&") {
			key, value, _ := strings.Cut(p, "=")
			req.Param(key, value)
		}
	}
	body, err := req.Do(ctx).StatusCode(&code).Raw()
	if err != nil && len(body) == 0 {
		return code, err.Error()
	}
	return code, string(body)
}

// wantCode checks the answer to a path.
func wantCode(ctx context.Context, who string, c kubernetes.Interface, path string, want int) error {
	if code, body := get(ctx, c, path); code != want {
		return fmt.Errorf("GET %s as %s: status %d, want %d: %s", path, who, code, want, body)
	}
	return nil
}

// wantError compares an error's text.
func wantError(what string, err error, want string) error {
	if err == nil {
		return fmt.Errorf("%s: no error, want %s", what, want)
	}
	if err.Error() != want {
		return fmt.Errorf("%s:\n got %v\nwant %s", what, err, want)
	}
	return nil
}
