package robustness

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"

	"github.com/pintle-io/pintle/conformance/harness"
)

var (
	killCycles  = flag.Int("kill.cycles", 5, "kill the server `TIMES` in TestKilledServerLosesNoWrite")
	killObjects = flag.Int("kill.objects", 2000, "let the killed server hold so many `OBJECTS` besides")
	killReady   = flag.Duration("kill.ready", 5*time.Second, "the `TIME` from exec in which the killed server must serve again")
	killSeed    = flag.Uint64("kill.seed", 0, "the `SEED` of the moments of the kills; 0 draws one")
)

const (
	killWriters = 32
	// killAfter is how many writes a life of the server acknowledges at most.
	killAfter = 400
	// killAtStart is how often a server is killed before it is ready: one start of
	// so many.
	killAtStart = 10
)

// The server is killed at random moments, some of them while it starts, under
// writers of several kinds. Nothing that it acknowledged is lost, watches that
// resume miss nothing, and it serves again in time.
func TestKilledServerLosesNoWrite(t *testing.T) {
	seed := *killSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("seed %d", seed)
	k := newKill(t, rand.New(rand.NewPCG(seed, 1)))
	if err := k.server.Fill(t.Context(), *killObjects); err != nil {
		t.Fatal(err)
	}
	before := k.filled(t)
	for life := range *killCycles {
		k.life(t, life)
		if t.Failed() {
			t.Fatalf("life %d, seed %d", life, seed)
		}
	}
	k.ledger.check(t, k.client, everyLife)
	k.checkWatches(t)
	if after := k.filled(t); before != after {
		t.Errorf("%d of the %d objects from before are left", after, before)
	}
	k.report(t)
	for _, late := range k.late {
		t.Errorf("%s, want %s at most", late, *killReady)
	}
}

// kill is a server that is killed again and again, and what is known of it.
type kill struct {
	server  *harness.Cluster
	rng     *rand.Rand
	config  *rest.Config
	client  dynamic.Interface
	ledger  *killLedger
	watches []*killWatch
	started []startFigures
	// late are the starts that took too long. They are told at the end: what is lost
	// is looked for in every life all the same.
	late []string
}

// startFigures are what one start took.
type startFigures struct{ wall, processor time.Duration }

func newKill(t *testing.T, rng *rand.Rand) *kill {
	k := &kill{server: newCluster(t, "server"), rng: rng, ledger: newKillLedger()}
	start(t, k.server)
	var err error
	if k.config, err = k.server.REST(); err != nil {
		t.Fatal(err)
	}
	if k.client, err = dynamic.NewForConfig(k.config); err != nil {
		t.Fatal(err)
	}
	defineWidget(t, k.client)
	for _, kind := range killKinds {
		k.watches = append(k.watches, watchKind(t, k.client, kind))
	}
	return k
}

// life lets the writers write, kills the server under them, starts it again and
// looks at what they wrote.
func (k *kill) life(t *testing.T, life int) {
	var writers sync.WaitGroup
	acked := make(chan struct{}, killAfter)
	// What the kill breaks off is not worth a line each.
	ctx, stop := context.WithCancel(klog.NewContext(t.Context(), logr.Discard()))
	defer stop()
	for i := range killWriters {
		w := &killWriter{client: k.client, ledger: k.ledger, kind: killKinds[i%len(killKinds)], life: life, id: i, acked: acked}
		writers.Go(func() { w.run(ctx) })
	}
	awaitAcks(t, acked, 1+k.rng.IntN(killAfter))
	if err := k.server.Kill(); err != nil {
		t.Fatal(err)
	}
	stop()
	writers.Wait()
	if k.rng.IntN(killAtStart) == 0 {
		k.killStarting(t)
	}
	wall := start(t, k.server)
	processor, err := harness.ProcessorTime(k.server.PID())
	if err != nil {
		t.Fatal(err)
	}
	k.started = append(k.started, startFigures{wall, processor})
	if wall > *killReady {
		k.late = append(k.late, fmt.Sprintf("life %d served after %s, its processor time was %s", life, wall, processor))
	}
	k.ledger.check(t, k.client, life)
	if life%10 == 9 {
		t.Logf("%d lives, %s", life+1, k.ledger)
	}
}

func awaitAcks(t *testing.T, acked chan struct{}, n int) {
	t.Helper()
	patience := time.NewTimer(time.Minute)
	defer patience.Stop()
	for range n {
		select {
		case <-acked:
		case <-patience.C:
			t.Fatalf("fewer than %d writes were acknowledged in a minute", n)
		}
	}
}

// killStarting starts the server and kills it before it is ready, or just after.
func (k *kill) killStarting(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Duration(k.rng.IntN(1000))*time.Millisecond)
	defer cancel()
	if _, err := k.server.Start(ctx); err != nil && ctx.Err() == nil {
		t.Fatal(err)
	}
	if err := k.server.Kill(); err != nil {
		t.Fatal(err)
	}
}

// filled counts the objects that Fill made.
func (k *kill) filled(t *testing.T) int {
	t.Helper()
	client, err := metadata.NewForConfig(k.config)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, kind := range killKinds[:3] {
		list, err := client.Resource(kind.resource).List(t.Context(), metav1.ListOptions{LabelSelector: "app.kubernetes.io/part-of=fill"})
		if err != nil {
			t.Fatal(err)
		}
		n += len(list.Items)
	}
	return n
}

func (k *kill) checkWatches(t *testing.T) {
	for _, w := range k.watches {
		eventually(t, time.Minute, "the watch of "+w.kind.resource.Resource+" to be told everything", func(context.Context) (bool, string) {
			missed := w.history.misses(k.ledger.written(w.kind))
			return len(missed) == 0, fmt.Sprintf("%d missing, for example %v", len(missed), missed[:min(5, len(missed))])
		})
		if n := w.repeats(); n > 0 {
			t.Errorf("the watch of %s was told of %d changes twice", w.kind.resource.Resource, n)
		}
	}
}

func (k *kill) report(t *testing.T) {
	figures := func(of func(startFigures) time.Duration) string {
		var all []time.Duration
		for _, s := range k.started {
			all = append(all, of(s))
		}
		slices.Sort(all)
		return fmt.Sprintf("median %s, 95%% %s, worst %s", all[len(all)/2].Round(time.Millisecond),
			all[len(all)*95/100].Round(time.Millisecond), all[len(all)-1].Round(time.Millisecond))
	}
	t.Logf("%d kills on %d objects: %s", len(k.started), *killObjects, k.ledger)
	t.Logf("exec to ready: %s", figures(func(s startFigures) time.Duration { return s.wall }))
	t.Logf("processor time of it: %s", figures(func(s startFigures) time.Duration { return s.processor }))
}
