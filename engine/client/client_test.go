package client_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/client-go/applyconfigurations"
	"k8s.io/client-go/tools/cache"

	"github.com/pintle-io/pintle/engine/apis/served"
	"github.com/pintle-io/pintle/engine/client"
)

func TestWriteAndRead(t *testing.T) {
	c := newClient(t, nil)
	ctx := t.Context()
	created, err := client.Create(ctx, c, pod("a"))
	if err != nil {
		t.Fatal(err)
	}
	if created.UID == "" || created.ResourceVersion == "" || created.Spec.RestartPolicy != corev1.RestartPolicyAlways {
		t.Fatalf("created pod has no identity or defaults: %+v", created)
	}
	stale := created.DeepCopy()
	updated, err := client.UpdateStatusFunc(ctx, c, "ns", "a", func(p *corev1.Pod) error {
		p.Status.Phase = corev1.PodRunning
		p.Spec.NodeName = "smuggled"
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if updated.Status.Phase != corev1.PodRunning || updated.Spec.NodeName != "" {
		t.Errorf("status update wrote phase %q, node %q", updated.Status.Phase, updated.Spec.NodeName)
	}
	stale.Labels["app"] = "old"
	if _, err := client.Update(ctx, c, stale); !apierrors.IsConflict(err) {
		t.Errorf("update with an old resourceVersion: %v, want a conflict", err)
	}
	got, err := client.Get[*corev1.Pod](ctx, c, "ns", "a")
	if err != nil || got.ResourceVersion != updated.ResourceVersion {
		t.Errorf("get: %v %v, want version %v", got.ResourceVersion, err, updated.ResourceVersion)
	}
	other := corev1.Pod{}.UID + "other"
	err = client.Delete[*corev1.Pod](ctx, c, "ns", "a", metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &other}})
	if !apierrors.IsConflict(err) {
		t.Errorf("delete with another UID: %v, want a conflict", err)
	}
	if err := client.Delete[*corev1.Pod](ctx, c, "ns", "a", metav1.DeleteOptions{}); err != nil {
		t.Error(err)
	}
	if _, err := client.Get[*corev1.Pod](ctx, c, "ns", "a"); !apierrors.IsNotFound(err) {
		t.Errorf("get after delete: %v, want not found", err)
	}
}

func TestUpdateFuncUnchanged(t *testing.T) {
	c := newClient(t, nil)
	created, err := client.Create(t.Context(), c, pod("a"))
	if err != nil {
		t.Fatal(err)
	}
	got, err := client.UpdateFunc(t.Context(), c, "ns", "a", func(*corev1.Pod) error { return client.ErrUnchanged })
	if err != nil || got.ResourceVersion != created.ResourceVersion {
		t.Errorf("unchanged: version %v, err %v; want %v", got.ResourceVersion, err, created.ResourceVersion)
	}
}

func TestUpdateFuncIsAtomic(t *testing.T) {
	c := newClient(t, nil)
	if _, err := client.Create(t.Context(), c, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "n"}}); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			_, err := client.UpdateFunc(t.Context(), c, "ns", "n", func(cm *corev1.ConfigMap) error {
				if cm.Data == nil {
					cm.Data = map[string]string{}
				}
				cm.Data[fmt.Sprint(len(cm.Data))] = ""
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	cm, err := client.Get[*corev1.ConfigMap](t.Context(), c, "ns", "n")
	if err != nil || len(cm.Data) != 50 {
		t.Errorf("%d of 50 updates survived, err %v", len(cm.Data), err)
	}
}

// TestManagedFieldsAsUpstream holds the fast path against the field manager of
// the API library: the second create of an equal object takes the fast path.
func TestManagedFieldsAsUpstream(t *testing.T) {
	c := newClient(t, nil).WithFieldManager("tester")
	scheme := served.Scheme()
	gvk := corev1.SchemeGroupVersion.WithKind("Pod")
	upstream, err := managedfields.NewDefaultFieldManager(applyconfigurations.NewTypeConverter(scheme), scheme, scheme, scheme, gvk, gvk.GroupVersion(), "", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, mutate := range []func(*corev1.Pod){
		func(*corev1.Pod) {},
		func(p *corev1.Pod) { p.GenerateName = "x-" },
		func(p *corev1.Pod) {
			p.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "Pod", Name: "o", UID: "u"}}
			p.Spec.Containers[0].Ports = nil
			p.Spec.Tolerations = []corev1.Toleration{{Key: "k", Operator: corev1.TolerationOpExists}}
		},
	} {
		want := pod("want")
		mutate(want)
		scheme.Default(want)
		out, err := upstream.Update(&corev1.Pod{}, want, "tester")
		if err != nil {
			t.Fatal(err)
		}
		expected := out.(*corev1.Pod).ManagedFields
		for _, name := range []string{"first", "second"} {
			p := pod(name + fmt.Sprint(len(expected[0].FieldsV1.GetRawString())))
			mutate(p)
			got, err := client.Create(t.Context(), c, p)
			if err != nil {
				t.Fatal(err)
			}
			expected[0].Time = got.ManagedFields[0].Time
			if diff := cmp.Diff(expected, got.ManagedFields); diff != "" {
				t.Errorf("%s create (-upstream +ours):\n%s", name, diff)
			}
		}
	}
}

// chain records what admission was asked, and refuses pods named "no".
type chain struct {
	mu    sync.Mutex
	asked []string
}

func (*chain) Handles(admission.Operation) bool { return true }

func (c *chain) Admit(_ context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked = append(c.asked, fmt.Sprintf("%s %s %s/%s by %s", a.GetOperation(), a.GetResource().Resource, a.GetNamespace(), a.GetName(), a.GetUserInfo().GetName()))
	if p, ok := a.GetObject().(*corev1.Pod); ok && a.GetOperation() == admission.Create {
		p.Labels["admitted"] = "true"
	}
	return nil
}

func (*chain) Validate(_ context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	if a.GetName() == "no" {
		return admission.NewForbidden(a, fmt.Errorf("no"))
	}
	return nil
}

func TestAdmission(t *testing.T) {
	admit := &chain{}
	c := newClient(t, admit).AsController("x")
	admit.asked = nil
	p, err := client.Create(t.Context(), c, pod("yes"))
	if err != nil || p.Labels["admitted"] != "true" {
		t.Fatalf("create: %v %v", p.Labels, err)
	}
	if _, err := client.Create(t.Context(), c, pod("no")); !apierrors.IsForbidden(err) {
		t.Errorf("create of a refused pod: %v", err)
	}
	want := []string{
		"CREATE pods ns/yes by system:serviceaccount:kube-system:x",
		"CREATE pods ns/no by system:serviceaccount:kube-system:x",
	}
	if diff := cmp.Diff(want, admit.asked); diff != "" {
		t.Error(diff)
	}
}

// TestInformerShares checks that an informer's objects are the store's: listing
// twice yields the same deep parts.
func TestInformerShares(t *testing.T) {
	c := newClient(t, nil)
	if _, err := client.Create(t.Context(), c, pod("a")); err != nil {
		t.Fatal(err)
	}
	pods := c.Informers().Core().V1().Pods()
	informer := pods.Informer()
	seen := make(chan *corev1.Pod, 10)
	if _, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{AddFunc: func(o any) { seen <- o.(*corev1.Pod) }}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	c.Informers().StartWithContext(ctx)
	defer c.Informers().Shutdown()
	defer cancel()
	first := <-seen
	if _, err := client.Create(ctx, c, pod("b")); err != nil {
		t.Fatal(err)
	}
	second := <-seen
	for _, p := range []*corev1.Pod{first, second} {
		stored, err := client.Get[*corev1.Pod](ctx, c, "ns", p.Name)
		if err != nil {
			t.Fatal(err)
		}
		if &stored.Spec.Containers[0] != &p.Spec.Containers[0] {
			t.Errorf("pod %s in the informer is a copy", p.Name)
		}
	}
	if got, err := pods.Lister().Pods("ns").Get("b"); err != nil || got != second {
		t.Errorf("lister: %v %v", got, err)
	}
}

func BenchmarkCreatePod(b *testing.B) {
	c := newClient(b, nil)
	for _, workers := range []int{1, 64, 256} {
		b.Run(fmt.Sprintf("workers=%d", workers), func(b *testing.B) {
			b.SetParallelism(workers)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					p := pod("")
					p.GenerateName = "web-"
					if _, err := client.Create(b.Context(), c, p); err != nil {
						b.Error(err)
						return
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "creates/s")
		})
	}
}
