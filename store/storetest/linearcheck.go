package storetest

import (
	"context"
	"maps"
	"math/rand/v2"
	"sort"
	"strconv"
	"time"

	"github.com/anishathalye/porcupine"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/apiserver/pkg/storage"
)

// linkChanges fills in what each change replaced.
func (r *linearRoundState) linkChanges() {
	state := map[string]pod{}
	for i := range r.committed {
		c := &r.committed[i]
		if i > 0 && r.committed[i-1].rev == c.rev {
			r.fail("two writes were acknowledged at revision %d: %s and %s", c.rev, r.committed[i-1].name, c.name)
		}
		c.before = state[c.name]
		if c.deleted {
			delete(state, c.name)
		} else {
			state[c.name] = c.now
		}
	}
}

// checkKeys lets porcupine check each key.
func (r *linearRoundState) checkKeys() {
	for name, history := range r.history {
		if result := porcupine.CheckOperationsTimeout(linearModel, history, checkPatience); result != porcupine.Ok {
			r.fail("the history of %d calls on %s: %s", len(history), name, result)
		}
	}
}

// checkLists compares every list with what was committed up to its revision.
func (r *linearRoundState) checkLists() {
	sort.Slice(r.lists, func(i, j int) bool { return r.lists[i].rev < r.lists[j].rev })
	state, next := map[string]pod{}, 0
	for _, l := range r.lists {
		for ; next < len(r.committed) && r.committed[next].rev <= l.rev; next++ {
			if c := r.committed[next]; c.deleted {
				delete(state, c.name)
			} else {
				state[c.name] = c.now
			}
		}
		if !maps.Equal(state, l.pods) {
			r.fail("list at revision %d shows %v; committed is %v", l.rev, l.pods, state)
		}
	}
}

// linearWatch is a watch that began in the middle of a round.
type linearWatch struct {
	from  int64
	sel   int
	name  string // of the one pod watched, or ""
	watch watch.Interface
	// last is set when the last change of the round is known, under which the
	// watch ends.
	last   chan int64
	done   chan struct{}
	events []told
}

// beginWatch begins a watch from any revision since base.
func (r *linearRoundState) beginWatch(base int64, rng *rand.Rand) {
	ctx := context.Background()
	now, err := r.backend.GetCurrentResourceVersion(ctx)
	if err != nil {
		r.fail("current revision: %v", err)
		return
	}
	w := &linearWatch{
		from: base + rng.Int64N(int64(now)-base+1), sel: rng.IntN(2),
		last: make(chan int64, 1), done: make(chan struct{}),
	}
	key := r.prefix()
	if rng.IntN(3) == 0 {
		w.name = "k00"
		key += w.name
	}
	w.watch, err = r.backend.Watch(ctx, key, storage.ListOptions{
		Recursive: w.name == "", Predicate: selectors[w.sel], ResourceVersion: strconv.FormatInt(w.from, 10),
	})
	if err != nil {
		r.fail("watch from %d: %v", w.from, err)
		return
	}
	go w.receive()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.watches = append(r.watches, w)
}

// receive reads the watch until it was told of the last change, or of nothing more
// for too long.
func (w *linearWatch) receive() {
	defer close(w.done)
	defer w.watch.Stop()
	last, seen := int64(0), int64(-1)
	silence := time.NewTimer(patience)
	defer silence.Stop()
	for last == 0 || seen < last {
		select {
		case last = <-w.last:
			silence.Reset(patience)
		case e, ok := <-w.watch.ResultChan():
			if !ok {
				return
			}
			_, p, err := podOf(e.Object)
			if err != nil {
				p = pod{}
			}
			w.events = append(w.events, told{e.Type, p})
			seen = p.rev
			silence.Reset(patience)
		case <-silence.C:
			if last != 0 {
				return
			}
			silence.Reset(patience)
		}
	}
}

// checkWatches compares every watch with what was committed after its revision.
func (r *linearRoundState) checkWatches() {
	for _, w := range r.watches {
		var want []told
		for _, c := range r.committed {
			if c.rev <= w.from || w.name != "" && c.name != w.name {
				continue
			}
			if e, shown := eventOf(c, w.sel); shown {
				want = append(want, e)
			}
		}
		if len(want) == 0 {
			w.watch.Stop()
			<-w.done
			continue
		}
		w.last <- want[len(want)-1].pod.rev
		<-w.done
		r.told += len(want)
		for i := range max(len(want), len(w.events)) {
			if i >= len(want) || i >= len(w.events) || want[i] != w.events[i] {
				r.fail("watch from %d (selector %d, name %q): event %d of %d is %v; committed is %v",
					w.from, w.sel, w.name, i, len(w.events), at(w.events, i), at(want, i))
				break
			}
		}
	}
}

func at(events []told, i int) any {
	if i < len(events) {
		return events[i]
	}
	return "none"
}
