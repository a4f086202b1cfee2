package autoscaling

import (
	"fmt"

	"github.com/pintle-io/pintle/wasm/abi/scaling"
)

// Adjust may change what the metrics ask for before windows and policies limit it.
// need is the winning metric's wish before rounding and tolerance.
type Adjust func(r *scaling.Request, wanted int32, need float64) int32

// Decide answers one request as the documentation of HorizontalPodAutoscaler says.
func Decide(r *scaling.Request) (scaling.Answer, error) { return DecideWith(r, nil) }

// DecideWith is Decide with a say for adjust, if it is not nil.
func DecideWith(r *scaling.Request, adjust Adjust) (scaling.Answer, error) {
	d := &decision{request: r, adjust: adjust}
	d.answer.Replicas = r.Replicas
	d.run()
	return d.answer, nil
}

// decision carries the working state of one Decide.
type decision struct {
	request *scaling.Request
	adjust  Adjust
	answer  scaling.Answer
}

func (d *decision) condition(kind string, status bool, reason, message string) {
	c := scaling.Condition{Type: kind, Status: status, Reason: reason, Message: message}
	for i := range d.answer.Conditions {
		if d.answer.Conditions[i].Type == kind {
			d.answer.Conditions[i] = c
			return
		}
	}
	d.answer.Conditions = append(d.answer.Conditions, c)
}

func (d *decision) event(reason, message string) {
	d.answer.Events = append(d.answer.Events, scaling.Event{Reason: reason, Message: message})
}

func (d *decision) run() {
	r := d.request
	d.condition("AbleToScale", true, "SucceededGetScale", "the HPA controller was able to get the target's current scale")
	switch {
	case r.Replicas == 0 && !(r.ScaledToZero && (r.Min != 0 || unowned(r))):
		d.condition("ScalingActive", false, "ScalingDisabled", "scaling is disabled since the replica count of the target is zero")
	case r.Replicas > r.Max:
		d.rescale(r.Max, "Current number of replicas above Spec.MaxReplicas")
	case r.Replicas != 0 && r.Replicas < r.Min:
		d.rescale(r.Min, "Current number of replicas below Spec.MinReplicas")
	default:
		d.byMetrics()
	}
}

func (d *decision) rescale(to int32, reason string) {
	d.answer.Replicas, d.answer.Rescale, d.answer.Reason = to, true, reason
}

// unowned reports a metric that can be had without pods.
func unowned(r *scaling.Request) bool {
	for i := range r.Metrics {
		if t := r.Metrics[i].Type; t == scaling.Object || t == scaling.External {
			return true
		}
	}
	return false
}

func (d *decision) byMetrics() {
	r := d.request
	wanted, label, ok := d.highest()
	if !ok {
		return
	}
	reason := ""
	switch {
	case wanted > r.Replicas:
		reason = label + " above target"
	case wanted < r.Replicas:
		reason = "All metrics below target"
	}
	step := d.limit(wanted)
	if r.Replicas == 0 && r.Min != 0 && step < r.Min {
		step = r.Min
		if reason == "" {
			reason = "Current number of replicas below Spec.MinReplicas"
		}
	}
	if step != r.Replicas {
		d.rescale(step, reason)
	}
}

// highest asks all metrics. It is not ok if none can be used, or if those that can
// would scale down while another is unknown.
func (d *decision) highest() (wanted int32, label string, ok bool) {
	r := d.request
	if p := r.Problem; p != nil {
		d.event(p.Event, p.Error)
		d.condition("ScalingActive", false, p.Reason, p.Message)
		d.fail(p.Error)
		return 0, "", false
	}
	var need float64
	var first *failure
	invalid := 0
	for i := range r.Metrics {
		p, failed := propose(r, &r.Metrics[i])
		p.outcome.Replicas, p.outcome.Label = p.replicas, p.label
		if failed != nil {
			p.outcome = scaling.Outcome{Error: failed.inner.Error()}
			d.event(failed.reason, failed.inner.Error())
			invalid++
			if first == nil {
				first = failed
			}
		} else if wanted == 0 || p.replicas > wanted {
			wanted, label, need = p.replicas, p.label, p.need
		}
		d.answer.Metrics = append(d.answer.Metrics, p.outcome)
	}
	if first != nil {
		d.answer.Error = fmt.Sprintf("invalid metrics (%d invalid out of %d), first error is: %v", invalid, len(r.Metrics), first.outer)
	}
	if invalid >= len(r.Metrics) || invalid > 0 && wanted < r.Replicas {
		message := ""
		if first != nil {
			message = "the HPA was unable to compute the replica count: " + first.inner.Error()
			d.condition("ScalingActive", false, first.reason, message)
		}
		d.fail(d.answer.Error)
		return 0, "", false
	}
	d.condition("ScalingActive", true, "ValidMetricFound", "the HPA was able to successfully calculate a replica count from "+label)
	if d.adjust != nil {
		wanted = d.adjust(r, wanted, need)
	}
	return wanted, label, true
}

func (d *decision) fail(message string) {
	d.answer.Error = message
	d.event("FailedComputeMetricsReplicas", message)
}
