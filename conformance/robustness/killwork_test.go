package robustness

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
)

var (
	workCycles  = flag.Int("work.cycles", 2, "kill each work on the store so many `TIMES`")
	workObjects = flag.Int("work.objects", 2000, "let the store that is worked on hold so many `OBJECTS`")
	workSeed    = flag.Uint64("work.seed", 0, "the `SEED` of the moments of the kills; 0 draws one")
)

// storeWork is something that a running server does with its whole store.
type storeWork struct {
	name string
	// do is one run of it; n numbers the runs.
	do func(ctx context.Context, n int) error
	// check looks at what a run left, whose answer was err.
	check func(t *testing.T, k *workKill, n int, err error)
}

// The server is killed while it takes a snapshot, while it encrypts everything with
// a new key and while it exports, under writers. No acknowledged write is lost,
// nothing is damaged, what was not finished is not there and what was acknowledged
// is whole.
func TestKilledWhileItWorksOnTheStore(t *testing.T) {
	k := newWorkKill(t)
	for _, work := range []storeWork{
		{"snapshot", k.snapshotOnce, checkSnapshot},
		{"rotation", k.rotateOnce, checkRotation},
		{"export", k.exportOnce, checkExport},
	} {
		t.Run(work.name, func(t *testing.T) {
			began := time.Now()
			if err := work.do(t.Context(), 0); err != nil {
				t.Fatal(err)
			}
			usual := time.Since(began)
			work.check(t, k, 0, nil)
			answered := 0
			for n := 1; n <= *workCycles && !t.Failed(); n++ {
				err := k.killDuring(t, work, n, time.Duration(k.rng.Int64N(2*int64(usual))))
				if err == nil {
					answered++
				}
				work.check(t, k, n, err)
			}
			t.Logf("killed %d times, %d of the works were answered, one takes %s; %s", *workCycles, answered, usual.Round(time.Millisecond), k.ledger)
		})
	}
	k.ledger.check(t, k.client, everyLife)
}

// workKill is a server that is killed while it works on its store.
type workKill struct {
	*kill
	admin rest.Interface
	lives int
	dir   string
}

func newWorkKill(t *testing.T) *workKill {
	seed := *workSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("seed %d", seed)
	k := &workKill{kill: newKill(t, rand.New(rand.NewPCG(seed, 2))), dir: t.TempDir()}
	if err := k.server.Fill(t.Context(), *workObjects); err != nil {
		t.Fatal(err)
	}
	client, err := discovery.NewDiscoveryClientForConfig(k.config)
	if err != nil {
		t.Fatal(err)
	}
	k.admin = client.RESTClient()
	return k
}

// killDuring runs the work under writers, kills the server after a while, starts it
// again and looks at what was acknowledged.
func (k *workKill) killDuring(t *testing.T, work storeWork, n int, after time.Duration) error {
	t.Helper()
	k.lives++
	// A rotation that an earlier kill broke off goes on at the start, and the next one
	// waits for it.
	eventually(t, time.Minute, "the rotation that was broken off to end", func(ctx context.Context) (bool, string) {
		raw, err := k.admin.Get().AbsPath("/pintle/store").DoRaw(ctx)
		var now rotation
		return err == nil && json.Unmarshal(raw, &now) == nil && !now.Keys.Rewriting, fmt.Sprintf("%s %v", raw, err)
	})
	ctx, stop := context.WithCancel(klog.NewContext(t.Context(), logr.Discard()))
	defer stop()
	var writers sync.WaitGroup
	acked := make(chan struct{}, killAfter)
	for i := range killWriters {
		w := &killWriter{client: k.client, ledger: k.ledger, kind: killKinds[i%len(killKinds)], life: k.lives, id: i, acked: acked}
		writers.Go(func() { w.run(ctx) })
	}
	awaitAcks(t, acked, killWriters)
	answer := make(chan error, 1)
	go func() { answer <- work.do(ctx, n) }()
	<-time.After(after) // the moment of the kill is what is drawn
	if err := k.server.Kill(); err != nil {
		t.Fatal(err)
	}
	err := <-answer
	stop()
	writers.Wait()
	start(t, k.server)
	k.ledger.check(t, k.client, k.lives)
	k.verb(t, "store", "verify")
	return err
}

// online runs a command on the running server's store.
func (k *workKill) online(ctx context.Context, verb, sub string, args ...string) (string, error) {
	return k.server.Pintle(ctx, append([]string{verb, sub, "--data", k.server.DataDir, "--kubeconfig", k.server.Kubeconfig}, args...)...)
}

// verb is online for what must succeed.
func (k *workKill) verb(t *testing.T, verb, sub string, args ...string) string {
	t.Helper()
	out, err := k.online(t.Context(), verb, sub, args...)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return out
}

func (k *workKill) snapshots() string { return filepath.Join(k.server.DataDir, "snapshots") }

func (k *workKill) snapshotOnce(ctx context.Context, n int) error {
	return k.admin.Post().AbsPath("/pintle/store/snapshots/s" + fmt.Sprint(n)).Do(ctx).Error()
}

func checkSnapshot(t *testing.T, k *workKill, n int, answer error) {
	t.Helper()
	name := fmt.Sprintf("s%d", n)
	entries, err := os.ReadDir(k.snapshots())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	there := false
	for _, e := range entries {
		if there = there || e.Name() == name; e.Name() != name {
			t.Errorf("%s is left of a snapshot that was interrupted", e.Name())
		}
	}
	if !there {
		if answer == nil {
			t.Errorf("snapshot %s was acknowledged and is not there", name)
		}
		return
	}
	branch := filepath.Join(k.dir, name)
	k.verb(t, "store", "branch", "--from", name, branch)
	if out, err := k.server.Pintle(t.Context(), "store", "verify", "--data", branch); err != nil {
		t.Errorf("snapshot %s: %v\n%s", name, err, out)
	}
	k.verb(t, "snapshot", "delete", name)
	if err := os.RemoveAll(branch); err != nil {
		t.Fatal(err)
	}
}

// rotation is what the server says of the keys.
type rotation struct {
	Keys struct {
		Primary   string
		Rewriting bool
	}
}

func (k *workKill) rotateOnce(ctx context.Context, n int) error {
	raw, err := k.admin.Post().AbsPath("/pintle/store/rotate-key").DoRaw(ctx)
	if err != nil {
		return err
	}
	var done rotation
	if err := json.Unmarshal(raw, &done); err != nil {
		return err
	}
	return os.WriteFile(k.primaryFile(n), []byte(done.Keys.Primary), 0o600)
}

// primaryFile holds the key that a rotation was acknowledged with.
func (k *workKill) primaryFile(n int) string {
	return filepath.Join(k.dir, fmt.Sprintf("primary-%d", n))
}

// checkRotation relies on the ledger and on verify for the values: both read the
// secrets.
func checkRotation(t *testing.T, k *workKill, n int, answer error) {
	t.Helper()
	if answer != nil {
		return
	}
	key, err := os.ReadFile(k.primaryFile(n))
	if err != nil {
		t.Fatal(err)
	}
	if out := k.verb(t, "store", "status"); len(key) == 0 || !strings.Contains(out, "with key "+string(key)) {
		t.Errorf("the rotation to key %q was acknowledged, but the store says\n%s", key, out)
	}
}

func (k *workKill) exportFile(n int) string { return filepath.Join(k.dir, fmt.Sprintf("export-%d", n)) }

func (k *workKill) exportOnce(ctx context.Context, n int) error {
	out, err := k.online(ctx, "store", "export", "--include-keys", k.exportFile(n))
	if err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	return nil
}

// checkExport imports the export, killing the import at first: the data directory
// of an import that was killed can be imported into, and one that was not is whole.
func checkExport(t *testing.T, k *workKill, n int, answer error) {
	t.Helper()
	file := k.exportFile(n)
	if _, err := os.Stat(file); err != nil {
		if answer == nil {
			t.Errorf("the export was acknowledged: %v", err)
		}
		return
	}
	data := filepath.Join(k.dir, fmt.Sprintf("imported-%d", n))
	importing := exec.Command(k.server.Binary, "store", "import", "--data", data, file)
	if err := importing.Start(); err != nil {
		t.Fatal(err)
	}
	<-time.After(time.Duration(k.rng.Int64N(int64(300 * time.Millisecond))))
	if err := importing.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Fatal(err)
	}
	if importing.Wait() != nil {
		if out, err := k.server.Pintle(t.Context(), "store", "import", "--data", data, file); err != nil && !strings.Contains(out, "already") {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	out, err := k.server.Pintle(t.Context(), "store", "verify", "--data", data)
	if err != nil || !strings.Contains(out, "Everything is as it was written") {
		t.Errorf("%v\n%s", err, out)
	}
	for _, path := range []string{data, file} {
		if err := os.RemoveAll(path); err != nil {
			t.Fatal(err)
		}
	}
}
