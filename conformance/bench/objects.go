package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

const (
	mapCount  = 3000
	podCount  = 3000
	listCount = 10000
)

// warmUp writes for a while and waits until the server rests: one that has just
// started still compiles its strategies, builds its documents and sizes its heap.
func warmUp(ctx context.Context, c server) error {
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
	if err != nil {
		return err
	}
	return calmDown(ctx, c)
}

func configMaps(ctx context.Context, sys system, r *report) error {
	return withServer(ctx, sys, false, func(c server) error {
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
			err = driveSteps(ctx, c, r, mapCount,
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

func pods(ctx context.Context, sys system, r *report) error {
	return withServer(ctx, sys, false, func(c server) error {
		if err := warmUp(ctx, c); err != nil {
			return err
		}
		if err := podCalls(ctx, c, r, jsonText, times(875, 2, 4), times(2270, 2, 4)); err != nil {
			return err
		}
		if err := podCalls(ctx, c, r, protobuf, times(880, 2, 4), times(3200, 2, 4)); err != nil {
			return err
		}
		return podLists(ctx, c, r)
	})
}

// podCalls works on pods that no scheduler takes, so that the API alone is measured.
func podCalls(ctx context.Context, c server, r *report, e encoding, create, get goal) error {
	kube, err := clientFor(c, e)
	if err != nil {
		return err
	}
	pods := kube.CoreV1().Pods(metav1.NamespaceDefault)
	objects := make([]*corev1.Pod, podCount)
	now := int64(0)
	return driveSteps(ctx, c, r, podCount,
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
func podLists(ctx context.Context, c server, r *report) error {
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
		{protobuf, times(165, 0.5, 0.25), times(350, 0.5, 0.25)},
		{jsonText, times(340, 0.5, 0.25), times(760, 0.5, 0.25)},
	} {
		if err := measureList(ctx, c, r, "list 10,000 pods, raw, "+l.e.name, l.e, 0, l.whole); err != nil {
			return err
		}
		if err := measureList(ctx, c, r, "list 10,000 pods in pages of 500, "+l.e.name, l.e, 500, l.page); err != nil {
			return err
		}
	}
	return nil
}

// lists is how often a list is made for one figure.
const lists = 5

// measureList takes the median of some whole lists.
func measureList(ctx context.Context, c server, r *report, work string, e encoding, page int64, g goal) error {
	kube, err := clientFor(c, e)
	if err != nil {
		return err
	}
	var took []time.Duration
	var sum spent
	for range lists {
		var one spent
		if err := one.measure(c, func() error { return listOnce(ctx, kube, e, page) }); err != nil {
			return err
		}
		took = append(took, one.wall)
		sum.server, sum.client = sum.server+one.server, sum.client+one.client
		r.turns.pass()
	}
	r.addSpent(work, ms(quantile(took, 0.5)), milliseconds, g, sum, lists)
	return nil
}

// listOnce lists all pods, in pages unless page is 0.
func listOnce(ctx context.Context, kube kubernetes.Interface, e encoding, page int64) error {
	next := ""
	for {
		req := kube.CoreV1().RESTClient().Get().Namespace("default").Resource("pods")
		if page > 0 {
			req = req.Param("limit", fmt.Sprint(page)).Param("continue", next)
		}
		raw, err := req.DoRaw(ctx)
		if err != nil || page == 0 {
			return err
		}
		if next, err = continueToken(raw, e); err != nil || next == "" {
			return err
		}
	}
}
