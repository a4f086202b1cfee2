package scheduling

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pintle-io/pintle/engine/decision"
)

const (
	// A strategy that fails this often within the window decides no more.
	mostFailures  = 3
	failureWindow = time.Minute
)

// guard says who decides: the placer while it behaves, else the fallback.
type guard struct {
	placer   Placer // nil once it has been given up
	fallback Placer
	failures []time.Time
	// note is for the records of decisions after placer was given up.
	note string
}

// failed takes note of a failure and reports whether it was one too many.
func (g *guard) failed(now time.Time) bool {
	recent := g.failures[:0]
	for _, t := range g.failures {
		if now.Sub(t) < failureWindow {
			recent = append(recent, t)
		}
	}
	g.failures = append(recent, now)
	if len(g.failures) < mostFailures {
		return false
	}
	g.placer, g.failures = nil, nil
	return true
}

// strategyFailed makes a failure known: log, an event on the first pod that it
// touched, a decision record; and the same when the strategy is given up.
func (s *Scheduler) strategyFailed(p Placer, first *pending, err error, now time.Time) {
	message := fmt.Sprintf("scheduling strategy %s failed and the native one decides instead: %v", p.Identity(), err)
	s.config.Logger.Warn("scheduling strategy failed", "decider", p.Identity(), "namespace", first.pod.Namespace,
		"name", first.pod.Name, "err", err)
	s.config.Recorder.Event(first.pod, corev1.EventTypeWarning, decision.StrategyFailed, message)
	s.config.Decisions.Add(failureRecord(p, podObject(first), decision.StrategyFailed, err.Error(), now))
	if !s.guard.failed(now) {
		return
	}
	s.guard.note = fmt.Sprintf("instead of strategy %s, which failed %d times within %v; the last time: %v", p.Identity(), mostFailures, failureWindow, err)
	message = fmt.Sprintf("scheduling strategy %s failed %d times within %v; the native one decides from now on", p.Identity(), mostFailures, failureWindow)
	s.config.Logger.Error("scheduling strategy given up", "decider", p.Identity(), "failures", mostFailures)
	s.config.Recorder.Event(first.pod, corev1.EventTypeWarning, decision.FallenBack, message)
	s.config.Decisions.Add(
		failureRecord(p, podObject(first), decision.FallenBack, message, now),
		failureRecord(p, decision.Object{Kind: "strategy", Name: "scheduling"}, decision.FallenBack, message, now))
}

func failureRecord(p Placer, o decision.Object, verdict, message string, now time.Time) decision.Record {
	return decision.Record{
		Time: metav1.NewMicroTime(now), Object: o, Decider: p.Identity(), Verdict: verdict, Message: message,
	}
}
