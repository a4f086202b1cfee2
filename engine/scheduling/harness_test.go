package scheduling

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/pintle-io/pintle/engine/decision"
	"github.com/pintle-io/pintle/wasm/strategies/scheduling"
)

// world is a scheduler over a pretended API: what it writes comes back to it as
// informer events.
type world struct {
	*Scheduler
	t  testing.TB
	mu struct {
		sync.Mutex
		pods    map[string]*corev1.Pod
		events  []string
		changed chan struct{} // closed and replaced at every write
		refuse  func(pod *corev1.Pod, node string) error
	}
}

func newWorld(t testing.TB, p Placer) *world {
	t.Helper()
	w := &world{t: t}
	w.mu.pods, w.mu.changed = map[string]*corev1.Pod{}, make(chan struct{})
	s, err := New(Config{
		Client: w, Recorder: w, Placer: p, Fallback: &scheduling.Native{}, Decisions: decision.New(decision.Config{}),
		Informers: informers.NewSharedInformerFactory(fake.NewClientset(), 0), Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	w.Scheduler = s
	return w
}

// start runs the scheduler until the test ends.
func (w *world) start() {
	ctx, cancel := context.WithCancel(context.Background())
	w.config.Informers.Start(ctx.Done())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	w.t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			w.t.Error(err)
		}
		w.config.Informers.Shutdown()
	})
}

func (w *world) addNode(n *corev1.Node) { w.inbox.put(event{newNode: n}) }

func (w *world) addPod(p *corev1.Pod) {
	w.mu.Lock()
	w.mu.pods[p.Name] = p
	w.mu.Unlock()
	w.inbox.put(event{newPod: p})
}

func (w *world) deletePod(name string) {
	w.mu.Lock()
	p := w.mu.pods[name]
	delete(w.mu.pods, name)
	w.mu.Unlock()
	w.inbox.put(event{oldPod: p})
}

// until waits for a condition over the pods and events written.
func (w *world) until(what string, ok func(pods map[string]*corev1.Pod, events []string) bool) {
	w.t.Helper()
	deadline := time.After(10 * time.Second)
	for {
		w.mu.Lock()
		done, changed := ok(w.mu.pods, w.mu.events), w.mu.changed
		w.mu.Unlock()
		if done {
			return
		}
		select {
		case <-changed:
		case <-deadline:
			w.mu.Lock()
			defer w.mu.Unlock()
			w.t.Fatalf("%s did not happen; events:\n%s", what, strings.Join(w.mu.events, "\n"))
		}
	}
}

// bound waits until n pods have nodes and returns how many each node has.
func (w *world) bound(n int) map[string]int {
	w.t.Helper()
	var on map[string]int
	w.until(fmt.Sprintf("binding of %d pods", n), func(pods map[string]*corev1.Pod, _ []string) bool {
		on = map[string]int{}
		have := 0
		for _, p := range pods {
			if p.Spec.NodeName != "" {
				on[p.Spec.NodeName]++
				have++
			}
		}
		return have >= n
	})
	return on
}

func (w *world) event(substring string) {
	w.t.Helper()
	w.until("event "+substring, func(_ map[string]*corev1.Pod, events []string) bool {
		return strings.Contains(strings.Join(events, "\n"), substring)
	})
}

func (w *world) write(name string, change func(p *corev1.Pod) error) (runtime.Object, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	old, ok := w.mu.pods[name]
	if !ok {
		return nil, apierrors.NewNotFound(podsResource.GroupResource(), name)
	}
	p := old.DeepCopy()
	if err := change(p); err != nil {
		return nil, err
	}
	w.mu.pods[name] = p
	w.inbox.put(event{oldPod: old, newPod: p})
	close(w.mu.changed)
	w.mu.changed = make(chan struct{})
	return p, nil
}

// CreateSubresource implements Client.
func (w *world) CreateSubresource(_ context.Context, _ schema.GroupVersionResource, _, name, _ string, obj runtime.Object, _ metav1.CreateOptions) (runtime.Object, error) {
	node := obj.(*corev1.Binding).Target.Name
	return w.write(name, func(p *corev1.Pod) error {
		if w.mu.refuse != nil {
			if err := w.mu.refuse(p, node); err != nil {
				return err
			}
		}
		if p.Spec.NodeName != "" {
			return fmt.Errorf("pod %s is bound already", name)
		}
		p.Spec.NodeName = node
		return nil
	})
}

// UpdateFunc implements Client.
func (w *world) UpdateFunc(_ context.Context, _ schema.GroupVersionResource, _, name, _ string, change func(runtime.Object) error) (runtime.Object, error) {
	return w.write(name, func(p *corev1.Pod) error { return change(p) })
}

// Delete implements Client.
func (w *world) Delete(_ context.Context, _ schema.GroupVersionResource, _, name string, _ metav1.DeleteOptions) error {
	w.deletePod(name)
	return nil
}

// Event implements record.EventRecorder.
func (w *world) Event(o runtime.Object, kind, reason, message string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mu.events = append(w.mu.events, kind+" "+reason+" "+o.(*corev1.Pod).Name+": "+message)
	close(w.mu.changed)
	w.mu.changed = make(chan struct{})
}

// Eventf implements record.EventRecorder.
func (w *world) Eventf(o runtime.Object, kind, reason, format string, args ...any) {
	w.Event(o, kind, reason, fmt.Sprintf(format, args...))
}

// AnnotatedEventf implements record.EventRecorder.
func (w *world) AnnotatedEventf(o runtime.Object, _ map[string]string, kind, reason, format string, args ...any) {
	w.Eventf(o, kind, reason, format, args...)
}

func makeNode(name string, change ...func(*corev1.Node)) *corev1.Node {
	n := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{corev1.LabelHostname: name}},
		Status: corev1.NodeStatus{Allocatable: corev1.ResourceList{
			corev1.ResourceCPU: resource.MustParse("32"), corev1.ResourceMemory: resource.MustParse("256Gi"),
			corev1.ResourcePods: resource.MustParse("110"),
		}},
	}
	for _, c := range change {
		c(n)
	}
	return n
}

func inZone(zone string) func(*corev1.Node) {
	return func(n *corev1.Node) { n.Labels[corev1.LabelTopologyZone] = zone }
}

func makePod(name string, change ...func(*corev1.Pod)) *corev1.Pod {
	p := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "default", UID: types.UID(name), Labels: map[string]string{"app": "web"}},
		Spec: corev1.PodSpec{SchedulerName: DefaultName, Containers: []corev1.Container{{
			Name: "c", Image: "web:1",
			Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{
				corev1.ResourceCPU: resource.MustParse("100m"), corev1.ResourceMemory: resource.MustParse("100Mi"),
			}},
		}}},
	}
	for _, c := range change {
		c(p)
	}
	return p
}

func asking(resourceName corev1.ResourceName, amount string) func(*corev1.Pod) {
	return func(p *corev1.Pod) {
		p.Spec.Containers[0].Resources.Requests[resourceName] = resource.MustParse(amount)
	}
}
