package leader

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/client-go/tools/leaderelection"
)

// Times of the protocol.
type Times struct {
	// Lease is how long a Lease is not taken after its last renewal was seen, in whole
	// seconds; Renew how long a leader tries to renew it; Retry the time between two
	// looks at it.
	Lease, Renew, Retry time.Duration
}

// DefaultTimes let a standby lead within fifteen seconds.
var DefaultTimes = Times{Lease: 8 * time.Second, Renew: 6 * time.Second, Retry: 1500 * time.Millisecond}

// Leases are the calls an election makes. An Update of a Lease that somebody else
// changed in between must fail.
type Leases interface {
	Get(ctx context.Context, namespace, name string) (*coordinationv1.Lease, error)
	Create(ctx context.Context, lease *coordinationv1.Lease) (*coordinationv1.Lease, error)
	Update(ctx context.Context, lease *coordinationv1.Lease) (*coordinationv1.Lease, error)
}

// Config names a Lease and who wants it.
type Config struct {
	Namespace, Name string
	// Identity tells servers apart: no two that run may share one.
	Identity string
	Leases   Leases
	// Fence lets what is written with the returned context through only while holds
	// is true of the Lease, which is nil if there is none.
	Fence func(ctx context.Context, holds func(*coordinationv1.Lease) bool) context.Context
	// Times are DefaultTimes if zero.
	Times Times
	// Logger may be nil.
	Logger *slog.Logger
}

// Leader is one server's part in an election.
type Leader struct {
	cfg Config
	mu  struct {
		sync.Mutex
		// term is the Lease's leaseTransitions under which we lead, or notLeading.
		term int64
		// changed is closed when term changes.
		changed chan struct{}
	}
}

const notLeading = -1

// New checks the configuration; Run takes part in the election.
func New(cfg Config) (*Leader, error) {
	if cfg.Namespace == "" || cfg.Name == "" || cfg.Identity == "" || cfg.Leases == nil || cfg.Fence == nil {
		return nil, errors.New("leader: Namespace, Name, Identity, Leases and Fence are required")
	}
	if cfg.Times == (Times{}) {
		cfg.Times = DefaultTimes
	}
	if cfg.Times.Lease < time.Second || cfg.Times.Lease%time.Second != 0 {
		return nil, fmt.Errorf("leader: a Lease of %v: want whole seconds", cfg.Times.Lease)
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	l := &Leader{cfg: cfg}
	l.mu.term, l.mu.changed = notLeading, make(chan struct{})
	return l, nil
}

// Run takes part in the election until ctx ends; then it gives the Lease back.
func (l *Leader) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
			Lock:          &lock{leader: l},
			LeaseDuration: l.cfg.Times.Lease, RenewDeadline: l.cfg.Times.Renew, RetryPeriod: l.cfg.Times.Retry,
			ReleaseOnCancel: true, Name: l.cfg.Name,
			Callbacks: leaderelection.LeaderCallbacks{
				OnStartedLeading: func(context.Context) {},
				OnStoppedLeading: func() { l.set(notLeading) },
			},
		})
		if err != nil {
			return err
		}
		elector.Run(ctx)
	}
	return nil
}

func (l *Leader) set(term int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if term == l.mu.term {
		return
	}
	if term == notLeading {
		l.cfg.Logger.Warn("this server leads no more", "name", l.cfg.Name)
	} else {
		l.cfg.Logger.Info("this server leads", "name", l.cfg.Name, "term", term)
	}
	l.mu.term = term
	close(l.mu.changed)
	l.mu.changed = make(chan struct{})
}

func (l *Leader) now() (term int64, changed <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mu.term, l.mu.changed
}

// Lead waits until this server leads. What is written with the context it returns
// gets through only in the present term. An error means that ctx ended.
func (l *Leader) Lead(ctx context.Context) (context.Context, error) {
	for {
		term, changed := l.now()
		if term != notLeading {
			return l.fence(ctx, func() int64 { return term }), nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// Fenced lets what is written with the returned context through whenever this server
// leads. It is for work that does not go by terms: each of its writes stands for
// itself.
func (l *Leader) Fenced(ctx context.Context) context.Context {
	return l.fence(ctx, func() int64 { term, _ := l.now(); return term })
}

// Once waits until this server leads for the first time, then runs work, whose writes
// get through only while it leads.
func (l *Leader) Once(work func(ctx context.Context) error) func(ctx context.Context) error {
	return func(ctx context.Context) error {
		if _, err := l.Lead(ctx); err != nil {
			return nil // an ordered end before it began
		}
		return work(l.Fenced(ctx))
	}
}

func (l *Leader) fence(ctx context.Context, term func() int64) context.Context {
	return l.cfg.Fence(ctx, func(lease *coordinationv1.Lease) bool {
		if lease == nil || lease.Spec.HolderIdentity == nil || *lease.Spec.HolderIdentity != l.cfg.Identity {
			return false
		}
		return termOf(lease) == term()
	})
}

func termOf(lease *coordinationv1.Lease) int64 {
	if lease.Spec.LeaseTransitions == nil {
		return 0
	}
	return int64(*lease.Spec.LeaseTransitions)
}
