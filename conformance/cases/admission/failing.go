package admission

import (
	"context"
	"fmt"
	"strings"

	admissionv1 "k8s.io/api/admission/v1"
	registrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pintle-io/pintle/conformance/suite"
	"github.com/pintle-io/pintle/conformance/tlsserver"
)

func failingWebhooks() suite.Case {
	return suite.Case{
		Name:    "admission/failing-webhooks",
		Promise: "a webhook that is late, away or not trusted fails the write or is passed over, as its policy says, in upstream's words",
		Run: func(ctx context.Context, e *suite.Env) error {
			h, err := newHook(map[string]answer{
				"late":     func(*admissionv1.AdmissionRequest) *admissionv1.AdmissionResponse { return nil },
				"stranger": allow, "away": allow,
			})
			if err != nil {
				return err
			}
			defer h.Close()
			other, err := tlsserver.NewCertificate()
			if err != nil {
				return err
			}
			const failed = `Internal error occurred: failed calling webhook "%s.conformance.example": failed to call webhook: Post "%s": `
			for _, c := range []struct {
				path, url, want string
				edit            func(*registrationv1.ValidatingWebhook)
			}{
				{"late", h.URL + "/late?timeout=1s", "context deadline exceeded", func(w *registrationv1.ValidatingWebhook) { w.TimeoutSeconds = new(int32(1)) }},
				{"stranger", h.URL + "/stranger?timeout=5s", "tls: failed to verify certificate: x509: certificate signed by unknown authority", func(w *registrationv1.ValidatingWebhook) { w.ClientConfig.CABundle = other.CA }},
				{"away", "https://127.0.0.1:1/away?timeout=5s", "dial tcp 127.0.0.1:1: connect: connection refused", func(w *registrationv1.ValidatingWebhook) { w.ClientConfig.URL = new("https://127.0.0.1:1/away") }},
			} {
				want := fmt.Sprintf(failed, c.path, c.url) + c.want
				if err := tried(ctx, e, h, c.path, want, c.edit); err != nil {
					return err
				}
				if err := ignored(ctx, e, h, c.path, c.edit); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

// ignored: the same failure with failurePolicy Ignore lets the write pass. A second
// webhook, which denies, shows that the first is in force.
func ignored(ctx context.Context, e *suite.Env, h *hook, path string, edit func(*registrationv1.ValidatingWebhook)) error {
	ignore := registrationv1.Ignore
	h.answers["after"] = allow
	remove, err := registerValidating(ctx, e, "-"+path,
		h.validating(e, path, edit, func(w *registrationv1.ValidatingWebhook) { w.FailurePolicy = &ignore }), h.validating(e, "after"))
	defer remove()
	if err != nil {
		return err
	}
	return e.Eventually(ctx, 20e9, path+" to be passed over", func(ctx context.Context) (bool, string, error) {
		h.take()
		_, err := e.Kube.CoreV1().ConfigMaps(e.Namespace).Create(ctx, configMap("v", nil), metav1.CreateOptions{DryRun: []string{"All"}})
		paths := fmt.Sprint(h.paths(e.Namespace))
		return err == nil && strings.Contains(paths, "after"), paths, err
	})
}
