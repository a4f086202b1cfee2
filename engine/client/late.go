package client

import (
	"context"
	"sync"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/cache"
)

// latecomers are the informers that fill only once the server answers: those of
// kinds of which there may be many and that no request waits for. Without them, a
// start does not take longer the more there is.
type latecomers struct {
	kinds map[schema.GroupResource]bool
	open  chan struct{}
	once  sync.Once

	mu struct {
		sync.Mutex
		early, late []cache.SharedIndexInformer
	}
}

func newLatecomers(kinds []schema.GroupResource) *latecomers {
	l := &latecomers{kinds: map[schema.GroupResource]bool{}, open: make(chan struct{})}
	for _, kind := range kinds {
		l.kinds[kind] = true
	}
	return l
}

// note remembers an informer of the factory.
func (l *latecomers) note(kind schema.GroupResource, i cache.SharedIndexInformer) cache.SharedIndexInformer {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.kinds[kind] {
		l.mu.late = append(l.mu.late, i)
	} else {
		l.mu.early = append(l.mu.early, i)
	}
	return i
}

// wait returns when a kind may be listed.
func (l *latecomers) wait(ctx context.Context, kind schema.GroupResource) error {
	if !l.kinds[kind] {
		return nil
	}
	select {
	case <-l.open:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (l *latecomers) checkers(late bool) []cache.DoneChecker {
	l.mu.Lock()
	defer l.mu.Unlock()
	list := l.mu.early
	if late {
		list = l.mu.late
	}
	checkers := make([]cache.DoneChecker, 0, len(list))
	for _, i := range list {
		checkers = append(checkers, i.HasSyncedChecker())
	}
	return checkers
}

// WaitForEarly returns when the informers of all kinds but those in Config.Late
// have filled, or ctx has ended.
func (c *Client) WaitForEarly(ctx context.Context) {
	cache.WaitFor(ctx, "", c.latecomers.checkers(false)...)
}

// FillLate lets the informers of the kinds in Config.Late fill, and returns when
// they have, or ctx has ended.
func (c *Client) FillLate(ctx context.Context) {
	c.latecomers.once.Do(func() { close(c.latecomers.open) })
	cache.WaitFor(ctx, "", c.latecomers.checkers(true)...)
}
