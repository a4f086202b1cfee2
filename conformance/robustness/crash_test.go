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
	"k8s.io/client-go/kubernetes"
)

const (
	crashes = 5
	// crashAfter is how many writes each life of the server acknowledges.
	crashAfter = 400
	// usedReady bounds exec to ready on a used data directory; a loaded machine
	// needs more than the 300 ms that the benchmark holds us to.
	usedReady = 5 * time.Second
)

// No acknowledged write is lost when the server is killed under concurrent
// writers, again and again.
func TestKilledServerLosesNoWrite(t *testing.T) {
	c, kube := server(t)
	all := &ledger{}
	for life := range crashes {
		var writes sync.WaitGroup
		var acked countdown = make(chan struct{}, crashAfter)
		for i := range writers {
			writes.Go(func() { all.write(t, kube, life, i, acked) })
		}
		acked.wait(t)
		if err := c.Kill(); err != nil {
			t.Fatal(err)
		}
		writes.Wait() // each ends at its first write without an answer
		took := start(t, c)
		t.Logf("life %d: ready again after %s", life, took.Round(time.Millisecond))
		if took > usedReady {
			t.Errorf("ready after %s, want at most %s", took, usedReady)
		}
		kube = client(t, c)
		all.check(t, kube)
	}
}

// countdown is filled by acknowledged writes.
type countdown chan struct{}

func (c countdown) hit() {
	select {
	case c <- struct{}{}:
	default:
	}
}

func (c countdown) wait(t *testing.T) {
	t.Helper()
	patience := time.NewTimer(time.Minute)
	defer patience.Stop()
	for range crashAfter {
		select {
		case <-c:
		case <-patience.C:
			t.Fatalf("fewer than %d writes were acknowledged in a minute", crashAfter)
		}
	}
}

// ledger is what the server acknowledged.
type ledger struct {
	sync.Mutex
	entries []entry
	newest  int64
}

// entry is one object. Unsure means that its last change had no answer.
type entry struct {
	name            string
	n               int
	deleted, unsure bool
}

// write creates, updates and deletes objects of its own until a write fails.
func (l *ledger) write(t *testing.T, kube kubernetes.Interface, life, writer int, acked countdown) {
	maps := kube.CoreV1().ConfigMaps(metav1.NamespaceDefault)
	for i := 0; t.Context().Err() == nil; i++ {
		e := entry{name: fmt.Sprintf("l%d-w%d-%d", life, writer, i)}
		cm, err := maps.Create(t.Context(), &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Name: e.name}, Data: map[string]string{"n": "0"},
		}, metav1.CreateOptions{})
		if err != nil {
			return
		}
		l.acknowledge(t, cm)
		acked.hit()
		for e.n = 1; e.n < 3; e.n++ {
			cm.Data["n"] = strconv.Itoa(e.n)
			if cm, err = maps.Update(t.Context(), cm, metav1.UpdateOptions{}); err != nil {
				e.n--
				l.add(e, true)
				return
			}
			l.acknowledge(t, cm)
			acked.hit()
		}
		e.n--
		if i%3 == 0 {
			if err := maps.Delete(t.Context(), e.name, metav1.DeleteOptions{}); err != nil {
				l.add(e, true)
				return
			}
			e.deleted = true
			acked.hit()
		}
		l.add(e, false)
	}
}

func (l *ledger) add(e entry, unsure bool) {
	l.Lock()
	defer l.Unlock()
	e.unsure = unsure
	l.entries = append(l.entries, e)
}

func (l *ledger) acknowledge(t *testing.T, cm *corev1.ConfigMap) {
	rev, err := strconv.ParseInt(cm.ResourceVersion, 10, 64)
	if err != nil {
		t.Error(err)
	}
	l.Lock()
	defer l.Unlock()
	l.newest = max(l.newest, rev)
}

// check compares everything acknowledged so far with what the server holds.
func (l *ledger) check(t *testing.T, kube kubernetes.Interface) {
	t.Helper()
	list, err := kube.CoreV1().ConfigMaps(metav1.NamespaceDefault).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if rev, err := strconv.ParseInt(list.ResourceVersion, 10, 64); err != nil || rev < l.newest {
		t.Errorf("the list is at revision %s, a write was acknowledged at %d", list.ResourceVersion, l.newest)
	}
	held := map[string]int{}
	for _, cm := range list.Items {
		n, err := strconv.Atoi(cm.Data["n"])
		if err == nil {
			held[cm.Name] = n
		}
	}
	for _, e := range l.entries {
		n, ok := held[e.name]
		switch {
		case e.unsure && (!ok || n >= e.n):
		case e.deleted && !ok:
		case !e.deleted && !e.unsure && ok && n == e.n:
		default:
			t.Errorf("%s: held %v at %d, acknowledged %+v", e.name, ok, n, e)
		}
	}
	t.Logf("%d objects compared", len(l.entries))
}

// The server that starts after a crash gives revisions, names and addresses that
// were not given before.
func TestKilledServerRepeatsNothing(t *testing.T) {
	c, kube := server(t)
	service := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "first"},
		Spec:       corev1.ServiceSpec{Type: corev1.ServiceTypeNodePort, Ports: []corev1.ServicePort{{Port: 80}}},
	}
	first, err := kube.CoreV1().Services(metav1.NamespaceDefault).Create(t.Context(), service, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Kill(); err != nil {
		t.Fatal(err)
	}
	start(t, c)
	service.Name = "second"
	service.Spec.ClusterIP, service.Spec.Ports[0].NodePort = first.Spec.ClusterIP, first.Spec.Ports[0].NodePort
	if _, err := client(t, c).CoreV1().Services(metav1.NamespaceDefault).Create(context.Background(), service, metav1.CreateOptions{}); !apierrors.IsInvalid(err) {
		t.Errorf("a second Service with the first one's address and port: %v, want it refused as invalid", err)
	}
}
