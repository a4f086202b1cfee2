package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/util/workqueue"
)

// statusWriter writes pod statuses to the API, only the latest of each pod, and
// deletes pods that have ended. It retries until it succeeds or the pod is gone.
type statusWriter struct {
	client kubernetes.Interface
	log    *slog.Logger
	queue  workqueue.TypedRateLimitingInterface[types.UID]

	mu struct {
		sync.Mutex
		pods map[types.UID]*podStatus
	}
}

type podStatus struct {
	namespace, name string
	uid             types.UID
	want, have      corev1.PodStatus
	final           bool // to be deleted once written
}

func newStatusWriter(client kubernetes.Interface, log *slog.Logger) *statusWriter {
	s := &statusWriter{
		client: client, log: log,
		queue: workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[types.UID]()),
	}
	s.mu.pods = map[types.UID]*podStatus{}
	return s
}

// set replaces the status to be written.
func (s *statusWriter) set(pod *corev1.Pod, status corev1.PodStatus) {
	if s.note(pod, status) {
		s.queue.Add(pod.UID)
	}
}

func (s *statusWriter) note(pod *corev1.Pod, status corev1.PodStatus) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.mu.pods[pod.UID]
	if p == nil {
		p = &podStatus{namespace: pod.Namespace, name: pod.Name, uid: pod.UID, have: *pod.Status.DeepCopy(), want: *pod.Status.DeepCopy()}
		s.mu.pods[pod.UID] = p
	}
	if equality.Semantic.DeepEqual(p.want, status) {
		return false
	}
	p.want = status
	return true
}

// finish deletes the pod after its last status is written.
func (s *statusWriter) finish(pod *corev1.Pod) {
	s.mu.Lock()
	if p := s.mu.pods[pod.UID]; p != nil {
		p.final = true
	} else {
		s.mu.pods[pod.UID] = &podStatus{namespace: pod.Namespace, name: pod.Name, uid: pod.UID, final: true}
	}
	s.mu.Unlock()
	s.queue.Add(pod.UID)
}

// forget drops what is known of a pod that the API no longer has.
func (s *statusWriter) forget(uid types.UID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.mu.pods, uid)
}

// writers is how many statuses are written at the same time.
const writers = 8

func (s *statusWriter) run(ctx context.Context) {
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for s.next(ctx) {
			}
		})
	}
	<-ctx.Done()
	s.queue.ShutDown()
	wg.Wait()
}

func (s *statusWriter) next(ctx context.Context) bool {
	uid, stop := s.queue.Get()
	if stop {
		return false
	}
	defer s.queue.Done(uid)
	if err := s.write(ctx, uid); err != nil {
		if ctx.Err() == nil {
			s.log.Info("pod status not written, will retry", "uid", uid, "err", err)
			s.queue.AddRateLimited(uid)
		}
		return true
	}
	s.queue.Forget(uid)
	return true
}

func (s *statusWriter) write(ctx context.Context, uid types.UID) error {
	s.mu.Lock()
	p := s.mu.pods[uid]
	if p == nil {
		s.mu.Unlock()
		return nil
	}
	job := *p
	s.mu.Unlock()

	err := s.patch(ctx, &job)
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		// Deleted, or replaced by another pod of the same name.
		s.forget(uid)
		return nil
	}
	if err != nil {
		return err
	}
	s.mu.Lock()
	if p := s.mu.pods[uid]; p != nil {
		p.have = job.want
	}
	s.mu.Unlock()
	if !job.final {
		return nil
	}
	zero := int64(0)
	err = s.client.CoreV1().Pods(job.namespace).Delete(ctx, job.name, metav1.DeleteOptions{
		GracePeriodSeconds: &zero, Preconditions: &metav1.Preconditions{UID: &job.uid},
	})
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		return fmt.Errorf("delete pod %s/%s: %w", job.namespace, job.name, err)
	}
	s.forget(uid)
	return nil
}

func (s *statusWriter) patch(ctx context.Context, p *podStatus) error {
	if equality.Semantic.DeepEqual(p.have, p.want) {
		return nil
	}
	body, err := statusPatch(p)
	if err != nil {
		return err
	}
	_, err = s.client.CoreV1().Pods(p.namespace).Patch(ctx, p.name, types.StrategicMergePatchType, body, metav1.PatchOptions{}, "status")
	if err != nil {
		return fmt.Errorf("patch status of pod %s/%s: %w", p.namespace, p.name, err)
	}
	return nil
}

// statusPatch changes the status alone, and only of the pod with this UID.
func statusPatch(p *podStatus) ([]byte, error) {
	old, err1 := json.Marshal(corev1.Pod{Status: p.have})
	now, err2 := json.Marshal(corev1.Pod{ObjectMeta: metav1.ObjectMeta{UID: p.uid}, Status: p.want})
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	return strategicpatch.CreateTwoWayMergePatch(old, now, corev1.Pod{})
}
