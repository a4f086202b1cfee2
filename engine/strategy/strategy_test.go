package strategy_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/pintle-io/pintle/engine/decision"
	"github.com/pintle-io/pintle/engine/strategy"
)

// caller answers with its name, or fails.
type caller struct {
	name string
	mu   sync.Mutex
	err  error
}

func (c *caller) Identity() string { return c.name }

func (c *caller) Call(context.Context, int32, []byte) ([]byte, uint64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return []byte(c.name), 7, c.err
}

func (c *caller) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.err = err
}

// newRouter has a built-in strategy, its native build, and the strategies a and b.
func newRouter() (r *strategy.Router, log *decision.Log, named map[string]*caller) {
	log = decision.New(decision.Config{})
	r = strategy.New(strategy.Config{Decisions: log})
	named = map[string]*caller{}
	for _, name := range []string{"built-in", "native", "a", "b"} {
		named[name] = &caller{name: name}
	}
	r.SetBuiltin(strategy.Rollout, named["built-in"], named["native"])
	r.Set(strategy.Member{Type: strategy.Rollout, Name: "a", Caller: named["a"], Config: json.RawMessage(`"config of a"`)})
	r.Set(strategy.Member{Type: strategy.Rollout, Name: "b", Caller: named["b"]})
	return r, log, named
}

// about asks about a Deployment.
func about(uid string) strategy.Question {
	return strategy.Question{
		Type: strategy.Rollout, Object: decision.Object{Kind: "deploy", Namespace: "shop", Name: "web", UID: uid},
		Labels: map[string]string{"tier": "front"},
		Input:  func(config json.RawMessage) ([]byte, error) { return config, nil },
		Check:  func([]byte) error { return nil },
	}
}

func ask(t *testing.T, r *strategy.Router, q strategy.Question) string {
	t.Helper()
	answer, err := r.Ask(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	if string(answer.JSON) != answer.Decider {
		t.Fatalf("%s is said to have decided, and %s did", answer.Decider, answer.JSON)
	}
	return answer.Decider
}

func TestWhoIsAsked(t *testing.T) {
	bound := func(change func(*strategy.Binding)) []strategy.Binding {
		b := strategy.Binding{Name: "b", Type: strategy.Rollout, Strategy: "b", Percent: 100}
		change(&b)
		return []strategy.Binding{b}
	}
	for name, tc := range map[string]struct {
		annotation string
		bindings   []strategy.Binding
		want       string
	}{
		"nothing chosen":          {want: "built-in"},
		"annotation":              {annotation: "a", want: "a"},
		"annotation of none":      {annotation: "absent", want: "built-in"},
		"binding":                 {bindings: bound(func(*strategy.Binding) {}), want: "b"},
		"annotation over binding": {annotation: "a", bindings: bound(func(*strategy.Binding) {}), want: "a"},
		"binding, annotation of none": {
			annotation: "absent", bindings: bound(func(*strategy.Binding) {}), want: "b"},
		"its namespace":     {bindings: bound(func(b *strategy.Binding) { b.Namespaces = []string{"x", "shop"} }), want: "b"},
		"another namespace": {bindings: bound(func(b *strategy.Binding) { b.Namespaces = []string{"x"} }), want: "built-in"},
		"its labels": {bindings: bound(func(b *strategy.Binding) {
			b.Selector = labels.SelectorFromSet(labels.Set{"tier": "front"})
		}), want: "b"},
		"other labels": {bindings: bound(func(b *strategy.Binding) {
			b.Selector = labels.SelectorFromSet(labels.Set{"tier": "back"})
		}), want: "built-in"},
		"another type":                    {bindings: bound(func(b *strategy.Binding) { b.Type = strategy.Autoscaling }), want: "built-in"},
		"binding of none":                 {bindings: bound(func(b *strategy.Binding) { b.Strategy = "absent" }), want: "built-in"},
		"of no percent":                   {bindings: bound(func(b *strategy.Binding) { b.Percent = 0 }), want: "built-in"},
		"on trial":                        {bindings: bound(func(b *strategy.Binding) { b.Shadow = true }), want: "built-in"},
		"the first counts":                {bindings: append(bound(func(b *strategy.Binding) { b.Strategy = "a" }), bound(func(*strategy.Binding) {})...), want: "a"},
		"the built-in one, before others": {bindings: append(bound(func(b *strategy.Binding) { b.Strategy = "" }), bound(func(*strategy.Binding) {})...), want: "built-in"},
		"of a scheduler":                  {bindings: bound(func(b *strategy.Binding) { b.Schedulers = []string{"mine"} }), want: "built-in"},
	} {
		t.Run(name, func(t *testing.T) {
			r, _, _ := newRouter()
			r.Bind(tc.bindings)
			q := about("u")
			q.Annotations = map[string]string{strategy.Annotation: tc.annotation}
			if got := ask(t, r, q); got != tc.want {
				t.Errorf("%s decided, want %s", got, tc.want)
			}
		})
	}
}

// TestShareOfObjects: about as many as asked, and who is in stays in.
func TestShareOfObjects(t *testing.T) {
	r, _, _ := newRouter()
	var before map[string]bool
	for _, percent := range []int{10, 30, 80, 100} {
		r.Bind([]strategy.Binding{{Type: strategy.Rollout, Strategy: "b", Percent: percent}})
		in := map[string]bool{}
		for i := range 1000 {
			uid := fmt.Sprintf("6f1c9a52-0000-4000-8000-%012d", i)
			if ask(t, r, about(uid)) == "b" {
				in[uid] = true
			}
		}
		if got := len(in); got < percent*10-60 || got > percent*10+60 {
			t.Errorf("%d of 1000 objects at %d %%", got, percent)
		}
		for uid := range before {
			if !in[uid] {
				t.Errorf("%s is out again at %d %%", uid, percent)
			}
		}
		before = in
	}
}

func TestFailingStrategyIsReplacedAndGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, log, named := newRouter()
		named["a"].fail(errors.New("it broke"))
		given := 0
		health := strategy.NewHealth(false, func() { given++ })
		r.Set(strategy.Member{Type: strategy.Rollout, Name: "a", Caller: named["a"], Health: health})
		q := about("u")
		q.Annotations = map[string]string{strategy.Annotation: "a"}
		failures := func() int64 { return health.Status().Failures }
		// Failures far apart are forgiven.
		for range 4 {
			answer, err := r.Ask(t.Context(), q)
			if err != nil || answer.Decider != "built-in" || answer.Strategy != "a" || len(answer.Failures) != 1 {
				t.Fatalf("%+v, %v", answer, err)
			}
			time.Sleep(40 * time.Second)
		}
		if s := health.Status(); !s.GivenUp.IsZero() || failures() != 4 || given != 0 {
			t.Fatalf("%+v", s)
		}
		// The last of them still counts.
		for range 2 {
			ask(t, r, q)
		}
		if s := health.Status(); s.GivenUp.IsZero() || s.LastFailure != "it broke" || given != 1 {
			t.Fatalf("not given up: %+v, told %d times", s, given)
		}
		ask(t, r, q)
		if failures() != 6 {
			t.Error("a strategy that was given up is asked")
		}
		var verdicts []string
		for _, record := range log.For(decision.Object{Kind: "strategy", Name: "a"}, 10) {
			verdicts = append(verdicts, record.Verdict)
		}
		if diff := cmp.Diff([]string{decision.FallenBack}, verdicts); diff != "" {
			t.Error(diff)
		}
		// Set again, it is asked again.
		good := &caller{name: "a2"}
		r.Set(strategy.Member{Type: strategy.Rollout, Name: "a", Caller: good})
		if got := ask(t, r, q); got != "a2" {
			t.Errorf("%s decided", got)
		}
	})
}

func TestAnswerThatIsNotBelieved(t *testing.T) {
	r, _, _ := newRouter()
	q := about("u")
	q.Annotations = map[string]string{strategy.Annotation: "a"}
	q.Check = func(answer []byte) error {
		if string(answer) != "native" {
			return errors.New("more replicas than there are")
		}
		return nil
	}
	answer, err := r.Ask(t.Context(), q)
	if err != nil || answer.Decider != "native" || len(answer.Failures) != 2 {
		t.Fatalf("%+v, %v", answer, err)
	}
	q.Check = func([]byte) error { return errors.New("nothing will do") }
	if _, err := r.Ask(t.Context(), q); err == nil || !strings.Contains(err.Error(), "nothing will do") {
		t.Errorf("error %v", err)
	}
}

func TestHoldingStrategyIsNotReplaced(t *testing.T) {
	r, _, named := newRouter()
	r.Set(strategy.Member{Type: strategy.Rollout, Name: "a", Caller: named["a"], Hold: true})
	named["a"].fail(errors.New("it broke"))
	q := about("u")
	q.Annotations = map[string]string{strategy.Annotation: "a"}
	// However often it fails.
	for range 5 {
		answer, err := r.Ask(t.Context(), q)
		if !errors.Is(err, strategy.ErrHeld) || !answer.Held || answer.JSON != nil {
			t.Errorf("%+v, %v", answer, err)
		}
	}
}

func TestTrialIsRecordedAndDoesNotDecide(t *testing.T) {
	r, log, named := newRouter()
	r.Bind([]strategy.Binding{{Type: strategy.Rollout, Strategy: "b", Percent: 100, Shadow: true}})
	newest := func() decision.Record { return log.For(about("u").Object, 1)[0] }
	if got := ask(t, r, about("u")); got != "built-in" {
		t.Fatalf("%s decided", got)
	}
	if got := newest(); got.Verdict != decision.ShadowDiffered || got.Decider != "b" || !strings.Contains(got.Message, "b") {
		t.Errorf("%+v", got)
	}
	r.SetBuiltin(strategy.Rollout, named["b"], nil)
	ask(t, r, about("u"))
	if got := newest(); got.Verdict != decision.ShadowAgreed {
		t.Errorf("%+v", got)
	}
	// A trial that fails is recorded and changes nothing.
	r.SetBuiltin(strategy.Rollout, named["a"], nil)
	named["b"].fail(errors.New("it broke"))
	if got := ask(t, r, about("u")); got != "a" {
		t.Errorf("%s decided", got)
	}
	if got := newest(); got.Verdict != decision.StrategyFailed || got.Message != "it broke" {
		t.Errorf("%+v", got)
	}
}

// TestSwapLosesNoQuestion replaces a strategy while it is asked.
func TestSwapLosesNoQuestion(t *testing.T) {
	r, _, _ := newRouter()
	q := about("u")
	q.Annotations = map[string]string{strategy.Annotation: "a"}
	stop := make(chan struct{})
	var wait sync.WaitGroup
	for range 4 {
		wait.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				answer, err := r.Ask(t.Context(), q)
				if err != nil || len(answer.Failures) > 0 || !strings.HasPrefix(answer.Decider, "a") {
					t.Errorf("%+v, %v", answer, err)
					return
				}
			}
		})
	}
	for i := range 200 {
		r.Set(strategy.Member{Type: strategy.Rollout, Name: "a", Caller: &caller{name: fmt.Sprintf("a%d", i)}})
	}
	if got := ask(t, r, q); got != "a199" {
		t.Errorf("%s decided after the last swap", got)
	}
	close(stop)
	wait.Wait()
}
