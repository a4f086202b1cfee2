package autoscaling

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	autoscalinglisters "k8s.io/client-go/listers/autoscaling/v2"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/scale"

	"github.com/pintle-io/pintle/engine/decision"
	"github.com/pintle-io/pintle/engine/reconcile"
	"github.com/pintle-io/pintle/engine/strategy"
	"github.com/pintle-io/pintle/wasm/abi/scaling"
)

// Name of the controller, and of its service account.
const Name = "horizontal-pod-autoscaler"

// syncPeriod is how often an autoscaler is looked at.
const syncPeriod = 15 * time.Second

// Config of the controller; all but Period are required.
type Config struct {
	Scales     scale.ScalesGetter
	Mapper     meta.RESTMapper
	Source     Source
	Strategies *strategy.Router
	Decisions  *decision.Log
	// Period is how often an autoscaler is looked at; zero selects 15 s.
	Period time.Duration
}

type observer struct {
	Config
	autoscalers autoscalinglisters.HorizontalPodAutoscalerLister
	pods        corelisters.PodLister
	past        *histories
}

// New builds the controller.
func New(env reconcile.Env, cfg Config) (*reconcile.Controller, error) {
	if cfg.Scales == nil || cfg.Mapper == nil || cfg.Source == nil || cfg.Strategies == nil || cfg.Decisions == nil {
		return nil, errors.New("autoscaling: Scales, Mapper, Source, Strategies and Decisions are required")
	}
	if cfg.Period == 0 {
		cfg.Period = syncPeriod
	}
	autoscalers := env.Informers().Autoscaling().V2().HorizontalPodAutoscalers()
	pods := env.Informers().Core().V1().Pods()
	o := &observer{Config: cfg, autoscalers: autoscalers.Lister(), pods: pods.Lister(), past: newHistories()}
	self := reconcile.Self[*autoscalingv2.HorizontalPodAutoscaler](autoscalers.Informer())
	self.Skip = func(old, obj any) bool {
		was, is := old.(*autoscalingv2.HorizontalPodAutoscaler), obj.(*autoscalingv2.HorizontalPodAutoscaler)
		return was.Generation == is.Generation && was.Annotations[strategy.Annotation] == is.Annotations[strategy.Annotation]
	}
	_ = pods.Informer() // its lister is read; it must run
	return env.Controller(reconcile.Config{Name: Name, Reconcile: o.reconcile, Watches: []reconcile.Watch{self}})
}

func (o *observer) reconcile(ctx context.Context, key reconcile.Key, now time.Time) (reconcile.Result, error) {
	hpa, err := o.autoscalers.HorizontalPodAutoscalers(key.Namespace).Get(key.Name)
	if apierrors.IsNotFound(err) {
		o.past.forget(key)
		return reconcile.Result{}, nil
	}
	if err != nil {
		return reconcile.Result{}, err
	}
	observed := Observed{Autoscaler: hpa, Now: now}
	observed.Target, observed.Scale, observed.TargetErr = o.target(ctx, hpa)
	if observed.TargetErr == nil {
		if observed.Answer, err = o.ask(ctx, hpa, observed.Scale, now); err != nil {
			return reconcile.Result{}, err
		}
		o.past.put(key, observed.Answer, observed.Scale.Spec.Replicas, now)
	}
	result := Plan(observed)
	result.RequeueAfter = o.Period
	return result, nil
}

// target finds the scale of what the autoscaler refers to.
func (o *observer) target(ctx context.Context, hpa *autoscalingv2.HorizontalPodAutoscaler) (schema.GroupVersionResource, *autoscalingv1.Scale, error) {
	ref := hpa.Spec.ScaleTargetRef
	version, err := schema.ParseGroupVersion(ref.APIVersion)
	if err != nil {
		return schema.GroupVersionResource{}, nil, err
	}
	kind := schema.GroupKind{Group: version.Group, Kind: ref.Kind}
	mappings, err := o.Mapper.RESTMappings(kind)
	if meta.IsNoMatchError(err) {
		meta.MaybeResetRESTMapper(o.Mapper)
		mappings, err = o.Mapper.RESTMappings(kind)
	}
	if err != nil {
		return schema.GroupVersionResource{}, nil, err
	}
	first := errors.New("unrecognized resource")
	for i, m := range mappings {
		found, err := o.Scales.Scales(hpa.Namespace).Get(ctx, m.Resource.GroupResource(), ref.Name, metav1.GetOptions{})
		if err == nil {
			return m.Resource, found, nil
		}
		if i == 0 {
			first = err
		}
	}
	return schema.GroupVersionResource{}, nil, first
}

// ask observes and lets the strategy decide.
func (o *observer) ask(ctx context.Context, hpa *autoscalingv2.HorizontalPodAutoscaler, scale *autoscalingv1.Scale, now time.Time) (*scaling.Answer, error) {
	past := o.past.get(hpa, scale.Spec.Replicas, now)
	request, err := o.request(ctx, hpa, scale, &past, now)
	if err != nil {
		return nil, err
	}
	about := decision.Object{Kind: "hpa", Namespace: hpa.Namespace, Name: hpa.Name, UID: string(hpa.UID)}
	var answer *scaling.Answer
	decided, err := o.Strategies.Ask(ctx, strategy.Question{
		Type: strategy.Autoscaling, Object: about, Revision: hpa.ResourceVersion,
		Labels: hpa.Labels, Annotations: hpa.Annotations, Op: scaling.OpDecide,
		Input: func(config json.RawMessage) ([]byte, error) {
			asked := *request
			asked.Config = config
			return json.Marshal(&asked)
		},
		Check: func(raw []byte) error {
			a, err := check(request, raw)
			answer = a
			return err
		},
	})
	if err != nil {
		return nil, fmt.Errorf("decide about autoscaler %s/%s: %w", hpa.Namespace, hpa.Name, err)
	}
	o.Decisions.Add(record(about, hpa, request, answer, &decided, now))
	return answer, nil
}

// record tells why the autoscaler scaled or did not.
func record(about decision.Object, hpa *autoscalingv2.HorizontalPodAutoscaler, r *scaling.Request, a *scaling.Answer, d *strategy.Answer, now time.Time) decision.Record {
	out := decision.Record{
		Time: metav1.NewMicroTime(now), Object: about, Revision: hpa.ResourceVersion, Decider: d.Decider, Strategy: d.Strategy,
		InputHash: d.InputHash, Fuel: d.Fuel, Duration: d.Duration, Verdict: decision.Kept, Target: replicasText(r.Replicas), Message: a.Reason,
	}
	switch {
	case a.Rescale:
		out.Verdict, out.Target = decision.Rescaled, replicasText(a.Replicas)
	case a.Error != "" && a.Recommendation == nil:
		out.Verdict, out.Message = decision.NotScaling, a.Error
	default:
		for _, c := range a.Conditions {
			if c.Type == string(autoscalingv2.AbleToScale) {
				out.Message = c.Message
			}
		}
	}
	for _, m := range a.Metrics {
		if m.Error != "" {
			out.Reasons = append(out.Reasons, decision.Reason{Message: "replicas: " + m.Error})
			continue
		}
		out.Reasons = append(out.Reasons, decision.Reason{Message: "replicas by " + m.Label + seen(&m), Count: int(m.Replicas)})
	}
	for _, c := range a.Conditions {
		if c.Type == string(autoscalingv2.ScalingLimited) && c.Status {
			out.Reasons = append(out.Reasons, decision.Reason{Message: "replicas at this step: " + c.Message, Count: int(a.Replicas)})
		}
	}
	return out
}

func seen(m *scaling.Outcome) string {
	switch {
	case m.Utilization != nil:
		return fmt.Sprintf(": %d%%", *m.Utilization)
	case m.AverageValue != nil:
		return fmt.Sprintf(": %g on average", float64(*m.AverageValue)/1000)
	case m.Value != nil:
		return fmt.Sprintf(": %g", float64(*m.Value)/1000)
	}
	return ""
}

func replicasText(n int32) string {
	if n == 1 {
		return "1 replica"
	}
	return fmt.Sprintf("%d replicas", n)
}
