package controllers_test

import (
	"context"
	"fmt"
	"sync/atomic"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/pintle-io/pintle/engine/client"
)

// workload is what a run is about.
type workload interface {
	create(ctx context.Context) error
	// change asks for another size or another template.
	change(ctx context.Context) error
	// converged is empty once everything is as asked, else what is not.
	converged(ctx context.Context) (string, error)
	// bounds are what holds at any time.
	bounds(active []*corev1.Pod) error
	remove(ctx context.Context, opts metav1.DeleteOptions) error
}

var workloads = []func(r *run) workload{
	func(r *run) workload { return &deploymentRun{run: r} },
	func(r *run) workload { return &deploymentRun{run: r, recreate: true} },
	func(r *run) workload { return &replicaSetRun{run: r} },
	func(r *run) workload { return &statefulSetRun{run: r} },
	func(r *run) workload { return &statefulSetRun{run: r, parallel: true} },
	func(r *run) workload { return &jobRun{run: r} },
}

const workName = "w"

// most remembers the largest size that was ever asked for.
type most struct{ n atomic.Int32 }

func (m *most) ask(n int32) int32 {
	for {
		old := m.n.Load()
		if n <= old || m.n.CompareAndSwap(old, n) {
			return n
		}
	}
}

type deploymentRun struct {
	*run
	recreate bool
	most     most
}

func (d *deploymentRun) size() int32 { return d.most.ask(d.random.Int32N(6)) }

func (d *deploymentRun) create(ctx context.Context) error {
	obj := &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: d.namespace(), Name: workName},
		Spec:       appsv1.DeploymentSpec{Replicas: ptr.To(d.size()), Selector: selector, Template: runTemplate("v0")},
	}
	if d.recreate {
		obj.Spec.Strategy.Type = appsv1.RecreateDeploymentStrategyType
	}
	_, err := client.Create(ctx, d.client, obj)
	return err
}

func (d *deploymentRun) change(ctx context.Context) error {
	size, image := d.size(), fmt.Sprint("v", d.random.IntN(4))
	_, err := client.UpdateFunc(ctx, d.client, d.namespace(), workName, func(o *appsv1.Deployment) error {
		o.Spec.Replicas = &size
		o.Spec.Template.Spec.Containers[0].Image = image
		return nil
	})
	return err
}

func (d *deploymentRun) converged(ctx context.Context) (string, error) {
	o, err := client.Get[*appsv1.Deployment](ctx, d.client, d.namespace(), workName)
	if err != nil {
		return "", err
	}
	want, s := *o.Spec.Replicas, o.Status
	if s.ObservedGeneration != o.Generation || s.Replicas != want || s.UpdatedReplicas != want || s.AvailableReplicas != want {
		return fmt.Sprintf("%d wanted, status %+v", want, s), nil
	}
	pods, err := d.pods(ctx)
	if err != nil {
		return "", err
	}
	sets, err := client.List[*appsv1.ReplicaSet](ctx, d.client, d.namespace(), client.ListOptions{})
	if err != nil {
		return "", err
	}
	templates := map[string]bool{}
	for _, set := range sets {
		image := set.Spec.Template.Spec.Containers[0].Image
		if templates[image] {
			return "", fmt.Errorf("two ReplicaSets of %s", image)
		}
		templates[image] = true
	}
	if n := len(active(pods)); n != int(want) || len(pods) != n {
		return fmt.Sprintf("%d wanted, %d pods, %d of them active", want, len(pods), n), nil
	}
	return "", nil
}

// bounds: a quarter more than asked may be there while templates change, none while
// the strategy is to recreate.
func (d *deploymentRun) bounds(active []*corev1.Pod) error {
	limit := d.most.n.Load()
	if !d.recreate {
		limit += (limit + 3) / 4
	}
	if len(active) > int(limit) {
		return fmt.Errorf("%d active pods, at most %d are allowed", len(active), limit)
	}
	images := map[string]bool{}
	for _, pod := range active {
		images[pod.Spec.Containers[0].Image] = true
	}
	if d.recreate && len(images) > 1 {
		return fmt.Errorf("pods of %d templates at once", len(images))
	}
	return nil
}

func (d *deploymentRun) remove(ctx context.Context, opts metav1.DeleteOptions) error {
	return client.Delete[*appsv1.Deployment](ctx, d.client, d.namespace(), workName, opts)
}

type replicaSetRun struct {
	*run
	most most
}

func (s *replicaSetRun) size() int32 { return s.most.ask(s.random.Int32N(6)) }

func (s *replicaSetRun) create(ctx context.Context) error {
	_, err := client.Create(ctx, s.client, &appsv1.ReplicaSet{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace(), Name: workName},
		Spec:       appsv1.ReplicaSetSpec{Replicas: ptr.To(s.size()), Selector: selector, Template: runTemplate("v0")},
	})
	return err
}

func (s *replicaSetRun) change(ctx context.Context) error {
	size := s.size()
	_, err := client.UpdateFunc(ctx, s.client, s.namespace(), workName, func(o *appsv1.ReplicaSet) error { o.Spec.Replicas = &size; return nil })
	return err
}

func (s *replicaSetRun) converged(ctx context.Context) (string, error) {
	o, err := client.Get[*appsv1.ReplicaSet](ctx, s.client, s.namespace(), workName)
	if err != nil {
		return "", err
	}
	pods, err := s.pods(ctx)
	if want := *o.Spec.Replicas; o.Status.ObservedGeneration != o.Generation || o.Status.AvailableReplicas != want || len(pods) != int(want) {
		return fmt.Sprintf("%d wanted, %d pods, status %+v", want, len(pods), o.Status), err
	}
	return "", err
}

func (s *replicaSetRun) bounds(active []*corev1.Pod) error {
	if limit := s.most.n.Load(); len(active) > int(limit) {
		return fmt.Errorf("%d active pods, never more than %d were asked for", len(active), limit)
	}
	return nil
}

func (s *replicaSetRun) remove(ctx context.Context, opts metav1.DeleteOptions) error {
	return client.Delete[*appsv1.ReplicaSet](ctx, s.client, s.namespace(), workName, opts)
}

type statefulSetRun struct {
	*run
	parallel bool
	most     most
}

func (s *statefulSetRun) size() int32 { return s.most.ask(s.random.Int32N(4)) }

func (s *statefulSetRun) create(ctx context.Context) error {
	obj := &appsv1.StatefulSet{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace(), Name: workName},
		Spec:       appsv1.StatefulSetSpec{Replicas: ptr.To(s.size()), ServiceName: workName, Selector: selector, Template: runTemplate("v0")},
	}
	if s.parallel {
		obj.Spec.PodManagementPolicy = appsv1.ParallelPodManagement
	}
	_, err := client.Create(ctx, s.client, obj)
	return err
}

func (s *statefulSetRun) change(ctx context.Context) error {
	size, image := s.size(), fmt.Sprint("v", s.random.IntN(4))
	_, err := client.UpdateFunc(ctx, s.client, s.namespace(), workName, func(o *appsv1.StatefulSet) error {
		o.Spec.Replicas = &size
		o.Spec.Template.Spec.Containers[0].Image = image
		return nil
	})
	return err
}

func (s *statefulSetRun) converged(ctx context.Context) (string, error) {
	o, err := client.Get[*appsv1.StatefulSet](ctx, s.client, s.namespace(), workName)
	if err != nil {
		return "", err
	}
	pods, err := s.pods(ctx)
	want, st := *o.Spec.Replicas, o.Status
	if st.ObservedGeneration != o.Generation || st.Replicas != want || st.AvailableReplicas != want || len(pods) != int(want) ||
		st.CurrentRevision != st.UpdateRevision {
		return fmt.Sprintf("%d wanted, %d pods, status %+v", want, len(pods), st), err
	}
	for _, pod := range pods {
		if pod.Spec.Containers[0].Image != o.Spec.Template.Spec.Containers[0].Image {
			return pod.Name + " is of an old template", nil
		}
	}
	return "", err
}

func (s *statefulSetRun) bounds(active []*corev1.Pod) error {
	if limit := s.most.n.Load(); len(active) > int(limit) {
		return fmt.Errorf("%d active pods, never more than %d were asked for", len(active), limit)
	}
	return nil
}

func (s *statefulSetRun) remove(ctx context.Context, opts metav1.DeleteOptions) error {
	return client.Delete[*appsv1.StatefulSet](ctx, s.client, s.namespace(), workName, opts)
}

// job is an indexed one; its pods succeed at once.
type jobRun struct{ *run }

const completions = 5

func (j *jobRun) create(ctx context.Context) error {
	pod := runTemplate("v0")
	pod.Spec.RestartPolicy = corev1.RestartPolicyNever
	_, err := client.Create(ctx, j.client, &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{Namespace: j.namespace(), Name: workName},
		Spec: batchv1.JobSpec{
			Completions: ptr.To[int32](completions), Parallelism: ptr.To[int32](2), CompletionMode: ptr.To(batchv1.IndexedCompletion),
			BackoffLimit: ptr.To[int32](100), Template: pod,
		},
	})
	return err
}

func (j *jobRun) change(ctx context.Context) error {
	parallelism := 1 + j.random.Int32N(completions)
	_, err := client.UpdateFunc(ctx, j.client, j.namespace(), workName, func(o *batchv1.Job) error { o.Spec.Parallelism = &parallelism; return nil })
	return err
}

func (j *jobRun) converged(ctx context.Context) (string, error) {
	o, err := client.Get[*batchv1.Job](ctx, j.client, j.namespace(), workName)
	if err != nil {
		return "", err
	}
	for _, c := range o.Status.Conditions {
		if c.Type == batchv1.JobFailed && c.Status == corev1.ConditionTrue {
			return "", fmt.Errorf("the job failed: %s", c.Message)
		}
	}
	if o.Status.CompletionTime == nil || o.Status.Succeeded != completions || o.Status.CompletedIndexes != "0-4" {
		return fmt.Sprintf("status %+v", o.Status), nil
	}
	return "", nil
}

// bounds: no index has two pods at a time.
func (j *jobRun) bounds(active []*corev1.Pod) error {
	seen := map[string]string{}
	for _, pod := range active {
		index := pod.Annotations[batchv1.JobCompletionIndexAnnotation]
		if other := seen[index]; other != "" {
			return fmt.Errorf("index %s has %s and %s", index, other, pod.Name)
		}
		seen[index] = pod.Name
	}
	return nil
}

func (j *jobRun) remove(ctx context.Context, opts metav1.DeleteOptions) error {
	return client.Delete[*batchv1.Job](ctx, j.client, j.namespace(), workName, opts)
}
