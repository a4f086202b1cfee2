package autoscaling

import (
	"encoding/json"
	"errors"
	"fmt"

	autoscalingv2 "k8s.io/api/autoscaling/v2"

	"github.com/pintle-io/pintle/wasm/abi/scaling"
)

const (
	mostEvents = 16
	mostText   = 4096
	mostReason = 128
)

// check believes an answer to a request or says what is wrong with it. Whatever a
// strategy answers, the replicas stay within what the user allowed.
func check(r *scaling.Request, raw []byte) (*scaling.Answer, error) {
	var a scaling.Answer
	if err := json.Unmarshal(raw, &a); err != nil {
		return nil, fmt.Errorf("the answer is not what it should be: %w", err)
	}
	if a.Rescale && (a.Replicas < r.Min || a.Replicas > r.Max) {
		return nil, fmt.Errorf("the answer is %d replicas, outside %d to %d", a.Replicas, r.Min, r.Max)
	}
	if a.Recommendation != nil && *a.Recommendation < 0 {
		return nil, fmt.Errorf("the recommendation is %d replicas", *a.Recommendation)
	}
	if len(a.Metrics) > len(r.Metrics) || len(a.Events) > mostEvents || len(a.State) > scaling.MaxState ||
		len(a.Error) > mostText || len(a.Reason) > mostText {
		return nil, errors.New("the answer is longer than it may be")
	}
	for _, c := range a.Conditions {
		switch autoscalingv2.HorizontalPodAutoscalerConditionType(c.Type) {
		case autoscalingv2.AbleToScale, autoscalingv2.ScalingActive, autoscalingv2.ScalingLimited:
		default:
			return nil, fmt.Errorf("the answer has a condition %q, which is not a strategy's", c.Type)
		}
		if c.Reason == "" || len(c.Reason) > mostReason || len(c.Message) > mostText {
			return nil, fmt.Errorf("condition %s has no reason, or too long a one", c.Type)
		}
	}
	for _, e := range a.Events {
		if e.Reason == "" || len(e.Reason) > mostReason || len(e.Message) > mostText {
			return nil, errors.New("an event has no reason, or too long a one")
		}
	}
	a.Rescale = a.Rescale && a.Replicas != r.Replicas
	return &a, nil
}
