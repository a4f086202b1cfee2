package plantest

import (
	"errors"
	"fmt"
	"strings"

	"github.com/pintle-io/pintle/engine/reconcile"
)

// ActFailing applies a plan whose n-th write, counted from one, fails with a message:
// what was planned after it is not done, and the plan's OnFailure has the last word.
// It returns what was done in words.
func (w *World) ActFailing(result reconcile.Result, n int, message string) string {
	w.log = nil
	for _, action := range result.Actions {
		done, failed := w.upTo(action, &n)
		if !failed {
			continue
		}
		w.log = append(w.log, fmt.Sprintf("failed %T: %s", action, message))
		if result.OnFailure != nil {
			for _, last := range result.OnFailure(reconcile.Failure{Action: action, Err: errors.New(message), Done: done}) {
				w.act(last)
			}
		}
		return strings.Join(w.log, "\n") + "\n"
	}
	return strings.Join(w.log, "\n") + "\nnothing failed\n"
}

// upTo applies an action until left writes are done and the next would fail; done
// counts the members of a batch before that.
func (w *World) upTo(action reconcile.Action, left *int) (done int, failed bool) {
	batch, ok := action.(reconcile.Batch)
	if !ok {
		if _, event := action.(reconcile.Event); !event {
			if *left--; *left == 0 {
				return 0, true
			}
		}
		w.act(action)
		return 0, false
	}
	for _, member := range batch {
		if *left--; *left == 0 {
			return done, true
		}
		w.act(member)
		done++
	}
	return done, false
}
