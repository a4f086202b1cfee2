package store

import (
	"context"
	"errors"
	"net/http"
	"sort"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/apiserver/pkg/storage"
	utilflowcontrol "k8s.io/apiserver/pkg/util/flowcontrol"

	"github.com/pintle-io/pintle/store/kv"
)

// Watch implements storage.Interface. A resource version that is compacted, or
// too large for a list, is reported as an error event, as upstream does.
func (r *Resource) Watch(ctx context.Context, key string, opts storage.ListOptions) (watch.Interface, error) {
	key, err := storage.PrepareKey(r.prefix, key, opts.Recursive)
	if err != nil {
		return nil, err
	}
	rev, err := r.versioner.ParseResourceVersion(opts.ResourceVersion)
	if err != nil {
		return nil, err
	}
	if err := r.ready(); err != nil {
		return nil, err
	}
	w := r.newWatcher(ctx, key, opts)
	if initialEvents(rev, opts) {
		go w.run(func() bool { return w.sendInitial(int64(rev), opts) })
	} else {
		from := int64(rev)
		if from == 0 {
			from = r.store.Revision()
		}
		go w.run(func() bool { return w.catchUp(from) })
	}
	utilflowcontrol.WatchInitialized(ctx)
	return w, nil
}

// RequestWatchProgress implements storage.Interface: watches with ProgressNotify
// get a bookmark.
func (r *Resource) RequestWatchProgress(context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	close(r.mu.progress)
	r.mu.progress = make(chan struct{})
	return nil
}

// initialEvents reports whether a watch begins with the present objects.
func initialEvents(rev uint64, opts storage.ListOptions) bool {
	if opts.SendInitialEvents == nil {
		return rev == 0
	}
	return *opts.SendInitialEvents
}

// groupOf picks the narrowest group that holds every event the watch may want.
func (r *Resource) groupOf(ctx context.Context, key string, opts storage.ListOptions) group {
	if !opts.Recursive {
		return group{value: key}
	}
	if pred := &opts.Predicate; pred.Field != nil && pred.Label != nil {
		for _, m := range pred.MatcherIndex(ctx) {
			if r.cfg.Indexers[m.IndexName] != nil {
				return group{index: m.IndexName, value: m.Value}
			}
		}
	}
	return group{value: key, recursive: true}
}

// joinLocked makes w follow its group from here on.
func (w *watcher) joinLocked() {
	r := w.r
	if w.group == (group{value: r.prefix, recursive: true}) {
		w.log = r.mu.log
	} else {
		w.log = r.mu.groups[w.group]
		if w.log == nil {
			w.log = newEventLog(r.mu.lastEvent)
			r.mu.groups[w.group] = w.log
		}
	}
	w.log.watchers++
	w.position = w.log.next()
}

func (w *watcher) leave() {
	r := w.r
	r.mu.Lock()
	defer r.mu.Unlock()
	if w.log == nil {
		return
	}
	w.log.watchers--
	if w.log.watchers == 0 && r.mu.groups[w.group] == w.log {
		delete(r.mu.groups, w.group)
	}
}

// sendInitial sends the present objects, and the bookmark that ends them if it
// was asked for.
func (w *watcher) sendInitial(rev int64, opts storage.ListOptions) bool {
	if durable := w.r.store.kv.Revision(); rev > durable {
		seconds := int(wait.Jitter(time.Second, 3).Seconds())
		return w.fail(storage.NewTooLargeResourceVersionError(uint64(rev), uint64(durable), seconds))
	}
	w.r.mu.Lock()
	state, at := w.r.newestLocked(), w.r.revisionLocked()
	w.joinLocked()
	w.r.mu.Unlock()

	ok := true
	add := func(e *entry) bool {
		ok = w.sendAdded(e)
		return ok
	}
	if !opts.Recursive {
		if e, found := state.Get(&entry{key: w.key}); found {
			add(e)
		}
	} else {
		ascend(state, w.key, "", add)
	}
	if !ok {
		return false
	}
	if opts.SendInitialEvents != nil && *opts.SendInitialEvents && opts.Predicate.AllowWatchBookmarks {
		return w.sendBookmark(at, true)
	}
	return true
}

// catchUp sends the events after rev and then follows: from memory if the window
// reaches back so far, else from disk until it does.
func (w *watcher) catchUp(rev int64) bool {
	for {
		if missed, joined := w.joinFrom(rev); joined {
			return w.sendAll(missed)
		}
		next, ok := w.sendHistory(rev)
		if !ok {
			return false
		}
		rev = next
	}
}

// joinFrom joins if memory holds all events after rev, and returns those missed.
func (w *watcher) joinFrom(rev int64) (missed []*event, joined bool) {
	w.r.mu.Lock()
	defer w.r.mu.Unlock()
	l := w.r.mu.log
	if rev < l.floor || rev < w.r.store.kv.Compacted() {
		return nil, false
	}
	first := sort.Search(len(l.events), func(i int) bool { return l.events[i].rev > rev })
	w.joinLocked()
	w.after = rev
	return l.events[first:], true
}

const historyChunk = 512

// sendHistory sends some events after rev from disk and returns how far it came.
func (w *watcher) sendHistory(rev int64) (int64, bool) {
	events, last, err := w.pastEvents(rev)
	switch {
	case errors.Is(err, kv.ErrCompacted):
		return 0, w.fail(apierrors.NewResourceExpired(watchExpired))
	case err != nil:
		return 0, w.fail(err)
	}
	for _, ev := range events {
		if !w.sendEvent(ev) {
			return 0, false
		}
	}
	return last, true
}

// pastEvents reads some events after rev that the watch may see, and says up to which
// revision they reach.
func (w *watcher) pastEvents(rev int64) (events []*event, last int64, err error) {
	defer w.r.store.beginRead()()
	var chunk []kv.PastEvent
	last, err = w.r.store.kv.History(rev, w.r.prefix, func(e kv.PastEvent) bool {
		// A revision is never torn.
		if len(chunk) >= historyChunk && chunk[len(chunk)-1].Rev != e.Rev {
			return false
		}
		chunk = append(chunk, e)
		return true
	})
	if err != nil {
		return nil, 0, err
	}
	for i := range chunk {
		if w.matchesKey(chunk[i].Key) {
			events = append(events, w.r.pastEvent(&chunk[i]))
		}
	}
	return events, last, nil
}

// pastEvent decodes an event from disk.
func (r *Resource) pastEvent(e *kv.PastEvent) *event {
	ev := &event{rev: e.Rev, versioner: r.versioner, from: r}
	if !e.Deleted {
		ev.cur = r.decodeEntry(e.Key, e.Value, e.Head)
	}
	if e.Prev.ModRev != 0 {
		ev.prev = r.decodeEntry(e.Key, e.PrevValue, e.Prev)
	}
	return ev
}

// errorEvent is how a watch is told why it ends.
func errorEvent(err error) watch.Event {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		status = apierrors.NewInternalError(err)
	}
	s := status.Status()
	return watch.Event{Type: watch.Error, Object: &s}
}

// corruptDeletionError reports the deletion of an object that cannot be shown.
func corruptDeletionError(err error) error {
	return &apierrors.StatusError{ErrStatus: metav1.Status{
		Status:  metav1.StatusFailure,
		Code:    http.StatusInternalServerError,
		Reason:  metav1.StatusReasonStoreReadError,
		Message: "saw a DELETED event, but object data is corrupt - " + err.Error(),
	}}
}

// bookmark is an object that carries nothing but a resource version.
func (r *Resource) bookmark(rev int64, endsInitial bool) (runtime.Object, error) {
	obj := r.cfg.NewFunc()
	if err := r.versioner.UpdateObject(obj, uint64(rev)); err != nil {
		return nil, err
	}
	if endsInitial {
		return obj, storage.AnnotateInitialEventsEndBookmark(obj)
	}
	return obj, nil
}
