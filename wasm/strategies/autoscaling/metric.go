package autoscaling

import (
	"errors"
	"fmt"
	"math"

	"github.com/pintle-io/pintle/wasm/abi/scaling"
)

// proposal is what one metric asks for. need is the same before rounding and
// tolerance.
type proposal struct {
	replicas int32
	need     float64
	outcome  scaling.Outcome
	label    string
}

// failure is why a metric cannot be used: reason of the condition, what its
// message and event say, and what is reported of the metric.
type failure struct {
	reason       string
	inner, outer error
}

// propose asks one metric.
func propose(r *scaling.Request, m *scaling.Metric) (proposal, *failure) {
	switch m.Type {
	case scaling.Resource:
		p, err := resource(r, m)
		if err != nil {
			return p, &failure{"FailedGetResourceMetric", err, fmt.Errorf("failed to get %s resource metric value: %w", m.Name, err)}
		}
		return p, nil
	case scaling.ContainerResource:
		p, err := resource(r, m)
		if err != nil {
			return p, &failure{"FailedGetContainerResourceMetric", err, fmt.Errorf("failed to get %s container metric value: %w", m.Container, err)}
		}
		return p, nil
	case scaling.Pods:
		p, err := perPod(r, m)
		if err != nil {
			return p, &failure{"FailedGetPodsMetric", err, fmt.Errorf("failed to get pods metric value: %w", err)}
		}
		return p, nil
	case scaling.Object:
		return object(r, m)
	case scaling.External:
		return external(r, m)
	}
	err := fmt.Errorf("unknown metric source type %q", m.Type)
	return proposal{}, &failure{"InvalidMetricSourceType", err, err}
}

func resource(r *scaling.Request, m *scaling.Metric) (proposal, error) {
	switch {
	case m.AverageValue != nil:
		p, err := plain(r, m, *m.AverageValue, m.Name)
		if err != nil {
			return p, fmt.Errorf("failed to get %s usage: %w", m.Name, err)
		}
		p.label = m.Name + " resource"
		return p, nil
	case m.Utilization != nil:
		p, err := utilization(r, m)
		if err != nil {
			return p, fmt.Errorf("failed to get %s utilization: %w", m.Name, err)
		}
		p.label = m.Name + " resource utilization (percentage of request)"
		if m.Type == scaling.ContainerResource {
			p.label = m.Name + " container resource utilization (percentage of request)"
		}
		return p, nil
	}
	return proposal{}, errors.New("invalid resource metric source: neither an average utilization target nor an average value (usage) target was set")
}

func perPod(r *scaling.Request, m *scaling.Metric) (proposal, error) {
	if m.AverageValue == nil {
		return proposal{}, errors.New("invalid pods metric source: no average value target was set")
	}
	p, err := plain(r, m, *m.AverageValue, "")
	p.label = "pods metric " + m.Name
	return p, err
}

func object(r *scaling.Request, m *scaling.Metric) (proposal, *failure) {
	const reason = "FailedGetObjectMetric"
	wrap := func(err error) *failure {
		return &failure{reason, err, fmt.Errorf("failed to get object metric value: %w", err)}
	}
	switch {
	case m.Value != nil:
		if m.Error != "" {
			return proposal{}, wrap(errors.New(m.Error))
		}
		p, err := total(r, m.Observed, *m.Value)
		if err != nil {
			return p, wrap(err)
		}
		p.outcome.Value, p.label = &m.Observed, m.Kind+" metric "+m.Name
		return p, nil
	case m.AverageValue != nil:
		if m.Error != "" {
			err := errors.New(m.Error)
			return proposal{}, &failure{reason, err, fmt.Errorf("failed to get object metric value: failed to get %s object metric: %w", m.Name, err)}
		}
		p := average(r, m.Observed, *m.AverageValue)
		p.label = "external metric " + m.Name + "(" + m.Selector + ")"
		return p, nil
	}
	return proposal{}, wrap(errors.New("invalid object metric source: neither a value target nor an average value target was set"))
}

func external(r *scaling.Request, m *scaling.Metric) (proposal, *failure) {
	const reason = "FailedGetExternalMetric"
	fail := func(err error, what string) *failure {
		return &failure{reason, err, fmt.Errorf("failed to get %s external metric value: %s: %w", m.Name, what, err)}
	}
	label := "external metric " + m.Name + "(" + m.Selector + ")"
	switch {
	case m.AverageValue != nil:
		if m.Error != "" {
			return proposal{}, fail(errors.New(m.Error), "failed to get "+m.Name+" external metric")
		}
		p := average(r, m.Observed, *m.AverageValue)
		p.label = label
		return p, nil
	case m.Value != nil:
		if m.Error != "" {
			return proposal{}, fail(errors.New(m.Error), "failed to get external metric "+m.Name)
		}
		p, err := total(r, m.Observed, *m.Value)
		if err != nil {
			return p, fail(err, "failed to get external metric "+m.Name)
		}
		p.outcome.Value, p.label = &m.Observed, label
		return p, nil
	}
	err := errors.New("invalid external metric source: neither a value target nor an average value target was set")
	return proposal{}, &failure{reason, err, fmt.Errorf("failed to get %s external metric value: %w", m.Name, err)}
}

// total compares an amount that no pod owns with its target, and scales what is
// ready by the ratio; from zero it scales by the ratio itself.
func total(r *scaling.Request, observed, target int64) (proposal, error) {
	ratio := float64(observed) / float64(target)
	if r.Replicas == 0 {
		return proposal{replicas: ceil(ratio), need: ratio}, nil
	}
	if within(r, ratio) {
		return proposal{replicas: r.Replicas, need: ratio * float64(r.Replicas)}, nil
	}
	if len(r.Pods) == 0 {
		return proposal{}, errors.New("unable to calculate ready pods: no pods returned by selector while calculating replica count")
	}
	ready := 0
	for i := range r.Pods {
		if r.Pods[i].Phase == "Running" && r.Pods[i].Ready == "True" {
			ready++
		}
	}
	need := ratio * float64(ready)
	return proposal{replicas: ceil(need), need: need}, nil
}

// average divides an amount that no pod owns by what each pod shall have of it.
func average(r *scaling.Request, observed, target int64) proposal {
	need := float64(observed) / float64(target)
	p := proposal{replicas: r.Running, need: need}
	if ratio := float64(observed) / (float64(target) * float64(r.Running)); !within(r, ratio) {
		p.replicas = ceil(need)
	}
	each := observed
	if observed < math.MaxInt64 && r.Running != 0 {
		each = int64(math.Ceil(float64(observed) / float64(r.Running)))
	}
	p.outcome.AverageValue = &each
	return p
}

// within reports that a ratio of observed to wanted is near enough to 1.
func within(r *scaling.Request, ratio float64) bool {
	return 1-r.DownTolerance <= ratio && ratio <= 1+r.UpTolerance
}

func ceil(f float64) int32 {
	if f >= math.MaxInt32 {
		return math.MaxInt32
	}
	return int32(math.Ceil(f))
}
