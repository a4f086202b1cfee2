package leader_test

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/pintle-io/pintle/engine/leader"
)

var (
	errFenced = errors.New("fenced")
	leases    = schema.GroupResource{Group: "coordination.k8s.io", Resource: "leases"}
)

// cluster is the store that all servers share: one Lease, and who wrote otherwise.
type cluster struct {
	mu    sync.Mutex
	lease *coordinationv1.Lease
	seen  []time.Time // renewals
}

type holdsKey struct{}

// write is any other write; it is fenced as the store does it.
func (c *cluster) write(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if holds, ok := ctx.Value(holdsKey{}).(func(*coordinationv1.Lease) bool); ok && !holds(c.lease) {
		return errFenced
	}
	return nil
}

// server is one server's way to the cluster; while it is paused, none of its calls
// goes on.
type server struct {
	*cluster
	paused chan struct{} // a token while it is not paused
}

func (s *server) enter(ctx context.Context) error {
	select {
	case <-s.paused:
		s.paused <- struct{}{}
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *server) Get(ctx context.Context, _, name string) (*coordinationv1.Lease, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lease == nil {
		return nil, apierrors.NewNotFound(leases, name)
	}
	return s.lease.DeepCopy(), nil
}

func (s *server) Create(ctx context.Context, lease *coordinationv1.Lease) (*coordinationv1.Lease, error) {
	return s.put(ctx, lease, "")
}

func (s *server) Update(ctx context.Context, lease *coordinationv1.Lease) (*coordinationv1.Lease, error) {
	return s.put(ctx, lease, lease.ResourceVersion)
}

func (s *server) put(ctx context.Context, lease *coordinationv1.Lease, planned string) (*coordinationv1.Lease, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := ""
	if s.lease != nil {
		now = s.lease.ResourceVersion
	}
	if now != planned {
		return nil, apierrors.NewConflict(leases, lease.Name, errors.New("changed"))
	}
	s.lease = lease.DeepCopy()
	s.seen = append(s.seen, time.Now())
	s.lease.ResourceVersion = strconv.Itoa(len(s.seen))
	return s.lease.DeepCopy(), nil
}

// new is a server that takes no part yet.
func (c *cluster) new(t *testing.T, name string) *leader.Leader {
	t.Helper()
	_, l := c.server(t, name)
	return l
}

func (c *cluster) server(t *testing.T, name string) (*server, *leader.Leader) {
	t.Helper()
	s := &server{c, make(chan struct{}, 1)}
	s.paused <- struct{}{}
	l, err := leader.New(leader.Config{
		Namespace: "kube-system", Name: "engine", Identity: name, Leases: s,
		Fence: func(ctx context.Context, holds func(*coordinationv1.Lease) bool) context.Context {
			return context.WithValue(ctx, holdsKey{}, holds)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return s, l
}

// join runs a server's election until the test ends.
func (c *cluster) join(t *testing.T, name string) (*server, *leader.Leader) {
	t.Helper()
	s, l := c.server(t, name)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return s, l
}

// TestStandbyTakesOver pauses the leader again and again at different moments: a
// standby leads within fifteen seconds of the last renewal, what the old leader began
// is refused when it wakes, also after it led once more, and it stands by.
func TestStandbyTakesOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &cluster{}
		oldServer, old := c.join(t, "first")
		oldTerm, err := old.Lead(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		nextServer, next := c.join(t, "second")
		for round := range 20 {
			anyTerm := old.Fenced(t.Context())
			if err := errors.Join(c.write(oldTerm), c.write(anyTerm)); err != nil {
				t.Fatalf("round %d: the leader may not write: %v", round, err)
			}
			if err := c.write(next.Fenced(t.Context())); !errors.Is(err, errFenced) {
				t.Errorf("round %d: a standby writes: %v", round, err)
			}
			time.Sleep(time.Duration(10_000+137*round) * time.Millisecond)
			<-oldServer.paused
			synctest.Wait()
			c.mu.Lock()
			renewed := c.seen[len(c.seen)-1]
			c.mu.Unlock()
			nextTerm, err := next.Lead(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if took := time.Since(renewed); took > 15*time.Second {
				t.Errorf("round %d: the standby leads %v after the last renewal", round, took)
			}
			if err := c.write(nextTerm); err != nil {
				t.Errorf("round %d: the new leader may not write: %v", round, err)
			}
			oldServer.paused <- struct{}{}
			for name, ctx := range map[string]context.Context{"in its term": oldTerm, "as it wakes": anyTerm} {
				if err := c.write(ctx); !errors.Is(err, errFenced) {
					t.Errorf("round %d: what the old leader writes %s: %v", round, name, err)
				}
			}
			if round > 0 {
				continueAs(&oldServer, &nextServer, &old, &next)
				oldTerm = nextTerm
				continue
			}
			// The same server leads again: a plan of its first term is still refused.
			time.Sleep(10 * time.Second)
			<-nextServer.paused
			again, err := old.Lead(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if err := c.write(again); err != nil {
				t.Errorf("the server that leads again may not write: %v", err)
			}
			if err := c.write(oldTerm); !errors.Is(err, errFenced) {
				t.Errorf("what was begun two terms ago: %v", err)
			}
			nextServer.paused <- struct{}{}
			oldTerm = again
		}
	})
}

// continueAs lets the two change places.
func continueAs(a, b **server, x, y **leader.Leader) { *a, *b = *b, *a; *x, *y = *y, *x }

// TestOrderedEnd gives the Lease back: a standby leads at its next look.
func TestOrderedEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &cluster{}
		first := c.new(t, "first")
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- first.Run(ctx) }()
		if _, err := first.Lead(ctx); err != nil {
			t.Fatal(err)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		ended := time.Now()
		_, l := c.join(t, "second")
		if _, err := l.Lead(t.Context()); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(ended); took > time.Second {
			t.Errorf("the standby leads after %v", took)
		}
	})
}
