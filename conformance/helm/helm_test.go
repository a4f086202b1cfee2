package helm

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"

	"github.com/pintle-io/pintle/conformance/harness"
)

const namespace = "bakery"

// release is a chart's life in one cluster.
type release struct {
	*testing.T
	helm    string
	cluster *harness.Cluster
	kube    kubernetes.Interface
	home    string
}

// TestHelm follows one release from its installation to its end, on fake nodes.
func TestHelm(t *testing.T) {
	if os.Getenv("HELM") == "" {
		t.Skip("needs the path of Helm 4 in $HELM: `task helm` builds it and runs this")
	}
	r := newRelease(t)
	r.run("install", "shop", "chart", "--create-namespace", "--wait", "--timeout=60s")
	r.wantDeployed(1, "hello", 2)

	r.run("upgrade", "shop", "chart", "--set=greeting=hi,replicas=3", "--wait", "--timeout=60s")
	r.wantDeployed(2, "hi", 3)
	r.conflicts()
	r.failedUpgrades()

	r.run("rollback", "shop", "1", "--wait", "--timeout=60s")
	r.wantDeployed(1, "hello", 2)
	if out := r.run("history", "shop"); !strings.Contains(out, "Rollback to 1") {
		t.Errorf("history lacks the rollback:\n%s", out)
	}
	if out := r.run("status", "shop"); !strings.Contains(out, "STATUS: deployed") {
		t.Errorf("status: %s", out)
	}
	r.tests()
	r.run("uninstall", "shop", "--wait", "--timeout=60s")
	r.wantGone()
}

func newRelease(t *testing.T) *release {
	t.Helper()
	binary, err := harness.Binary()
	if err != nil {
		t.Fatal(err)
	}
	cluster, err := harness.NewCluster(binary, t.TempDir(), "server", "--fake-nodes", "2")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cluster.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cluster.Kill() })
	r := &release{T: t, helm: os.Getenv("HELM"), cluster: cluster, home: t.TempDir()}
	if r.kube, err = cluster.Client(); err != nil {
		t.Fatal(err)
	}
	return r
}

// helmed runs Helm in the release's namespace and returns all output.
func (r *release) helmed(args ...string) (string, error) {
	cmd := exec.CommandContext(r.Context(), r.helm, append([]string{"--namespace", namespace}, args...)...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+r.cluster.Kubeconfig,
		"HELM_CACHE_HOME="+r.home, "HELM_CONFIG_HOME="+r.home, "HELM_DATA_HOME="+r.home)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	started := time.Now()
	err := cmd.Run()
	r.Logf("helm %s: %.1f s", strings.Join(args, " "), time.Since(started).Seconds())
	if err != nil {
		err = fmt.Errorf("helm %s: %w\n%s", strings.Join(args, " "), err, out.String())
	}
	return out.String(), err
}

func (r *release) run(args ...string) string {
	r.Helper()
	out, err := r.helmed(args...)
	if err != nil {
		r.Fatal(err)
	}
	return out
}

// wantDeployed looks at what the chart made of its values.
func (r *release) wantDeployed(revision int, greeting string, replicas int32) {
	r.Helper()
	ctx := r.Context()
	cm, err := r.kube.CoreV1().ConfigMaps(namespace).Get(ctx, "shop", metav1.GetOptions{})
	if err != nil {
		r.Fatal(err)
	}
	if cm.Data["greeting"] != greeting || cm.Data["revision"] != fmt.Sprint(revision) || cm.Data["capable"] != "yes" {
		r.Errorf("the ConfigMap of revision %d holds %v", revision, cm.Data)
	}
	d, err := r.kube.AppsV1().Deployments(namespace).Get(ctx, "shop", metav1.GetOptions{})
	if err != nil {
		r.Fatal(err)
	}
	if d.Status.AvailableReplicas != replicas || d.Status.ObservedGeneration != d.Generation {
		r.Errorf("--wait returned with status %+v, want %d replicas", d.Status, replicas)
	}
	secret, err := r.kube.CoreV1().Secrets(namespace).Get(ctx, "shop", metav1.GetOptions{})
	if err != nil {
		r.Fatal(err)
	}
	if kept := string(secret.Data["kept"]); revision > 1 && kept != string(secret.UID) {
		r.Errorf("lookup found the secret %q, want %s", kept, secret.UID)
	}
	hook, err := r.kube.CoreV1().ConfigMaps(namespace).Get(ctx, "shop-first", metav1.GetOptions{})
	if err != nil || hook.Data["revision"] == "" {
		r.Errorf("the hook left %v, %v", hook, err)
	}
	loaf, err := r.dynamic().Resource(loaves).Namespace(namespace).Get(ctx, "shop", metav1.GetOptions{})
	if err != nil || loaf.GetLabels()["app.kubernetes.io/managed-by"] != "Helm" {
		r.Errorf("the custom resource: %v, %v", loaf, err)
	}
}

var loaves = schema.GroupVersionResource{Group: "bakery.conformance.example", Version: "v1", Resource: "loaves"}

func (r *release) dynamic() dynamic.Interface {
	cfg, err := r.cluster.REST()
	if err != nil {
		r.Fatal(err)
	}
	return dynamic.NewForConfigOrDie(cfg)
}

// revision is the number of the newest one.
func (r *release) revision() int {
	secrets, err := r.kube.CoreV1().Secrets(namespace).List(r.Context(), metav1.ListOptions{LabelSelector: "owner=helm,name=shop"})
	if err != nil {
		r.Fatal(err)
	}
	return len(secrets.Items)
}

// conflicts: Helm applies on the server's side, so what somebody else took is not
// overwritten without being asked to.
func (r *release) conflicts() {
	patch := []byte(`{"apiVersion":"v1","kind":"ConfigMap","data":{"greeting":"mine"}}`)
	_, err := r.kube.CoreV1().ConfigMaps(namespace).Patch(r.Context(), "shop", types.ApplyPatchType, patch,
		metav1.PatchOptions{FieldManager: "somebody", Force: new(true)})
	if err != nil {
		r.Fatal(err)
	}
	out, err := r.helmed("upgrade", "shop", "chart", "--set=greeting=yours,replicas=3")
	if err == nil || !strings.Contains(out, "conflict") || !strings.Contains(out, `"somebody"`) || !strings.Contains(out, ".data.greeting") {
		r.Errorf("an upgrade over another's field: %v\n%s", err, out)
	}
	r.run("upgrade", "shop", "chart", "--set=greeting=yours,replicas=3", "--force-conflicts", "--wait", "--timeout=60s")
	r.wantDeployed(r.revision(), "yours", 3)
}

// failedUpgrades: what the API refuses comes through, and the release goes on.
func (r *release) failedUpgrades() {
	for set, want := range map[string]string{
		"loaf=chalk":      `spec.flour: Unsupported value: "chalk": supported values: "rye", "wheat"`,
		"brokenHook=true": `a lowercase RFC 1123 subdomain must consist of`,
	} {
		out, err := r.helmed("upgrade", "shop", "chart", "--set="+set, "--wait", "--timeout=30s")
		if err == nil || !strings.Contains(out, want) {
			r.Errorf("an upgrade with %s: %v\n%s", set, err, out)
		}
	}
	out, err := r.helmed("upgrade", "shop", "chart", "--set=replicas=4,loaf=chalk", "--rollback-on-failure", "--timeout=30s")
	if err == nil || !strings.Contains(out, "chalk") {
		r.Errorf("an upgrade that is to roll back: %v\n%s", err, out)
	}
	d, err := r.kube.AppsV1().Deployments(namespace).Get(r.Context(), "shop", metav1.GetOptions{})
	if err != nil || *d.Spec.Replicas != 3 {
		r.Errorf("after an upgrade that rolled back: %v, %v", d.Spec.Replicas, err)
	}
}

// tests runs the chart's test, whose pod ends as soon as it is there: fake nodes let
// pods run for ever.
func (r *release) tests() {
	ended := make(chan error, 1)
	go func() { ended <- r.endPod("shop-test") }()
	if out := r.run("test", "shop", "--timeout=30s"); !strings.Contains(out, "Phase:          Succeeded") {
		r.Errorf("the chart's test: %s", out)
	}
	if err := <-ended; err != nil {
		r.Error(err)
	}
}

// endPod waits for a pod to run and ends it.
func (r *release) endPod(name string) error {
	pods := r.kube.CoreV1().Pods(namespace)
	w, err := pods.Watch(r.Context(), metav1.ListOptions{FieldSelector: "metadata.name=" + name})
	if err != nil {
		return err
	}
	defer w.Stop()
	for ev := range w.ResultChan() {
		pod, ok := ev.Object.(*corev1.Pod)
		if !ok || pod.Status.Phase != corev1.PodRunning {
			continue
		}
		_, err := pods.Patch(r.Context(), name, types.StrategicMergePatchType, []byte(`{"status":{"phase":"Succeeded"}}`), metav1.PatchOptions{}, "status")
		return err
	}
	return fmt.Errorf("pod %s did not run", name)
}

// wantGone: all but what Helm leaves on purpose.
func (r *release) wantGone() {
	ctx := r.Context()
	_, deployment := r.kube.AppsV1().Deployments(namespace).Get(ctx, "shop", metav1.GetOptions{})
	_, config := r.kube.CoreV1().ConfigMaps(namespace).Get(ctx, "shop", metav1.GetOptions{})
	_, loaf := r.dynamic().Resource(loaves).Namespace(namespace).Get(ctx, "shop", metav1.GetOptions{})
	for _, err := range []error{deployment, config, loaf} {
		if !apierrors.IsNotFound(err) {
			r.Errorf("left after uninstalling: %v", err)
		}
	}
	if _, err := r.kube.CoreV1().ConfigMaps(namespace).Get(ctx, "shop-last", metav1.GetOptions{}); err != nil {
		r.Errorf("the hook after deletion did not run: %v", err)
	}
	pods, err := r.kube.CoreV1().Pods(namespace).List(ctx, metav1.ListOptions{})
	if err != nil || len(pods.Items) > 0 {
		r.Errorf("%d pods left, %v", len(pods.Items), err)
	}
}
