package deployment

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/pintle-io/pintle/engine/decision"
	"github.com/pintle-io/pintle/engine/strategy"
	"github.com/pintle-io/pintle/wasm/abi/rollout"
)

// Metrics answers the queries of rollout plans.
type Metrics interface {
	// External returns the values of an external metric, in thousandths.
	External(name, namespace string, metric labels.Selector) ([]int64, error)
}

// Strategies is who decides about rollouts. Metrics may be nil: then every query
// fails.
type Strategies struct {
	Router    *strategy.Router
	Decisions *decision.Log
	Metrics   Metrics
}

// query is the part of a plan's analysis that is read here.
type query struct {
	Analysis []struct {
		Name string `json:"name"`
		// Metric is that of the external metrics API; Selector picks its values,
		// which are added up.
		Metric   string               `json:"metric"`
		Selector metav1.LabelSelector `json:"selector"`
	} `json:"analysis"`
}

// results runs the queries of a Deployment's plan.
func (s *Strategies) results(d *appsv1.Deployment) []rollout.Result {
	var q query
	if !stagedKind(KindOf(d)) || json.Unmarshal([]byte(d.Annotations[RolloutPlanAnnotation]), &q) != nil {
		return nil
	}
	var out []rollout.Result
	for _, a := range q.Analysis {
		result := rollout.Result{Name: a.Name}
		values, err := s.external(d.Namespace, a.Metric, &a.Selector)
		if err != nil {
			result.Error = err.Error()
		}
		for _, v := range values {
			result.Value += v
		}
		out = append(out, result)
	}
	return out
}

func (s *Strategies) external(namespace, metric string, of *metav1.LabelSelector) ([]int64, error) {
	if s.Metrics == nil {
		return nil, fmt.Errorf("there is no source of external metrics")
	}
	selector, err := metav1.LabelSelectorAsSelector(of)
	if err != nil {
		return nil, err
	}
	return s.Metrics.External(metric, namespace, selector)
}

// decide asks the strategy in charge and records what it wants done.
func (s *Strategies) decide(ctx context.Context, d *appsv1.Deployment, now time.Time) func(*rollout.Request) (rollout.Answer, error) {
	about := decision.Object{Kind: "deploy", Namespace: d.Namespace, Name: d.Name, UID: string(d.UID)}
	return func(r *rollout.Request) (rollout.Answer, error) {
		var answer rollout.Answer
		decided, err := s.Router.Ask(ctx, strategy.Question{
			Type: strategy.Rollout, Object: about, Revision: d.ResourceVersion, Labels: d.Labels, Annotations: d.Annotations, Op: rollout.OpStep,
			Input: func(config json.RawMessage) ([]byte, error) {
				asked := *r
				asked.Config = config
				return json.Marshal(&asked)
			},
			Check: func(raw []byte) error {
				answer = rollout.Answer{}
				if err := json.Unmarshal(raw, &answer); err != nil {
					return fmt.Errorf("the answer is not what it should be: %w", err)
				}
				return CheckAnswer(r, &answer)
			},
		})
		if err != nil {
			return rollout.Answer{}, err
		}
		if what := changes(r, &answer); what != "" || answer.Phase != StateOf(d).Phase {
			s.Decisions.Add(decision.Record{
				Time: metav1.NewMicroTime(now), Object: about, Revision: d.ResourceVersion, Decider: decided.Decider, Strategy: decided.Strategy,
				InputHash: decided.InputHash, Fuel: decided.Fuel, Duration: decided.Duration,
				Verdict: decision.RolledOut, Target: what, Message: answer.Message,
			})
		}
		return answer, nil
	}
}

// changes lists what an answer changes, for people.
func changes(r *rollout.Request, a *rollout.Answer) string {
	var out []string
	if a.Create {
		out = append(out, fmt.Sprintf("a new set of %d", a.Size))
	}
	before := func(name string) int32 {
		if r.New != nil && r.New.Name == name {
			return r.New.Size
		}
		for i := range r.Old {
			if r.Old[i].Name == name {
				return r.Old[i].Size
			}
		}
		return 0
	}
	for _, s := range a.Sizes {
		if from := before(s.Name); from != s.Size {
			out = append(out, fmt.Sprintf("%s from %d to %d", s.Name, from, s.Size))
		}
	}
	return strings.Join(out, ", ")
}
