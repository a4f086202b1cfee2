package admission

import (
	"errors"
	"io"
	"net/http"

	"k8s.io/apiserver/pkg/util/webhook"
	"k8s.io/client-go/rest"
)

// longestAnswer bounds what a webhook may say: a patch of the largest object, in
// base64, several times over. The client reads an answer as a whole.
const longestAnswer = 16 << 20

var errLongAnswer = errors.New("the answer of the webhook is longer than 16 MiB")

// bounded ends the answers of webhooks at longestAnswer.
type bounded struct {
	webhook.AuthenticationInfoResolver
}

// ClientConfigFor implements webhook.AuthenticationInfoResolver.
func (b bounded) ClientConfigFor(hostPort string) (*rest.Config, error) {
	return boundAnswers(b.AuthenticationInfoResolver.ClientConfigFor(hostPort))
}

// ClientConfigForService implements webhook.AuthenticationInfoResolver.
func (b bounded) ClientConfigForService(name, namespace string, port int) (*rest.Config, error) {
	return boundAnswers(b.AuthenticationInfoResolver.ClientConfigForService(name, namespace, port))
}

func boundAnswers(cfg *rest.Config, err error) (*rest.Config, error) {
	if err != nil {
		return nil, err
	}
	cfg = rest.CopyConfig(cfg)
	cfg.Wrap(func(next http.RoundTripper) http.RoundTripper { return boundedTransport{next} })
	return cfg, nil
}

type boundedTransport struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (b boundedTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := b.next.RoundTrip(req)
	if err == nil && resp.Body != nil {
		resp.Body = &boundedBody{resp.Body, longestAnswer}
	}
	return resp, err
}

type boundedBody struct {
	io.ReadCloser
	left int
}

// Read implements io.Reader.
func (b *boundedBody) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errLongAnswer
	}
	n, err := b.ReadCloser.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}
