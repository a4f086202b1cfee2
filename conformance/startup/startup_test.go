package startup

import (
	"context"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	registrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"

	"github.com/pintle-io/pintle/conformance/harness"
	"github.com/pintle-io/pintle/conformance/tlsserver"
)

//go:embed manifest.yaml
var manifest string

// guards are what each refuses: ConfigMaps with its label.
var guards = []string{"rego", "policy", "webhook"}

// filler is a template that nothing is made of.
const filler = `apiVersion: templates.gatekeeper.sh/v1
kind: ConstraintTemplate
metadata: {name: filler%02[1]d}
spec:
  crd: {spec: {names: {kind: Filler%02[1]d}}}
  targets: [{target: admission.k8s.gatekeeper.sh, rego: "package filler%02[1]d\nviolation[{\"msg\": \"filler\"}] { input.review.object.metadata.labels.by == \"filler\" }"}]
`

const fillers = 30

// rounds is how often the server is killed and started.
const rounds = 3

// TestGuardsHoldFromTheFirstWrite: clients that never stop writing while the server
// is killed and started get nothing past a guard.
func TestGuardsHoldFromTheFirstWrite(t *testing.T) {
	cluster, kube := start(t)
	webhook, err := tlsserver.Start(http.HandlerFunc(denyAll))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(webhook.Close)
	install(t, cluster, strings.NewReplacer("$URL", webhook.URL, "$CA", base64.StdEncoding.EncodeToString(webhook.CA)).Replace(manifest))
	// Templates are compiled one by one: the one that matters is the last.
	var more strings.Builder
	for i := range fillers {
		fmt.Fprintf(&more, "---\n"+filler, i)
	}
	apply(t, cluster, more.String())
	for _, by := range guards {
		await(t, by+" to deny", func(ctx context.Context) error {
			_, err := write(ctx, kube, by)
			if err == nil || !strings.Contains(err.Error(), "denied") {
				return fmt.Errorf("got %v", err)
			}
			return nil
		})
	}
	for round := range rounds {
		if err := cluster.Kill(); err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		var denied [3]atomic.Int64
		done := make(chan struct{}, len(guards))
		for i, by := range guards {
			go func() {
				for ctx.Err() == nil {
					name, err := write(ctx, kube, by)
					switch {
					case err == nil:
						t.Errorf("round %d: %s was written", round, name)
					case strings.Contains(err.Error(), "denied"):
						denied[i].Add(1)
					}
				}
				done <- struct{}{}
			}()
		}
		took, err := cluster.Start(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for i, by := range guards {
			await(t, by+" to deny after a start", func(context.Context) error {
				if denied[i].Load() < 20 {
					return fmt.Errorf("denied %d", denied[i].Load())
				}
				return nil
			})
		}
		stop()
		for range guards {
			<-done
		}
		t.Logf("round %d: answered after %s", round, took)
	}
}

// TestNothingKeepsTheServerFromStarting: a webhook for everything that nobody
// answers is in the way of every write but those of a start, and can be removed.
func TestNothingKeepsTheServerFromStarting(t *testing.T) {
	cluster, kube := start(t)
	// A start brings this up to date, past all that is in the way of others.
	if out, err := cluster.Pintle(t.Context(), "delete", "clusterrole", "system:node-proxier"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	none, fail := registrationv1.SideEffectClassNone, registrationv1.Fail
	url := "https://127.0.0.1:1/nobody"
	hooks := kube.AdmissionregistrationV1().ValidatingWebhookConfigurations()
	_, err := hooks.Create(t.Context(), &registrationv1.ValidatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: "everything"},
		Webhooks: []registrationv1.ValidatingWebhook{{
			Name: "no.to.everything", ClientConfig: registrationv1.WebhookClientConfig{URL: &url}, SideEffects: &none, FailurePolicy: &fail,
			AdmissionReviewVersions: []string{"v1"}, TimeoutSeconds: new(int32(1)),
			Rules: []registrationv1.RuleWithOperations{{
				Operations: []registrationv1.OperationType{registrationv1.OperationAll},
				Rule:       registrationv1.Rule{APIGroups: []string{"*"}, APIVersions: []string{"*"}, Resources: []string{"*/*"}},
			}},
		}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	await(t, "the webhook to be in the way", func(ctx context.Context) error {
		if _, err := write(ctx, kube, "nobody"); err == nil || !strings.Contains(err.Error(), "no.to.everything") {
			return fmt.Errorf("got %v", err)
		}
		return nil
	})
	if err := cluster.Kill(); err != nil {
		t.Fatal(err)
	}
	if _, err := cluster.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := kube.RbacV1().ClusterRoles().Get(t.Context(), "system:node-proxier", metav1.GetOptions{}); err != nil {
		t.Error(err)
	}
	if err := hooks.Delete(t.Context(), "everything", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	await(t, "writes", func(ctx context.Context) error {
		_, err := write(ctx, kube, "nobody")
		return err
	})
}

func start(t *testing.T) (*harness.Cluster, kubernetes.Interface) {
	t.Helper()
	binary, err := harness.Binary()
	if err != nil {
		t.Fatal(err)
	}
	cluster, err := harness.NewCluster(binary, t.TempDir(), "server")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cluster.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cluster.Kill() })
	kube, err := cluster.Client()
	if err != nil {
		t.Fatal(err)
	}
	return cluster, kube
}

// install applies each document, those of kinds that are defined by others as soon as
// they are served.
func install(t *testing.T, cluster *harness.Cluster, text string) {
	t.Helper()
	for _, doc := range strings.Split(text, "\n---\n") {
		apply(t, cluster, doc)
	}
}

// apply is kubectl apply, again until it works.
func apply(t *testing.T, cluster *harness.Cluster, text string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "manifest.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	await(t, "a manifest to be applied", func(ctx context.Context) error {
		out, err := cluster.Pintle(ctx, "apply", "-f", file)
		if err != nil {
			return fmt.Errorf("%w\n%s", err, out)
		}
		return nil
	})
}

// write creates a ConfigMap that one guard refuses.
func write(ctx context.Context, kube kubernetes.Interface, by string) (string, error) {
	cm, err := kube.CoreV1().ConfigMaps(corev1.NamespaceDefault).Create(ctx, &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "by-" + by + "-", Labels: map[string]string{"by": by}},
	}, metav1.CreateOptions{})
	if err != nil {
		return "", err
	}
	return cm.Name, nil
}

func await(t *testing.T, what string, done func(ctx context.Context) error) {
	t.Helper()
	var last error
	err := wait.PollUntilContextTimeout(t.Context(), 20*time.Millisecond, 30*time.Second, true, func(ctx context.Context) (bool, error) {
		last = done(ctx)
		return last == nil, nil
	})
	if err != nil {
		t.Fatalf("wait for %s: %v; last: %v", what, err, last)
	}
}

// denyAll is a webhook.
func denyAll(w http.ResponseWriter, req *http.Request) {
	var review admissionv1.AdmissionReview
	if err := json.NewDecoder(req.Body).Decode(&review); err != nil || review.Request == nil {
		http.Error(w, "no review", http.StatusBadRequest)
		return
	}
	review.Response = &admissionv1.AdmissionResponse{UID: review.Request.UID, Result: &metav1.Status{Message: "denied by webhook"}}
	review.Request = nil
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(review)
}
