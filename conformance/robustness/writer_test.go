package robustness

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
)

const writers = 16

func kubeFor(cfg *rest.Config) (kubernetes.Interface, error) { return kubernetes.NewForConfig(cfg) }

// written is what the server acknowledged.
type written struct {
	revisions map[types.UID][]int64
	deleted   map[types.UID]bool
}

// writeAll creates objects ConfigMaps, changes each until it has had the number of
// changes given, and then deletes every second one and changes the others once
// more. Sixteen writers work at the same time. pause, if set, is called with the
// number of acknowledged changes after each, while the writers go on; with it
// they ask again what the server did not answer.
func writeAll(t *testing.T, cfg *rest.Config, objects, changes int, pause func(done int)) *written {
	t.Helper()
	kube, err := kubeFor(cfg)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	all := &written{revisions: map[types.UID][]int64{}, deleted: map[types.UID]bool{}}
	done := 0
	progress := make(chan int, objects*(changes+2))
	var group sync.WaitGroup
	for i := range writers {
		w := &writer{maps: kube.CoreV1().ConfigMaps(metav1.NamespaceDefault), retry: pause != nil}
		w.acked = func(cm *corev1.ConfigMap, deleted bool) {
			mu.Lock()
			defer mu.Unlock()
			done++
			progress <- done
			if deleted {
				all.deleted[cm.UID] = true
				return
			}
			rev, err := strconv.ParseInt(cm.ResourceVersion, 10, 64)
			if err != nil {
				t.Error(err)
			}
			all.revisions[cm.UID] = append(all.revisions[cm.UID], rev)
		}
		group.Go(func() {
			for n := i; n < objects; n += writers {
				if err := w.live(t.Context(), fmt.Sprintf("object-%d", n), changes, n%2 == 1); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	ended := make(chan struct{})
	go func() { group.Wait(); close(ended) }()
	for {
		select {
		case n := <-progress:
			if pause != nil {
				pause(n)
			}
		case <-ended:
			return all
		}
	}
}

// writer makes changes one after the other. With retry it asks again what a crash
// of the server left without an answer.
type writer struct {
	maps  typedcorev1.ConfigMapInterface
	retry bool
	acked func(cm *corev1.ConfigMap, deleted bool)
}

// live is the life of one object.
func (w *writer) live(ctx context.Context, name string, changes int, end bool) error {
	cm := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}, Data: map[string]string{"n": "0"}}
	err := w.change(ctx, name, &cm, func(ctx context.Context, cm *corev1.ConfigMap) (*corev1.ConfigMap, error) {
		return w.maps.Create(ctx, cm, metav1.CreateOptions{})
	})
	if err != nil {
		return err
	}
	for n := 1; n < changes; n++ {
		err := w.change(ctx, name, &cm, func(ctx context.Context, cm *corev1.ConfigMap) (*corev1.ConfigMap, error) {
			cm = cm.DeepCopy()
			cm.Data["n"] = strconv.Itoa(n)
			return w.maps.Update(ctx, cm, metav1.UpdateOptions{})
		})
		if err != nil {
			return err
		}
	}
	if !end {
		return w.change(ctx, name, &cm, func(ctx context.Context, cm *corev1.ConfigMap) (*corev1.ConfigMap, error) {
			return w.maps.Patch(ctx, name, types.MergePatchType, []byte(`{"data":{"n":"last"}}`), metav1.PatchOptions{})
		})
	}
	return w.change(ctx, name, &cm, func(ctx context.Context, cm *corev1.ConfigMap) (*corev1.ConfigMap, error) {
		return nil, w.maps.Delete(ctx, name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &cm.UID}})
	})
}

// change does one change and reports what was acknowledged; *cm is then the
// object's state. After an answer that a crash swallowed, the object is read: the
// change may or may not have happened.
func (w *writer) change(ctx context.Context, name string, cm **corev1.ConfigMap, do func(context.Context, *corev1.ConfigMap) (*corev1.ConfigMap, error)) error {
	var last error
	err := wait.PollUntilContextTimeout(ctx, 20*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
		after, err := do(ctx, *cm)
		last = err
		switch {
		case err == nil && after == nil:
			w.acked(*cm, true)
			return true, nil
		case err == nil:
			w.acked(after, false)
			*cm = after
			return true, nil
		case !w.retry:
			return false, err
		case (*cm).UID != "" && apierrors.IsNotFound(err):
			w.acked(*cm, true) // the deletion happened, its answer was lost
			return true, nil
		}
		now, err := w.maps.Get(ctx, name, metav1.GetOptions{})
		if err == nil && now.ResourceVersion != (*cm).ResourceVersion {
			*cm = now
			w.acked(now, false)
			return true, nil
		}
		return false, nil
	})
	if err != nil {
		return fmt.Errorf("change %s: %w (last: %v)", name, err, last)
	}
	return nil
}
