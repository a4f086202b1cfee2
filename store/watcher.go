package store

import (
	"context"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/apiserver/pkg/storage"
)

const (
	// watchBuffer is how many events a watch holds for its receiver.
	watchBuffer = 32
	// slowCheck is how often a blocked watch looks whether it is lost.
	slowCheck = time.Second
	// lastBookmark is how long before its deadline a watch gets a bookmark.
	lastBookmark = 2 * time.Second
)

// watcher is one watch: a goroutine with a cursor into an event log. Fields are
// its goroutine's own, except key to result, which are read-only, and log, which
// is set once under Resource.mu.
type watcher struct {
	r         *Resource
	key       string
	recursive bool
	pred      storage.SelectionPredicate
	all       bool // pred selects everything
	progress  bool // ListOptions.ProgressNotify
	form      delivery
	group     group
	ctx       context.Context // of the request, which the watch is
	cancel    context.CancelFunc
	result    chan watch.Event

	log *eventLog
	// position is the sequence number of the event being sent, or of the next.
	position uint64
	// after is the revision the watch began at; older events are not for it.
	after int64
}

func (r *Resource) newWatcher(ctx context.Context, key string, opts storage.ListOptions) *watcher {
	w := &watcher{
		r: r, key: key, recursive: opts.Recursive,
		pred: opts.Predicate, all: opts.Predicate.Empty(), progress: opts.ProgressNotify,
		form: deliveryOf(ctx), group: r.groupOf(ctx, key, opts),
		result: make(chan watch.Event, watchBuffer),
	}
	w.ctx, w.cancel = context.WithCancel(ctx)
	return w
}

// Stop implements watch.Interface.
func (w *watcher) Stop() { w.cancel() }

// ResultChan implements watch.Interface.
func (w *watcher) ResultChan() <-chan watch.Event { return w.result }

func (w *watcher) run(begin func() bool) {
	defer close(w.result)
	defer w.leave()
	defer w.cancel()
	defer context.AfterFunc(w.r.ctx, w.cancel)()
	if w.ctx.Err() == nil && begin() {
		w.follow()
	}
}

// follow sends what is appended to the log until the watch ends.
func (w *watcher) follow() {
	timer := time.NewTimer(w.untilBookmark())
	defer timer.Stop()
	due := false
	for {
		news, ok := w.take()
		if !ok {
			w.r.series.terminated.Inc()
			w.r.store.log.Info("closed a watch that was too slow", "kind", w.r.cfg.GroupResource.String())
			return
		}
		if !w.sendNews(news.events) {
			return
		}
		if due && !w.sendBookmark(news.rev, false) {
			return
		}
		due = false
		if len(news.events) > 0 {
			select {
			case <-timer.C:
				due = true
				timer.Reset(w.untilBookmark())
			default:
			}
			continue
		}
		select {
		case <-news.changed:
		case <-news.progress:
			due = w.progress
		case <-timer.C:
			due = true
			timer.Reset(w.untilBookmark())
		case <-w.ctx.Done():
			return
		}
	}
}

// untilBookmark is the time to the next periodic bookmark.
func (w *watcher) untilBookmark() time.Duration {
	opts := &w.r.store.opts
	if w.progress {
		return opts.ProgressInterval
	}
	if !w.pred.AllowWatchBookmarks {
		return 1<<63 - 1
	}
	d := wait.Jitter(opts.BookmarkInterval, 0.25)
	if deadline, ok := w.ctx.Deadline(); ok {
		if last := time.Until(deadline) - lastBookmark; last > 0 && last < d {
			return last
		}
	}
	return d
}

// news is what a look at the log finds.
type news struct {
	events []*event
	// rev is a revision that the watch has seen everything of, once it has sent
	// events.
	rev               int64
	changed, progress <-chan struct{}
}

// take returns the events since position; ok is false if some are lost.
func (w *watcher) take() (n news, ok bool) {
	w.r.mu.RLock()
	defer w.r.mu.RUnlock()
	n.events, ok = w.log.since(w.position)
	n.rev = max(w.r.revisionLocked(), w.after)
	n.changed, n.progress = w.log.changed, w.r.mu.progress
	return n, ok
}

// lost reports whether the log has moved on past position.
func (w *watcher) lost() bool {
	w.r.mu.RLock()
	defer w.r.mu.RUnlock()
	return w.log != nil && w.position < w.log.first
}

func (w *watcher) sendNews(events []*event) bool {
	for _, ev := range events {
		if !w.matchesKey(ev.key()) || ev.rev <= w.after {
			w.position++
			continue
		}
		if !w.sendEvent(ev) {
			return false
		}
		w.position++
	}
	return true
}

func (w *watcher) sendAll(events []*event) bool {
	for _, ev := range events {
		if w.matchesKey(ev.key()) && !w.sendEvent(ev) {
			return false
		}
	}
	return true
}

func (w *watcher) matchesKey(key string) bool {
	if w.recursive {
		return strings.HasPrefix(key, w.key)
	}
	return key == w.key
}

// sendEvent sends ev as the watch sees it, if it does.
func (w *watcher) sendEvent(ev *event) bool {
	cur, prev := w.r.readable(ev.cur), ev.prev
	if cur == nil || !w.all {
		prev = w.r.readable(prev)
	}
	if cur != nil && cur.err != nil {
		return w.fail(cur.err)
	}
	before := prev != nil && prev.err == nil && w.selects(prev.obj)
	if cur == nil {
		if prev.err != nil {
			return w.fail(corruptDeletionError(prev.err))
		}
		return !before || w.sendGone(ev)
	}
	switch after := w.selects(cur.obj); {
	case after && before:
		return w.send(watch.Event{Type: watch.Modified, Object: w.deliver(ev, cur.obj, false)})
	case after:
		return w.send(watch.Event{Type: watch.Added, Object: w.deliver(ev, cur.obj, false)})
	case before:
		return w.sendGone(ev)
	}
	return true
}

func (w *watcher) sendGone(ev *event) bool {
	obj, err := ev.goneObject()
	if err != nil {
		return w.fail(err)
	}
	return w.send(watch.Event{Type: watch.Deleted, Object: w.deliver(ev, obj, true)})
}

// sendAdded sends one object of the initial state.
func (w *watcher) sendAdded(e *entry) bool {
	e = w.r.readable(e)
	if e.err != nil {
		return w.fail(e.err)
	}
	if !w.selects(e.obj) {
		return true
	}
	obj := e.obj
	switch w.form {
	case deliverShared:
	case deliverEncodings:
		obj = newCachingObject(e.obj, &EncodedObject{w.r, e})
	default:
		obj = shallowCopy(obj)
	}
	return w.send(watch.Event{Type: watch.Added, Object: obj})
}

func (w *watcher) selects(obj runtime.Object) bool {
	if w.all {
		return true
	}
	matched, err := w.pred.Matches(obj)
	return err == nil && matched
}

func (w *watcher) deliver(ev *event, obj runtime.Object, gone bool) runtime.Object {
	switch w.form {
	case deliverShared:
		return obj
	case deliverEncodings:
		return ev.wrap(obj, gone)
	}
	return shallowCopy(obj)
}

func (w *watcher) sendBookmark(rev int64, endsInitial bool) bool {
	obj, err := w.r.bookmark(rev, endsInitial)
	if err != nil {
		return w.fail(err)
	}
	return w.send(watch.Event{Type: watch.Bookmark, Object: obj})
}

// fail tells the receiver why the watch ends. It is always false.
func (w *watcher) fail(err error) bool {
	w.send(errorEvent(err))
	return false
}

// send hands ev to the receiver; false means that the watch is over. A receiver
// that does not take it may hold up its own watch until that is lost.
func (w *watcher) send(ev watch.Event) bool {
	select {
	case w.result <- ev:
		return true
	default:
	}
	tick := time.NewTicker(slowCheck)
	defer tick.Stop()
	for {
		select {
		case w.result <- ev:
			return true
		case <-w.ctx.Done():
			return false
		case <-tick.C:
			if w.lost() {
				w.r.store.log.Info("closed a watch whose receiver is too slow", "kind", w.r.cfg.GroupResource.String())
				return false
			}
		}
	}
}
