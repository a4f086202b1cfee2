package apiserver_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/informers"
)

// next returns an event, or fails if none comes.
func next(t *testing.T, w watch.Interface) watch.Event {
	t.Helper()
	select {
	case event, ok := <-w.ResultChan():
		if !ok {
			t.Fatal("watch ended")
		}
		return event
	case <-time.After(10 * time.Second):
		t.Fatal("no event")
	}
	return watch.Event{}
}

func TestWatchFollowsWrites(t *testing.T) {
	e := start(t)
	configMaps := e.kube.CoreV1().ConfigMaps(e.namespace(t, "a"))
	list, err := configMaps.List(e.ctx, metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	w, err := configMaps.Watch(e.ctx, metav1.ListOptions{ResourceVersion: list.ResourceVersion, LabelSelector: "on=yes"})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	c, err := configMaps.Create(e.ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "c", Labels: map[string]string{"on": "yes"}}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := configMaps.Create(e.ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "other"}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	c.Data = map[string]string{"k": "v"}
	if c, err = configMaps.Update(e.ctx, c, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	c.Labels = nil
	if _, err = configMaps.Update(e.ctx, c, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	var got []watch.EventType
	for range 3 {
		event := next(t, w)
		got = append(got, event.Type)
		if name := event.Object.(*corev1.ConfigMap).Name; name != "c" {
			t.Errorf("event of %s", name)
		}
	}
	if diff := cmp.Diff([]watch.EventType{watch.Added, watch.Modified, watch.Deleted}, got); diff != "" {
		t.Error("events (-want +got):", diff)
	}
}

func TestInformersOfUpstreamSync(t *testing.T) {
	e := start(t)
	ns := e.namespace(t, "a")
	factory := informers.NewSharedInformerFactory(e.kube, 0)
	lister := factory.Core().V1().ConfigMaps().Lister()
	factory.Start(e.ctx.Done())
	for kind, ok := range factory.WaitForCacheSync(e.ctx.Done()) {
		if !ok {
			t.Fatalf("%v did not sync", kind)
		}
	}
	if _, err := lister.ConfigMaps(ns).Get("c"); !apierrors.IsNotFound(err) {
		t.Errorf("empty lister: %v", err)
	}
}
