package robustness

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/pintle-io/pintle/conformance/harness"
)

// siege is a server that is attacked while somebody else works with it.
type siege struct {
	cluster *harness.Cluster
	kube    kubernetes.Interface
	config  *rest.Config
	http    *http.Client // with the administrator's certificate
}

func besiege(t *testing.T, args ...string) *siege {
	t.Helper()
	c, kube := server(t, args...)
	config, err := c.REST()
	if err != nil {
		t.Fatal(err)
	}
	s := &siege{cluster: c, kube: kube, config: config}
	if s.http, err = rest.HTTPClientFor(config); err != nil {
		t.Fatal(err)
	}
	return s
}

// bounds are what an attack may cost: resident memory of the server at its peak
// in MiB. How long the other client waited is printed.
type bounds struct{ memory int }

// usual suits attacks that send one thing after the other.
var usual = bounds{memory: 700}

// under runs an attack with a bystander at work, and prints and checks what both
// saw of the server.
func (s *siege) under(t *testing.T, b bounds, attack func(t *testing.T)) {
	t.Helper()
	s.resetPeak(t)
	before := s.memory(t, "VmRSS")
	other := s.bystander(t)
	began := time.Now()
	attack(t)
	took := time.Since(began)
	worst, requests := other.leave()
	peak := s.memory(t, "VmHWM")
	t.Logf("attack of %s: peak %d MiB (before %d, now %d), bystander's %d requests took %s at most",
		took.Round(time.Millisecond), peak, before, s.memory(t, "VmRSS"), requests, worst.Round(time.Millisecond))
	// How high the peak is depends on when garbage was collected, and on what earlier
	// attacks left: only what runs away fails.
	if limit := 2 * b.memory; peak > limit {
		t.Errorf("the server's memory reached %d MiB, want about %d and never %d", peak, b.memory, limit)
	}
}

// resetPeak makes VmHWM start again from the present.
func (s *siege) resetPeak(t *testing.T) {
	t.Helper()
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", s.cluster.PID()), []byte("5"), 0); err != nil {
		t.Fatal(err)
	}
}

// memory reads a field of the server's status in MiB.
func (s *siege) memory(t *testing.T, field string) int {
	t.Helper()
	mib, err := memoryOf(s.cluster.PID(), field)
	if err != nil {
		t.Fatalf("the server is gone: %v", err)
	}
	return mib
}

// memoryOf reads a field of a process's status in MiB.
func memoryOf(pid int, field string) (int, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	m := regexp.MustCompile(field + `:\s+(\d+) kB`).FindSubmatch(raw)
	if m == nil {
		return 0, fmt.Errorf("no %s in the status of process %d", field, pid)
	}
	kib, err := strconv.Atoi(string(m[1]))
	return kib / 1024, err
}

// bystander works on one ConfigMap through a connection of its own, and expects
// every request to be answered well.
type bystander struct {
	stop     context.CancelFunc
	group    sync.WaitGroup
	worst    time.Duration
	requests int
}

// patience is how long the bystander waits for an answer before it counts as none.
const patience = 30 * time.Second

func (s *siege) bystander(t *testing.T) *bystander {
	t.Helper()
	config := rest.CopyConfig(s.config)
	config.Timeout = patience
	// A dialer of its own keeps client-go from sharing the attacker's connection.
	config.Dial = newDialer().DialContext
	kube, err := kubeFor(config)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	b := &bystander{stop: cancel}
	maps := kube.CoreV1().ConfigMaps(metav1.NamespaceDefault)
	first := make(chan struct{})
	b.group.Go(func() {
		for round := 0; ctx.Err() == nil; round++ {
			for _, step := range bystanderSteps {
				began := time.Now()
				// A step that has begun is finished.
				err := step.do(context.WithoutCancel(ctx), maps, round)
				b.worst = max(b.worst, time.Since(began))
				b.requests++
				if err != nil {
					t.Errorf("bystander: %s: %v", step.name, err)
					cancel()
					break
				}
			}
			if round == 0 {
				close(first)
			}
		}
	})
	<-first
	return b
}

func (b *bystander) leave() (worst time.Duration, requests int) {
	b.stop()
	b.group.Wait()
	return b.worst, b.requests
}

// call is one request of an attacker.
type call struct {
	method, path, contentType string
	header                    http.Header
	body                      []byte
}

// answer is what came back.
type answer struct {
	code   int
	length int
	status metav1.Status
	body   []byte
}

// send does one request. An answer is read up to a limit.
func (s *siege) send(ctx context.Context, c call) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, 100*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, c.method, s.config.Host+c.path, bytes.NewReader(c.body))
	if err != nil {
		return answer{}, err
	}
	for k, v := range c.header {
		req.Header[k] = v
	}
	if c.contentType != "" {
		req.Header.Set("Content-Type", c.contentType)
	}
	resp, err := s.http.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	a := answer{code: resp.StatusCode}
	a.body, err = io.ReadAll(io.LimitReader(resp.Body, 16<<20))
	a.length = len(a.body)
	_ = json.Unmarshal(a.body, &a.status)
	return a, err
}

// longestMessage bounds what a Status may say: a megabyte of the attacker's own
// words tells nobody anything.
const longestMessage = 64 << 10

// refused fails unless the answer is a Status with this code whose message says all
// of want.
func (a answer) refused(t *testing.T, code int, want ...string) {
	t.Helper()
	message := a.status.Message
	if a.code != code || a.status.Kind != "Status" || int(a.status.Code) != code {
		t.Errorf("answered %d, Status %d %s: %.300s\nwant a Status with code %d", a.code, a.status.Code, a.status.Reason, a.body, code)
		return
	}
	if message == "" || a.length > longestMessage {
		t.Errorf("the Status has a message of %d bytes (%d in all): %.300s", len(message), a.length, message)
	}
	for _, w := range want {
		if !strings.Contains(message, w) {
			t.Errorf("%.500q does not say %q", message, w)
		}
	}
}
