package controllers_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apiserver/pkg/admission"

	"github.com/pintle-io/pintle/engine/apis/served"
	"github.com/pintle-io/pintle/engine/client"
	"github.com/pintle-io/pintle/engine/controllers"
	deploymentcontroller "github.com/pintle-io/pintle/engine/controllers/deployment"
	"github.com/pintle-io/pintle/engine/decision"
	"github.com/pintle-io/pintle/engine/reconcile"
	"github.com/pintle-io/pintle/engine/registry"
	"github.com/pintle-io/pintle/engine/strategy"
	"github.com/pintle-io/pintle/store"
	"github.com/pintle-io/pintle/wasm/strategies/rollout"
)

// start runs every controller over a registry and store of their own, and makes
// namespace ns.
func start(t testing.TB) *client.Client {
	t.Helper()
	c, stop := boot(t, newRegistry(t), nil)
	t.Cleanup(stop)
	create(t, c, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "ns"}})
	return c
}

func newRegistry(t testing.TB) *registry.Registry {
	t.Helper()
	st, err := store.Open(t.TempDir(), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	reg, err := registry.New(registry.Config{Table: served.Table(), Scheme: served.Scheme(), Codecs: served.Codecs(), Store: st})
	if err != nil {
		t.Fatal(err)
	}
	return reg
}

func newClient(reg *registry.Registry) (*client.Client, error) {
	c, err := client.New(client.Config{Storages: reg, Table: served.Table(), Scheme: served.Scheme()})
	if err != nil {
		return nil, err
	}
	c.SetAdmission(openNamespaces{c})
	return c, nil
}

// rollouts decides by the built-in strategy.
func rollouts() deploymentcontroller.Strategies {
	decisions := decision.New(decision.Config{})
	router := strategy.New(strategy.Config{Decisions: decisions})
	router.SetBuiltin(strategy.Rollout, nil, rollout.Native{})
	return deploymentcontroller.Strategies{Router: router, Decisions: decisions}
}

// openNamespaces refuses what is created in a namespace that is going or gone, as
// NamespaceLifecycle does.
type openNamespaces struct{ client *client.Client }

func (openNamespaces) Handles(op admission.Operation) bool { return op == admission.Create }

func (o openNamespaces) Validate(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	if a.GetNamespace() == "" || a.GetKind().Kind == "Namespace" {
		return nil
	}
	namespace, err := client.Get[*corev1.Namespace](ctx, o.client, "", a.GetNamespace())
	if err == nil && namespace.DeletionTimestamp != nil {
		err = admission.NewForbidden(a, errors.New("the namespace is being terminated"))
	}
	return err
}

// boot runs every controller over what is stored, until stop; with faults, if they
// are not nil.
func boot(t testing.TB, reg *registry.Registry, f *faults) (c *client.Client, stop func()) {
	t.Helper()
	c, err := newClient(reg)
	if err != nil {
		t.Fatal(err)
	}
	env := reconcile.Env{Client: c}
	if f != nil {
		env.Intercept = f.intercept
		if err := f.stale(c, staleKinds...); err != nil {
			t.Fatal(err)
		}
	}
	c.SetHandler(http.HandlerFunc(emptyDiscovery))
	events := reconcile.NewEvents(c)
	env.Events = events
	all, err := controllers.All(controllers.Deps{Env: env, RootCA: []byte("certificate"), Rollouts: rollouts()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	c.Informers().StartWithContext(ctx)
	done := make(chan error, 2)
	go func() { done <- events.Run(ctx) }()
	go func() { done <- controllers.Run(ctx, all) }()
	return c, func() {
		cancel()
		for range 2 {
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		c.Informers().Shutdown()
	}
}

// emptyDiscovery shows no resources beyond the built-in ones.
func emptyDiscovery(w http.ResponseWriter, req *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	var body any = metav1.APIGroupList{TypeMeta: metav1.TypeMeta{Kind: "APIGroupList", APIVersion: "v1"}}
	if req.URL.Path == "/api" {
		body = metav1.APIVersions{TypeMeta: metav1.TypeMeta{Kind: "APIVersions", APIVersion: "v1"}}
	}
	_ = json.NewEncoder(w).Encode(body)
}

func create[T runtime.Object](t testing.TB, c *client.Client, obj T) T {
	t.Helper()
	out, err := client.Create(t.Context(), c, obj)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// eventually waits until ok holds; it fails the test with what describe says.
func eventually(t testing.TB, what string, ok func() bool, describe func() any) {
	t.Helper()
	err := wait.PollUntilContextTimeout(t.Context(), 10*time.Millisecond, 20*time.Second, true, func(context.Context) (bool, error) { return ok(), nil })
	if err != nil {
		t.Fatalf("%s: %v; now: %+v", what, err, describe())
	}
}

func pods(t testing.TB, c *client.Client, namespace string) []*corev1.Pod {
	t.Helper()
	list, err := client.List[*corev1.Pod](t.Context(), c, namespace, client.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// runPods plays the node agent: new pods become running and ready, deleted ones
// go; it ends with the test.
func runPods(t testing.TB, c *client.Client) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		wait.UntilWithContext(ctx, func(ctx context.Context) {
			list, err := client.List[*corev1.Pod](ctx, c, "", client.ListOptions{})
			if err != nil {
				return
			}
			for _, pod := range list {
				stepPod(ctx, c, pod)
			}
		}, 20*time.Millisecond)
	}()
	t.Cleanup(func() { cancel(); <-done })
}

func stepPod(ctx context.Context, c *client.Client, pod *corev1.Pod) {
	if pod.DeletionTimestamp != nil {
		zero := int64(0)
		_ = client.Delete[*corev1.Pod](ctx, c, pod.Namespace, pod.Name, metav1.DeleteOptions{GracePeriodSeconds: &zero})
		return
	}
	if pod.Status.Phase != corev1.PodPending && pod.Status.Phase != "" {
		return
	}
	_, _ = client.UpdateStatusFunc(ctx, c, pod.Namespace, pod.Name, func(p *corev1.Pod) error {
		now := metav1.Now()
		p.Status.PodIP = "10.0.0.1"
		p.Status.PodIPs = []corev1.PodIP{{IP: p.Status.PodIP}}
		p.Status.Phase = corev1.PodRunning
		if p.Spec.RestartPolicy == corev1.RestartPolicyNever {
			p.Status.Phase = corev1.PodSucceeded
			return nil
		}
		p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: now}}
		return nil
	})
}
