package robustness

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	ocitypes "github.com/google/go-containerregistry/pkg/v1/types"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"

	"github.com/pintle-io/pintle/conformance/harness"
)

var (
	strategiesResource = schema.GroupVersionResource{Group: "pintle.io", Version: "v1alpha1", Resource: "strategies"}
	bindingsResource   = schema.GroupVersionResource{Group: "pintle.io", Version: "v1alpha1", Resource: "strategybindings"}
)

// strategyWorld is a server with nodes, and what is needed to change its strategies.
type strategyWorld struct {
	t      *testing.T
	server *harness.Cluster
	kube   kubernetes.Interface
	api    dynamic.Interface
	pods   int
}

func newStrategyWorld(t *testing.T) *strategyWorld {
	w := &strategyWorld{t: t}
	w.server, w.kube = server(t, "--fake-nodes", "5")
	w.connect()
	waitNodes(t, w.kube, 5)
	return w
}

func (w *strategyWorld) connect() {
	w.t.Helper()
	cfg, err := w.server.REST()
	if err != nil {
		w.t.Fatal(err)
	}
	if w.api, err = dynamic.NewForConfig(cfg); err != nil {
		w.t.Fatal(err)
	}
	w.kube = client(w.t, w.server)
	eventually(w.t, 30*time.Second, "the kinds of strategies to be served", func(ctx context.Context) (bool, string) {
		_, err := w.api.Resource(bindingsResource).List(ctx, metav1.ListOptions{})
		return err == nil, fmt.Sprint(err)
	})
}

// apply creates an object, or changes it to what is said.
func (w *strategyWorld) apply(gvr schema.GroupVersionResource, kind, name string, spec map[string]any) {
	w.t.Helper()
	obj := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "pintle.io/v1alpha1", "kind": kind, "metadata": map[string]any{"name": name}, "spec": spec,
	}}
	if _, err := w.api.Resource(gvr).Apply(w.t.Context(), name, obj, metav1.ApplyOptions{FieldManager: "test", Force: true}); err != nil {
		w.t.Fatal(err)
	}
}

func (w *strategyWorld) strategy(name string, spec map[string]any) {
	w.t.Helper()
	w.apply(strategiesResource, "Strategy", name, spec)
}

func (w *strategyWorld) bind(name string, spec map[string]any) {
	w.t.Helper()
	spec["type"] = "Scheduling"
	w.apply(bindingsResource, "StrategyBinding", name, spec)
}

// until waits for what an object says at a path, and returns it.
func (w *strategyWorld) until(gvr schema.GroupVersionResource, name, path string, ok func(value string) bool) string {
	w.t.Helper()
	var value string
	eventually(w.t, 30*time.Second, fmt.Sprintf("%s/%s %s", gvr.Resource, name, path), func(ctx context.Context) (bool, string) {
		obj, err := w.api.Resource(gvr).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return false, err.Error()
		}
		value = at(obj, path)
		raw, _ := json.Marshal(obj.Object["status"])
		return ok(value), string(raw)
	})
	return value
}

// at is the value at a path; the second element of conditions is a type.
func at(obj *unstructured.Unstructured, path string) string {
	fields := strings.Split(path, ".")
	if fields[0] == "conditions" {
		all, _, _ := unstructured.NestedSlice(obj.Object, "status", "conditions")
		for _, c := range all {
			if c, _ := c.(map[string]any); c["type"] == fields[1] {
				return fmt.Sprint(c[fields[2]])
			}
		}
		return ""
	}
	value, found, _ := unstructured.NestedFieldNoCopy(obj.Object, append([]string{"status"}, fields...)...)
	if !found {
		return ""
	}
	return fmt.Sprint(value)
}

func is(want string) func(string) bool { return func(s string) bool { return s == want } }

// place creates a pod, waits for its node, and returns who decided.
func (w *strategyWorld) place(change func(*corev1.Pod)) (decider string) {
	w.t.Helper()
	w.pods++
	pod := plainPod(fmt.Sprintf("p%d", w.pods))
	change(pod)
	w.create(pod)
	return w.decider(pod)
}

func (w *strategyWorld) create(pod *corev1.Pod) {
	w.t.Helper()
	if _, err := w.kube.CoreV1().Pods(metav1.NamespaceDefault).Create(w.t.Context(), pod, metav1.CreateOptions{}); err != nil {
		w.t.Fatal(err)
	}
}

func (w *strategyWorld) decider(pod *corev1.Pod) string {
	w.t.Helper()
	var decider string
	eventually(w.t, 30*time.Second, "placement of "+pod.Name, func(ctx context.Context) (bool, string) {
		for _, r := range w.records(ctx, "pod/"+pod.Name) {
			if r.Verdict == "Scheduled" {
				decider, _, _ = strings.Cut(r.Decider, "@")
			}
		}
		return decider != "", "no record"
	})
	return decider
}

type decisionRecord struct{ Decider, Verdict, Message string }

func (w *strategyWorld) records(ctx context.Context, object string) []decisionRecord {
	path := "/apis/decisions.pintle.io/v1alpha1/decisions?object=" + object
	raw, err := w.kube.Discovery().RESTClient().Get().RequestURI(path).DoRaw(ctx)
	if err != nil {
		return nil
	}
	var list struct{ Items []decisionRecord }
	if err := json.Unmarshal(raw, &list); err != nil {
		w.t.Fatal(err)
	}
	return list.Items
}

// module puts a file where Strategies may name it, in one step.
func (w *strategyWorld) module(name, from string) {
	w.t.Helper()
	raw, err := os.ReadFile(from)
	if err != nil {
		w.t.Fatal(err)
	}
	file := filepath.Join(w.server.DataDir, "strategies", name)
	if err := os.WriteFile(file+".new", raw, 0o600); err != nil {
		w.t.Fatal(err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		w.t.Fatal(err)
	}
}

// A Strategy's module is replaced while it decides; one that loops is given up and
// said to be, one that is no module leaves the one before in use, and any that ran can
// be gone back to. No pod waits for any of it.
func TestStrategyIsSwapped(t *testing.T) {
	w := newStrategyWorld(t)
	good := filepath.Join("..", "..", "wasm", "strategies", "modules", "scheduling.wasm")
	w.module("tier.wasm", good)
	w.strategy("tier", map[string]any{"type": "Scheduling", "module": map[string]any{"file": "tier.wasm"}})
	w.bind("tier", map[string]any{"strategy": "tier", "schedulerNames": []any{"tier"}})
	tier := func(p *corev1.Pod) { p.Spec.SchedulerName = "tier" }
	w.until(bindingsResource, "tier", "conditions.Ready.status", is("True"))
	first := w.until(strategiesResource, "tier", "active.digest", func(s string) bool { return s != "" })
	if got := w.place(tier); got != "tier" {
		t.Errorf("%s decided about a pod of scheduler tier", got)
	}
	if got := w.place(func(*corev1.Pod) {}); got != "scheduling" {
		t.Errorf("%s decided about a pod of the default scheduler", got)
	}

	w.module("tier.wasm", buildGuest(t, "loop"))
	loops := w.until(strategiesResource, "tier", "active.digest", func(s string) bool { return s != first })
	w.until(strategiesResource, "tier", "previous.digest", is(first))
	for range 4 {
		if got := w.place(tier); got != "scheduling" {
			t.Errorf("%s decided instead of a strategy that loops", got)
		}
	}
	w.until(strategiesResource, "tier", "conditions.FallenBack.status", is("True"))
	eventually(t, 10*time.Second, "an event about the Strategy", func(ctx context.Context) (bool, string) {
		events, err := w.kube.CoreV1().Events("").List(ctx, metav1.ListOptions{FieldSelector: "involvedObject.kind=Strategy,reason=FallenBack"})
		return err == nil && len(events.Items) == 1 && strings.Contains(events.Items[0].Message, "failed 3 times"), fmt.Sprint(err)
	})
	if r := w.records(t.Context(), "strategy/tier"); len(r) != 1 || r[0].Verdict != "FallenBack" {
		t.Errorf("records of the strategy: %+v", r)
	}

	if err := os.WriteFile(filepath.Join(w.server.DataDir, "strategies", "tier.wasm"), []byte("no module"), 0o600); err != nil {
		t.Fatal(err)
	}
	w.until(strategiesResource, "tier", "conditions.Ready.reason", is("Refused"))
	w.until(strategiesResource, "tier", "active.digest", is(loops))

	w.strategy("tier", map[string]any{"type": "Scheduling", "module": map[string]any{"file": "tier.wasm"}, "rollbackTo": first})
	w.until(strategiesResource, "tier", "active.digest", is(first))
	w.until(strategiesResource, "tier", "conditions.FallenBack.status", is("False"))
	if got := w.place(tier); got != "tier" {
		t.Errorf("%s decided after the roll-back", got)
	}

	// From a ConfigMap, compressed, under a digest that it has, and has not.
	w.configMap("tier", good)
	from := map[string]any{"configMap": map[string]any{"namespace": "default", "name": "tier"}, "digest": loops}
	w.strategy("tier", map[string]any{"type": "Scheduling", "module": from})
	w.until(strategiesResource, "tier", "conditions.Ready.reason", is("DigestMismatch"))
	from["digest"] = first
	w.strategy("tier", map[string]any{"type": "Scheduling", "module": from})
	w.until(strategiesResource, "tier", "conditions.Ready.status", is("True"))
}

func (w *strategyWorld) configMap(name, file string) {
	w.t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		w.t.Fatal(err)
	}
	var packed bytes.Buffer
	z, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := z.Write(raw); err != nil {
		w.t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		w.t.Fatal(err)
	}
	cm := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}, BinaryData: map[string][]byte{"module.wasm": packed.Bytes()}}
	if _, err := w.kube.CoreV1().ConfigMaps("default").Create(w.t.Context(), cm, metav1.CreateOptions{}); err != nil {
		w.t.Fatal(err)
	}
}

// A candidate runs in the shadow, gets a share, and is promoted; the server is killed
// as soon as the promotion is acknowledged. Afterwards it is in force, what was there
// before can be gone back to, and every pod has a node, decided about once.
func TestPromotionSurvivesAKill(t *testing.T) {
	w := newStrategyWorld(t)
	for _, name := range []string{"stable", "next"} {
		w.strategy(name, map[string]any{"type": "Scheduling", "module": map[string]any{"builtin": "scheduling"}})
	}
	w.bind("all", map[string]any{"strategy": "stable", "candidate": map[string]any{"strategy": "next", "shadow": true}})
	w.until(bindingsResource, "all", "active.strategy", is("stable"))
	w.until(bindingsResource, "all", "conditions.Ready.status", is("True"))
	for range 3 {
		if got := w.place(func(*corev1.Pod) {}); got != "stable" {
			t.Errorf("%s decided while next was in the shadow", got)
		}
	}
	w.until(strategiesResource, "next", "shadow.agreed", is("3"))
	w.until(strategiesResource, "next", "shadow.differed", is("0"))

	// kubectl's way: one merge patch.
	patch := func(spec string) {
		t.Helper()
		if _, err := w.api.Resource(bindingsResource).Patch(t.Context(), "all", types.MergePatchType, []byte(`{"spec":`+spec+`}`), metav1.PatchOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	patch(`{"candidate":{"shadow":null,"percent":50}}`)
	share := map[string]int{}
	eventually(t, 10*time.Second, "a pod that the candidate decided about", func(context.Context) (bool, string) {
		share[w.place(func(*corev1.Pod) {})]++
		return share["next"] > 0 && share["stable"] > 0, fmt.Sprint(share)
	})

	var waiting []*corev1.Pod
	for i := range 20 {
		waiting = append(waiting, plainPod(fmt.Sprintf("w%d", i)))
		w.create(waiting[i])
	}
	patch(`{"strategy":"next","candidate":null}`)
	if err := w.server.Kill(); err != nil {
		t.Fatal(err)
	}
	start(t, w.server)
	w.connect()
	w.until(bindingsResource, "all", "active.strategy", is("next"))
	w.until(bindingsResource, "all", "previous.strategy", is("stable"))
	eventually(t, 30*time.Second, "nodes for all pods", func(ctx context.Context) (bool, string) {
		pods, err := w.kube.CoreV1().Pods(metav1.NamespaceDefault).List(ctx, metav1.ListOptions{})
		if err != nil {
			return false, err.Error()
		}
		missing := len(waiting)
		for _, p := range pods.Items {
			if strings.HasPrefix(p.Name, "w") && p.Spec.NodeName != "" {
				missing--
			}
		}
		return missing == 0, fmt.Sprintf("%d have none", missing)
	})
	for range 5 {
		if got := w.place(func(*corev1.Pod) {}); got != "next" {
			t.Errorf("%s decided after the promotion", got)
		}
	}

	patch(`{"strategy":"stable"}`)
	w.until(bindingsResource, "all", "active.strategy", is("stable"))
	w.until(bindingsResource, "all", "previous.strategy", is("next"))
	if got := w.place(func(*corev1.Pod) {}); got != "stable" {
		t.Errorf("%s decided after the roll-back", got)
	}
}

// A module comes from a registry by its digest, signed if a key is given; once it was
// loaded the registry may be gone, and so may the server for a while.
func TestStrategyFromARegistry(t *testing.T) {
	w := newStrategyWorld(t)
	registry := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(registry.Close)
	raw, err := os.ReadFile(filepath.Join("..", "..", "wasm", "strategies", "modules", "scheduling.wasm"))
	if err != nil {
		t.Fatal(err)
	}
	image, err := mutate.AppendLayers(mutate.MediaType(empty.Image, ocitypes.OCIManifestSchema1), static.NewLayer(raw, "application/vnd.wasm.content.layer.v1+wasm"))
	if err != nil {
		t.Fatal(err)
	}
	digest, err := image.Digest()
	if err != nil {
		t.Fatal(err)
	}
	reference := strings.TrimPrefix(registry.URL, "http://") + "/strategies/tier@" + digest.String()
	at, err := name.NewDigest(reference, name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(at, image); err != nil {
		t.Fatal(err)
	}
	artifact := map[string]any{"reference": reference}
	spec := map[string]any{"type": "Scheduling", "module": map[string]any{"oci": artifact}}
	w.strategy("tier", spec)
	w.until(strategiesResource, "tier", "conditions.Ready.reason", is("ModuleNotFound")) // it speaks no TLS
	artifact["plainHTTP"] = true
	w.strategy("tier", spec)
	w.until(strategiesResource, "tier", "conditions.Ready.status", is("True"))
	w.bind("tier", map[string]any{"strategy": "tier"})
	w.until(bindingsResource, "tier", "conditions.Ready.status", is("True"))
	if got := w.place(func(*corev1.Pod) {}); got != "tier" {
		t.Errorf("%s decided", got)
	}
	registry.Close()
	if err := w.server.Kill(); err != nil {
		t.Fatal(err)
	}
	start(t, w.server)
	w.connect()
	if got := w.place(func(*corev1.Pod) {}); got != "tier" {
		t.Errorf("%s decided after the restart", got)
	}
	w.until(strategiesResource, "tier", "conditions.Ready.status", is("True"))
}
