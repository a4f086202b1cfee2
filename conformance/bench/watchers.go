package main

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
)

const (
	watcherCount = 200
	calmWrites   = 300
	calmRate     = 50 // a second
	fastWrites   = 2000
)

// watchers measures how writes reach 200 watchers of a namespace.
func watchers(ctx context.Context, sys system, r *report) error {
	return withServer(ctx, sys, false, func(c server) error {
		kube, err := clientFor(c, protobuf)
		if err != nil {
			return err
		}
		calm, err := newFanOut(ctx, kube, "kube-public", calmWrites)
		if err != nil {
			return err
		}
		if err := calm.writeCalmly(ctx); err != nil {
			return err
		}
		delays, err := calm.delays(ctx)
		if err != nil {
			return err
		}
		r.add("200 watchers, 50 writes/s, ack to receipt p50", ms(quantile(delays, 0.5)), milliseconds, times(2.2, 1, 0.5))
		r.add("200 watchers, 50 writes/s, ack to receipt p99", ms(quantile(delays, 0.99)), milliseconds, times(8, 1, 0.5))

		fast, err := newFanOut(ctx, kube, metav1.NamespaceDefault, fastWrites)
		if err != nil {
			return err
		}
		var sum spent
		if err := sum.measure(c, func() error {
			if _, err := drive(ctx, fastWrites, fast.write); err != nil {
				return err
			}
			_, err := fast.delays(ctx)
			return err
		}); err != nil {
			return err
		}
		const events = fastWrites * watcherCount
		r.addSpent("200 watchers, writes as fast as they go, events", events/sum.wall.Seconds(), perSecond, times(56000, 2, 4), sum, events)
		return nil
	})
}

// fanOut is a number of writes and everybody who watches them.
type fanOut struct {
	kube      kubernetes.Interface
	namespace string
	// acked holds the time of each write's acknowledgement, by its number;
	// received that of each receipt, by watcher and number.
	acked    []time.Time
	received [watcherCount][]time.Time
	group    sync.WaitGroup
	missing  atomic.Int64
}

// newFanOut opens the watches of one client.
func newFanOut(ctx context.Context, kube kubernetes.Interface, namespace string, writes int) (*fanOut, error) {
	f := &fanOut{kube: kube, namespace: namespace, acked: make([]time.Time, writes)}
	list, err := kube.CoreV1().ConfigMaps(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	for i := range watcherCount {
		w, err := kube.CoreV1().ConfigMaps(namespace).Watch(ctx, metav1.ListOptions{ResourceVersion: list.ResourceVersion})
		if err != nil {
			return nil, err
		}
		f.received[i] = make([]time.Time, writes)
		f.group.Go(func() { f.receive(ctx, w, f.received[i]) })
	}
	return f, nil
}

// receive follows a watch until every write has come.
func (f *fanOut) receive(ctx context.Context, w watch.Interface, at []time.Time) {
	defer w.Stop()
	for left := len(at); left > 0; {
		select {
		case <-ctx.Done():
			return
		case e, ok := <-w.ResultChan():
			if !ok {
				f.missing.Add(int64(left))
				return
			}
			cm, is := e.Object.(*corev1.ConfigMap)
			if !is || e.Type != watch.Added {
				continue
			}
			if i, err := strconv.Atoi(cm.Data["n"]); err == nil {
				at[i] = time.Now()
				left--
			}
		}
	}
}

func (f *fanOut) write(ctx context.Context, i int) error {
	_, err := f.kube.CoreV1().ConfigMaps(f.namespace).Create(ctx, &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("watched-%d", i)},
		Data:       map[string]string{"n": strconv.Itoa(i)},
	}, metav1.CreateOptions{})
	f.acked[i] = time.Now()
	return err
}

func (f *fanOut) writeCalmly(ctx context.Context) error {
	tick := time.NewTicker(time.Second / calmRate)
	defer tick.Stop()
	for i := range f.acked {
		if err := f.write(ctx, i); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
	return nil
}

// delays waits for all watchers and returns how long after its acknowledgement
// each write was received; a receipt before it counts as no delay.
func (f *fanOut) delays(ctx context.Context) ([]time.Duration, error) {
	f.group.Wait()
	if n := f.missing.Load(); n > 0 || ctx.Err() != nil {
		return nil, fmt.Errorf("%d events were not received (%v)", n, ctx.Err())
	}
	var all []time.Duration
	for i := range f.received {
		for n, at := range f.received[i] {
			all = append(all, max(0, at.Sub(f.acked[n])))
		}
	}
	return all, nil
}
