package storetest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/apis/example"
	"k8s.io/apiserver/pkg/storage"
)

const (
	linearClients = 24
	linearKeys    = 32
	// linearRound is how many calls are made before their history is checked:
	// the check of one key is quadratic in its calls.
	linearRound = 20_000
	// checkPatience bounds the check of one key.
	checkPatience = time.Minute
)

// Linear makes at least so many calls on a backend from many goroutines, with
// watches beginning all the while, and checks that some order of the calls, true to
// their times, explains every answer (porcupine, key by key), that every list shows
// exactly what was committed up to its revision, and that every watch is told
// exactly what was committed after its own, in order. The seed of a failure is in
// its message.
func Linear(t *testing.T, open Open, calls int, seed uint64) {
	backend := open(t, DefaultConfig(t))
	made, reads, events := 0, 0, 0
	began := time.Now()
	for round := 0; made < calls; round++ {
		r := newLinearRound(t, backend, round, rand.New(rand.NewPCG(seed, uint64(round))))
		if !r.run(min(linearRound, calls-made)) {
			t.Fatalf("round %d of seed %d failed", round, seed)
		}
		made += r.calls
		reads += r.listed
		events += r.told
		// Later rounds do not need the history of this one.
		backend.Compact(t.Context(), t, strconv.FormatInt(r.committed[len(r.committed)-1].rev, 10))
	}
	t.Logf("%d calls and %d objects in lists are linearizable, %d watch events complete and in order, in %s (seed %d)",
		made, reads, events, time.Since(began).Round(time.Millisecond), seed)
}

// linearCall is one call on one key, with its answer.
type linearCall struct {
	kind string // create, update, delete, read
	// value is what a create or update writes.
	value int
	// expected is the revision an update or delete demands; 0 demands none.
	expected int64

	// found is false if the answer was that the object exists (create) or does not
	// (all others); conflict if it was that expected is wrong.
	found, conflict bool
	// got is what was read, written or deleted; of a deletion, with its revision.
	got pod
}

// linearState is a key at some moment. rev is the revision of its last change.
type linearState struct {
	rev   int64
	value int
	live  bool
}

var linearModel = porcupine.Model{
	Init: func() any { return linearState{} },
	Step: func(state, input, _ any) (bool, any) {
		ok, next := input.(*linearCall).step(state.(linearState))
		return ok, next
	},
	DescribeOperation: func(input, _ any) string { return fmt.Sprintf("%+v", *input.(*linearCall)) },
	DescribeState:     func(state any) string { return fmt.Sprintf("%+v", state) },
}

// step reports whether the answer is right in a state, and the state after it.
func (c *linearCall) step(s linearState) (bool, linearState) {
	if c.conflict {
		return s.live && s.rev != c.expected, s
	}
	if c.kind == "create" {
		if !c.found {
			return s.live, s
		}
		return !s.live && c.got.rev > s.rev && c.got.value == c.value, linearState{c.got.rev, c.value, true}
	}
	if !c.found {
		return !s.live, s
	}
	holds := s.live && (c.expected == 0 || c.expected == s.rev)
	switch c.kind {
	case "update":
		return holds && c.got.rev > s.rev && c.got.value == c.value, linearState{c.got.rev, c.value, true}
	case "delete":
		return holds && c.got.rev > s.rev && c.got.value == s.value, linearState{c.got.rev, 0, false}
	}
	return holds && c.got == pod{s.rev, s.value}, s
}

// linearList is the answer to a list.
type linearList struct {
	rev  int64
	pods map[string]pod
}

// linearRoundState is a part of the history with names of its own.
type linearRoundState struct {
	t       *testing.T
	backend *Backend
	ns      string
	rng     *rand.Rand
	began   time.Time
	base    int64

	mu        sync.Mutex
	history   map[string][]porcupine.Operation
	committed []change
	lists     []linearList
	watches   []*linearWatch
	calls     int
	listed    int
	told      int
	failed    bool
}

func newLinearRound(t *testing.T, backend *Backend, round int, rng *rand.Rand) *linearRoundState {
	rev, err := backend.GetCurrentResourceVersion(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return &linearRoundState{
		t: t, backend: backend, ns: fmt.Sprintf("linear%d", round), rng: rng, began: time.Now(), base: int64(rev),
		history: map[string][]porcupine.Operation{},
	}
}

func (r *linearRoundState) prefix() string { return Prefix + r.ns + "/" }

func (r *linearRoundState) fail(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.failed {
		r.t.Errorf(format, args...)
	}
	r.failed = true
}

func (r *linearRoundState) run(calls int) bool {
	var clients sync.WaitGroup
	seeds := make([]uint64, linearClients)
	for i := range seeds {
		seeds[i] = r.rng.Uint64()
	}
	for i := range linearClients {
		c := &linearClient{
			linearRoundState: r, rng: rand.New(rand.NewPCG(seeds[i], 0)), id: i, known: map[string]int64{},
			calls: calls/linearClients + 1,
		}
		clients.Go(c.run)
	}
	clients.Wait()
	slices.SortFunc(r.committed, func(a, b change) int { return int(a.rev - b.rev) })
	r.linkChanges()
	r.checkKeys()
	r.checkLists()
	r.checkWatches()
	return !r.failed
}

// linearClient makes calls one after the other.
type linearClient struct {
	*linearRoundState
	rng   *rand.Rand
	id    int
	calls int
	// known are the revisions seen last, to demand in updates.
	known map[string]int64
	last  int
}

func (c *linearClient) run() {
	for range c.calls {
		if c.t.Context().Err() != nil {
			return
		}
		switch n := c.rng.IntN(100); {
		case n < 2:
			c.list()
		case n == 2 && c.rng.IntN(8) == 0:
			c.beginWatch(c.base, c.rng)
		default:
			c.call(n)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.linearRoundState.calls += c.calls
}

func (c *linearClient) call(n int) {
	name := fmt.Sprintf("k%02d", c.rng.IntN(linearKeys))
	op := &linearCall{found: true}
	switch {
	case n < 25:
		op.kind = "create"
	case n < 60:
		op.kind = "update"
	case n < 75:
		op.kind = "delete"
	default:
		op.kind = "read"
	}
	if op.kind == "create" || op.kind == "update" {
		c.last++
		op.value = c.last*linearClients + c.id
	}
	if (op.kind == "update" || op.kind == "delete") && c.rng.IntN(2) == 0 {
		op.expected = c.known[name]
	}
	call := time.Since(c.began).Nanoseconds()
	err := op.make(c.backend, c.ns, c.prefix()+name)
	done := time.Since(c.began).Nanoseconds()
	if err != nil {
		c.fail("%s %s: %v", op.kind, name, err)
		return
	}
	if op.got.rev != 0 {
		c.known[name] = op.got.rev
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.history[name] = append(c.history[name], porcupine.Operation{ClientId: c.id, Input: op, Call: call, Return: done})
	if op.kind != "read" && op.found && !op.conflict {
		ch := change{rev: op.got.rev, name: name, now: op.got, deleted: op.kind == "delete"}
		if ch.deleted {
			ch.now = pod{}
		}
		c.committed = append(c.committed, ch)
	}
}

// make makes the call and fills in the answer.
func (c *linearCall) make(b *Backend, ns, key string) error {
	ctx, out := context.Background(), &example.Pod{}
	var preconditions *storage.Preconditions
	if c.expected != 0 {
		rev := strconv.FormatInt(c.expected, 10)
		preconditions = &storage.Preconditions{ResourceVersion: &rev}
	}
	var err error
	switch c.kind {
	case "create":
		err = b.Create(ctx, key, newPod(ns, key[len(Prefix)+len(ns)+1:], c.value), out, 0)
	case "update":
		err = b.GuaranteedUpdate(ctx, key, out, false, preconditions, storage.SimpleUpdate(func(obj runtime.Object) (runtime.Object, error) {
			setValue(obj.(*example.Pod), c.value)
			return obj, nil
		}), nil)
	case "delete":
		err = b.Delete(ctx, key, out, preconditions, storage.ValidateAllObjectFunc, nil, storage.DeleteOptions{})
	case "read":
		err = b.Get(ctx, key, storage.GetOptions{}, out)
	}
	switch {
	case storage.IsExist(err), storage.IsNotFound(err):
		c.found = false
		return nil
	case storage.IsInvalidObj(err) && c.expected != 0:
		c.conflict = true
		return nil
	case err != nil:
		return err
	}
	_, c.got, err = podOf(out)
	return err
}

// list reads all keys at once: a read of each of them.
func (c *linearClient) list() {
	list := &example.PodList{}
	opts := storage.ListOptions{Recursive: true, Predicate: everyPod}
	if c.rng.IntN(4) == 0 && c.last > 0 {
		opts.ResourceVersionMatch = metav1.ResourceVersionMatchNotOlderThan
		opts.ResourceVersion = strconv.FormatInt(c.base, 10)
	}
	call := time.Since(c.began).Nanoseconds()
	err := c.backend.GetList(context.Background(), c.prefix(), opts, list)
	done := time.Since(c.began).Nanoseconds()
	got := linearList{pods: map[string]pod{}}
	for i := range list.Items {
		var name string
		var p pod
		if err == nil {
			name, p, err = podOf(&list.Items[i])
		}
		got.pods[name] = p
	}
	if err == nil {
		got.rev, err = strconv.ParseInt(list.ResourceVersion, 10, 64)
	}
	if err != nil {
		c.fail("list: %v", err)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lists = append(c.lists, got)
	c.listed += linearKeys
	if opts.ResourceVersion != "" {
		return // may be of the past, as it says
	}
	for i := range linearKeys {
		name := fmt.Sprintf("k%02d", i)
		p, found := got.pods[name]
		op := &linearCall{kind: "read", found: found, got: p}
		c.history[name] = append(c.history[name], porcupine.Operation{ClientId: c.id, Input: op, Call: call, Return: done})
	}
}
