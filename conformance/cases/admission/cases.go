// Package admission holds the cases about what may be put in the way of a write by
// those who run a cluster: webhooks, and policies in CEL.
package admission

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/pintle-io/pintle/conformance/suite"
)

// Cases lists the package's cases.
func Cases() []suite.Case {
	return []suite.Case{
		mutatingWebhooks(), validatingWebhooks(), failingWebhooks(), matchingWebhooks(),
		validatingPolicies(), parameters(), mutatingPolicies(),
	}
}

// warnings collects what the server warns of.
type warnings struct {
	mu struct {
		sync.Mutex
		texts []string
	}
}

// HandleWarningHeader implements rest.WarningHandler.
func (w *warnings) HandleWarningHeader(code int, _ string, text string) {
	if code != 299 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mu.texts = append(w.mu.texts, text)
}

// take returns the warnings since it was last called.
func (w *warnings) take() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	defer func() { w.mu.texts = nil }()
	return strings.Join(w.mu.texts, "; ")
}

// warned is a client whose warnings are collected.
func warned(e *suite.Env) (kubernetes.Interface, *warnings, error) {
	w := &warnings{}
	cfg := rest.CopyConfig(e.REST)
	cfg.WarningHandler = w
	client, err := kubernetes.NewForConfig(cfg)
	return client, w, err
}

// configMap is what most cases write.
func configMap(name string, data map[string]string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}, Data: data}
}

// mark keeps the objects of a case to its own namespace.
func mark(ctx context.Context, e *suite.Env, labels string) error {
	_, err := e.Kubectl(ctx, "label", "namespace", e.Namespace, "case="+labels)
	return err
}

// own selects the case's own namespace.
func own(e *suite.Env) *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchLabels: map[string]string{"kubernetes.io/metadata.name": e.Namespace}}
}

// inForce waits until a write is answered as a rule says: rules take effect a
// moment after they are written.
func inForce(ctx context.Context, e *suite.Env, what string, try func(ctx context.Context) error, want string) error {
	return e.Eventually(ctx, 15*time.Second, what, func(ctx context.Context) (bool, string, error) {
		err := try(ctx)
		if want == "" {
			return err == nil, fmt.Sprint(err), nil
		}
		return err != nil && strings.Contains(err.Error(), want), fmt.Sprint(err), nil
	})
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
