package controllers_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/utils/ptr"

	"github.com/pintle-io/pintle/engine/client"
)

var (
	runs  = flag.Int("fault.runs", 24, "seeded runs of TestConvergesUnderFaults")
	seed  = flag.Uint64("fault.seed", 1, "first seed")
	batch = flag.Int("fault.batch", 24, "runs that share one set of controllers")
)

// TestConvergesUnderFaults gives every seed a namespace with one workload that is
// scaled, rolled, robbed of pods and deleted, while the controllers' writes are lost,
// refused or late, their caches are stale, and their process crashes again and again,
// just before or just after a write. Everything must converge: as many pods as asked, no more at
// any time than the workload allows, none twice, and none left behind.
func TestConvergesUnderFaults(t *testing.T) {
	total := map[string]int{}
	for first := 0; first < *runs; first += *batch {
		n := min(*batch, *runs-first)
		t.Run(fmt.Sprintf("seeds %d to %d", *seed+uint64(first), *seed+uint64(first+n)-1), func(t *testing.T) {
			for fault, count := range convergeBatch(t, *seed+uint64(first), n) {
				total[fault] += count
			}
		})
	}
	t.Logf("%d runs, faults injected: %v", *runs, total)
	for _, fault := range []string{"lost", "conflict", "quota", "late", "stale", "crash before", "crash after"} {
		if total[fault] == 0 {
			t.Errorf("no fault of the kind %q was injected", fault)
		}
	}
}

// convergeBatch returns how many faults of each kind were injected.
func convergeBatch(t *testing.T, seed uint64, n int) map[string]int {
	reg := newRegistry(t)
	admin, err := newClient(reg)
	if err != nil {
		t.Fatal(err)
	}
	runPods(t, admin)
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			r := &run{client: admin, seed: seed + uint64(i), random: rand.New(rand.NewPCG(seed+uint64(i), 3))}
			errs[i] = r.all(t.Context())
		})
	}
	ended := make(chan struct{})
	go func() { wg.Wait(); close(ended) }()
	injected := map[string]int{}
	for life, over := uint64(0), false; !over; life++ {
		f := newFaults(seed+life<<32, 8)
		_, stop := boot(t, reg, f)
		select {
		case <-f.crashed:
		case <-ended:
			over = true
		}
		f.die()
		stop()
		for fault, count := range f.injected {
			injected[fault] += count
		}
	}
	for i, err := range errs {
		if err != nil {
			t.Errorf("seed %d: %v", seed+uint64(i), err)
		}
	}
	return injected
}

// staleKinds are those whose caches are held up.
var staleKinds = []schema.GroupVersionResource{
	corev1.SchemeGroupVersion.WithResource("pods"), appsv1.SchemeGroupVersion.WithResource("replicasets"),
	appsv1.SchemeGroupVersion.WithResource("deployments"), appsv1.SchemeGroupVersion.WithResource("statefulsets"),
	appsv1.SchemeGroupVersion.WithResource("controllerrevisions"), batchv1.SchemeGroupVersion.WithResource("jobs"),
}

// run is one seed: a workload in a namespace of its own.
type run struct {
	client *client.Client
	seed   uint64
	random *rand.Rand
	work   workload
}

// patience is how long one step of a run may take to converge.
const patience = 60 * time.Second

func (r *run) namespace() string { return fmt.Sprintf("run-%d", r.seed) }

func (r *run) all(ctx context.Context) error {
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: r.namespace()}}
	if _, err := client.Create(ctx, r.client, namespace); err != nil {
		return err
	}
	r.work = workloads[r.random.IntN(len(workloads))](r)
	watching, stop := context.WithCancel(ctx)
	exceeded := make(chan error, 1)
	go func() { exceeded <- r.watchBounds(watching) }()
	err := r.live(ctx)
	stop()
	if over := <-exceeded; over != nil {
		return over
	}
	if err != nil {
		return fmt.Errorf("%T: %w", r.work, err)
	}
	return r.end(ctx)
}

// live creates the workload, disturbs it and waits until it is as asked.
func (r *run) live(ctx context.Context) error {
	if err := r.work.create(ctx); err != nil {
		return err
	}
	for range 2 + r.random.IntN(4) {
		select {
		case <-time.After(time.Duration(r.random.IntN(120)) * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
		if err := r.disturb(ctx); err != nil {
			return err
		}
	}
	var state string
	err := wait.PollUntilContextTimeout(ctx, 20*time.Millisecond, patience, true, func(ctx context.Context) (ok bool, err error) {
		state, err = r.work.converged(ctx)
		return state == "", err
	})
	if err != nil {
		return fmt.Errorf("did not converge: %s: %w", state, err)
	}
	return nil
}

func (r *run) disturb(ctx context.Context) error {
	if r.random.IntN(3) > 0 {
		return r.work.change(ctx)
	}
	pods, err := r.pods(ctx)
	if err != nil || len(pods) == 0 {
		return err
	}
	pod := pods[r.random.IntN(len(pods))]
	err = client.Delete[*corev1.Pod](ctx, r.client, pod.Namespace, pod.Name, metav1.DeleteOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// end deletes the workload, then the namespace; nothing may stay.
func (r *run) end(ctx context.Context) error {
	policy := []metav1.DeletionPropagation{metav1.DeletePropagationBackground, metav1.DeletePropagationForeground, metav1.DeletePropagationOrphan}[r.random.IntN(3)]
	if err := r.work.remove(ctx, metav1.DeleteOptions{PropagationPolicy: &policy}); err != nil {
		return err
	}
	if policy != metav1.DeletePropagationOrphan {
		err := wait.PollUntilContextTimeout(ctx, 20*time.Millisecond, patience, true, func(ctx context.Context) (bool, error) {
			pods, err := r.pods(ctx)
			return len(pods) == 0, err
		})
		if err != nil {
			return fmt.Errorf("%T deleted (%s): pods stay: %w", r.work, policy, err)
		}
	}
	if err := client.Delete[*corev1.Namespace](ctx, r.client, "", r.namespace(), metav1.DeleteOptions{}); err != nil {
		return err
	}
	err := wait.PollUntilContextTimeout(ctx, 20*time.Millisecond, patience, true, func(ctx context.Context) (bool, error) {
		_, err := client.Get[*corev1.Namespace](ctx, r.client, "", r.namespace())
		if apierrors.IsNotFound(err) {
			return true, nil
		}
		return false, err
	})
	if err != nil {
		return fmt.Errorf("the namespace stays: %w", err)
	}
	pods, err := r.pods(ctx)
	if len(pods) > 0 {
		err = fmt.Errorf("%d pods outlived their namespace", len(pods))
	}
	return err
}

func (r *run) pods(ctx context.Context) ([]*corev1.Pod, error) {
	return client.List[*corev1.Pod](ctx, r.client, r.namespace(), client.ListOptions{})
}

// watchBounds looks at the pods again and again until ctx ends: never more active ones
// than the workload may have.
func (r *run) watchBounds(ctx context.Context) error {
	for ctx.Err() == nil {
		pods, err := r.pods(ctx)
		if err != nil {
			break
		}
		if err := r.work.bounds(active(pods)); err != nil {
			return fmt.Errorf("%T: %w", r.work, err)
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-ctx.Done():
		}
	}
	return nil
}

func active(pods []*corev1.Pod) []*corev1.Pod {
	var out []*corev1.Pod
	for _, p := range pods {
		if p.DeletionTimestamp == nil && p.Status.Phase != corev1.PodSucceeded && p.Status.Phase != corev1.PodFailed {
			out = append(out, p)
		}
	}
	return out
}

func runTemplate(image string) corev1.PodTemplateSpec {
	return corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "run"}},
		Spec:       corev1.PodSpec{TerminationGracePeriodSeconds: ptr.To[int64](1), Containers: []corev1.Container{{Name: "c", Image: image}}},
	}
}

var selector = &metav1.LabelSelector{MatchLabels: map[string]string{"app": "run"}}
