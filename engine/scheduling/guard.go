package scheduling

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pintle-io/pintle/engine/decision"
)

// chain is who is asked before the fallback, the foremost first, and what to note
// if the foremost that was chosen has been given up.
func (s *Scheduler) chain(chosen *Strategy) (chain []*Strategy, note string) {
	for _, c := range []*Strategy{chosen, s.setup.builtin} {
		switch {
		case c == nil:
		case !c.Health.GivenUp():
			chain = append(chain, c)
		case note == "":
			note = fmt.Sprintf("instead of strategy %s, which %s", c.Placer.Identity(), c.Health.WhyGivenUp())
		}
	}
	return chain, note
}

// strategyFailed makes a failure known: log, an event on the first pod that it
// touched, a decision record; and the same when the strategy is given up.
func (s *Scheduler) strategyFailed(of *Strategy, first *pending, err error, now time.Time) {
	instead, name, p := "the built-in one decides", of.Name, of.Placer
	switch {
	case of.Hold:
		instead = "its pods wait"
	case of.Name == "":
		instead, name = "the native one decides", "scheduling"
	}
	s.config.Logger.Warn("scheduling strategy failed", "decider", p.Identity(), "namespace", first.pod.Namespace,
		"name", first.pod.Name, "err", err)
	s.config.Recorder.Event(first.pod, corev1.EventTypeWarning, decision.StrategyFailed,
		fmt.Sprintf("scheduling strategy %s failed and %s instead: %v", p.Identity(), instead, err))
	s.config.Decisions.Add(failureRecord(p, podObject(first), decision.StrategyFailed, err.Error(), now))
	if !of.Health.Failed(now, err) {
		return
	}
	message := fmt.Sprintf("scheduling strategy %s %s; %s from now on", p.Identity(), of.Health.WhyGivenUp(), instead)
	s.config.Logger.Error("scheduling strategy given up", "decider", p.Identity(), "err", err)
	s.config.Recorder.Event(first.pod, corev1.EventTypeWarning, decision.FallenBack, message)
	s.config.Decisions.Add(
		failureRecord(p, podObject(first), decision.FallenBack, message, now),
		failureRecord(p, decision.Object{Kind: "strategy", Name: name}, decision.FallenBack, message, now))
}

func failureRecord(p Placer, o decision.Object, verdict, message string, now time.Time) decision.Record {
	return decision.Record{
		Time: metav1.NewMicroTime(now), Object: o, Decider: p.Identity(), Verdict: verdict, Message: message,
	}
}

// hold leaves the pods waiting that a strategy failed at and nobody else is to
// decide about.
func (s *Scheduler) hold(of *Strategy, groups []group, err error, now time.Time) {
	message := fmt.Sprintf("strategy %s failed, and its onFailure is Hold: %v", of.Name, err)
	for _, g := range groups {
		for _, p := range g.pods {
			s.report(p, message, "")
			s.queue.retry(p, now)
		}
	}
}
