package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pintle-io/pintle/conformance/harness"
)

const (
	mapCount  = 3000
	podCount  = 3000
	listCount = 10000
)

// step is one phase over all objects of a kind.
type step struct {
	work string
	goal goal
	do   func(ctx context.Context, i int) error
}

func (b *bench) drive(ctx context.Context, n int, steps ...step) error {
	for _, s := range steps {
		rate, err := drive(ctx, n, s.do)
		if err != nil {
			return fmt.Errorf("%s: %w", s.work, err)
		}
		b.table.row(s.work, rate, perSecond, s.goal)
	}
	return nil
}

// warmUp writes for a while: a server that has just started still compiles its
// strategies and sizes its heap.
func warmUp(ctx context.Context, c *harness.Cluster) error {
	kube, err := clientFor(c, protobuf)
	if err != nil {
		return err
	}
	_, err = drive(ctx, mapCount, func(ctx context.Context, i int) error {
		_, err := kube.CoreV1().ConfigMaps("kube-public").Create(ctx, &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{GenerateName: "warm-"},
		}, metav1.CreateOptions{})
		return err
	})
	return err
}

func (b *bench) configMaps(ctx context.Context) error {
	return b.withServer(ctx, func(c *harness.Cluster) error {
		if err := warmUp(ctx, c); err != nil {
			return err
		}
		for _, run := range []struct {
			e      encoding
			create goal
		}{{protobuf, times(1250, 2.5, 5)}, {jsonText, times(980, 2.5, 5)}} {
			e := run.e
			kube, err := clientFor(c, e)
			if err != nil {
				return err
			}
			maps := kube.CoreV1().ConfigMaps(metav1.NamespaceDefault)
			objects := make([]*corev1.ConfigMap, mapCount)
			err = b.drive(ctx, mapCount,
				step{"create ConfigMap 1 KiB, " + e.name, run.create, func(ctx context.Context, i int) (err error) {
					objects[i], err = maps.Create(ctx, &corev1.ConfigMap{
						ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("map-%d", i)},
						Data:       map[string]string{"data": strings.Repeat("x", 1024)},
					}, metav1.CreateOptions{})
					return err
				}},
				step{"update ConfigMap, " + e.name, times(1120, 2.5, 5), func(ctx context.Context, i int) error {
					objects[i].Labels = map[string]string{"updated": "yes"}
					_, err := maps.Update(ctx, objects[i], metav1.UpdateOptions{})
					return err
				}},
				step{"delete ConfigMap, " + e.name, times(1280, 2.5, 5), func(ctx context.Context, i int) error {
					return maps.Delete(ctx, objects[i].Name, metav1.DeleteOptions{})
				}},
			)
			if err != nil {
				return err
			}
		}
		return nil
	})
}

func (b *bench) pods(ctx context.Context) error {
	return b.withServer(ctx, func(c *harness.Cluster) error {
		if err := warmUp(ctx, c); err != nil {
			return err
		}
		if err := b.podCalls(ctx, c, jsonText, times(875, 2, 4), times(2270, 2, 4)); err != nil {
			return err
		}
		if err := b.podCalls(ctx, c, protobuf, times(880, 2, 4), times(3200, 2, 4)); err != nil {
			return err
		}
		return b.podLists(ctx, c)
	})
}

// podCalls works on pods that no scheduler takes, so that the API alone is measured.
func (b *bench) podCalls(ctx context.Context, c *harness.Cluster, e encoding, create, get goal) error {
	kube, err := clientFor(c, e)
	if err != nil {
		return err
	}
	pods := kube.CoreV1().Pods(metav1.NamespaceDefault)
	objects := make([]*corev1.Pod, podCount)
	now := int64(0)
	return b.drive(ctx, podCount,
		step{"create Pod, " + e.name, create, func(ctx context.Context, i int) (err error) {
			objects[i], err = pods.Create(ctx, unscheduled(fmt.Sprintf("pod-%d", i)), metav1.CreateOptions{})
			return err
		}},
		step{"get Pod, " + e.name, get, func(ctx context.Context, i int) error {
			_, err := pods.Get(ctx, objects[i].Name, metav1.GetOptions{})
			return err
		}},
		step{"update Pod, " + e.name, times(755, 2, 4), func(ctx context.Context, i int) error {
			objects[i].Labels = map[string]string{"updated": "yes"}
			_, err := pods.Update(ctx, objects[i], metav1.UpdateOptions{})
			return err
		}},
		step{"delete Pod, " + e.name, times(580, 2.5, 5), func(ctx context.Context, i int) error {
			return pods.Delete(ctx, objects[i].Name, metav1.DeleteOptions{GracePeriodSeconds: &now})
		}},
	)
}

func unscheduled(name string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"app": "bench"}},
		Spec: corev1.PodSpec{SchedulerName: "nobody", Containers: []corev1.Container{{
			Name: "main", Image: "pintle.test/absent:1",
			Resources: corev1.ResourceRequirements{Requests: corev1.ResourceList{
				corev1.ResourceCPU: resource.MustParse("100m"), corev1.ResourceMemory: resource.MustParse("100Mi"),
			}},
		}}},
	}
}

// podLists lists 10,000 pods and leaves the answers undecoded.
func (b *bench) podLists(ctx context.Context, c *harness.Cluster) error {
	kube, err := clientFor(c, protobuf)
	if err != nil {
		return err
	}
	if _, err := drive(ctx, listCount, func(ctx context.Context, i int) error {
		_, err := kube.CoreV1().Pods("default").Create(ctx, unscheduled(fmt.Sprintf("list-%d", i)), metav1.CreateOptions{})
		return err
	}); err != nil {
		return err
	}
	for _, l := range []struct {
		e           encoding
		whole, page goal
	}{
		{protobuf, goal{165, 82.5, 41.25}, goal{350, 175, 87.5}},
		{jsonText, goal{340, 170, 85}, goal{760, 380, 190}},
	} {
		whole, err := listTime(ctx, c, l.e, 0)
		if err != nil {
			return err
		}
		b.table.row("list 10,000 pods, raw, "+l.e.name, ms(whole), milliseconds, l.whole)
		paged, err := listTime(ctx, c, l.e, 500)
		if err != nil {
			return err
		}
		b.table.row("list 10,000 pods in pages of 500, "+l.e.name, ms(paged), milliseconds, l.page)
	}
	return nil
}

// listTime is the median of five whole lists.
func listTime(ctx context.Context, c *harness.Cluster, e encoding, page int64) (time.Duration, error) {
	kube, err := clientFor(c, e)
	if err != nil {
		return 0, err
	}
	var took []time.Duration
	for range 5 {
		began := time.Now()
		next, rest := "", true
		for rest {
			r := kube.CoreV1().RESTClient().Get().Namespace("default").Resource("pods")
			if page > 0 {
				r = r.Param("limit", fmt.Sprint(page)).Param("continue", next)
			}
			raw, err := r.DoRaw(ctx)
			if err != nil {
				return 0, err
			}
			if page == 0 {
				break
			}
			if next, err = continueToken(raw, e); err != nil {
				return 0, err
			}
			rest = next != ""
		}
		took = append(took, time.Since(began))
	}
	return quantile(took, 0.5), nil
}
