package autoscaling

import (
	"math"

	"github.com/pintle-io/pintle/wasm/abi/scaling"
)

const withinRange, withinRangeText = "DesiredWithinRange", "the desired count is within the acceptable range"

// limit turns what the metrics ask for into the next step, by windows and
// policies, and says so in conditions.
func (d *decision) limit(wanted int32) int32 {
	stable, reason, message := d.stabilize(wanted)
	if stable != wanted {
		d.condition("AbleToScale", true, reason, message)
	} else {
		d.condition("AbleToScale", true, "ReadyForNewScale", "recommended size matches current size")
	}
	d.answer.Recommendation = &wanted
	step, reason, message := d.bound(stable)
	d.condition("ScalingLimited", step != stable, reason, message)
	return step
}

// stabilize holds a recommendation within those of the windows.
func (d *decision) stabilize(wanted int32) (int32, string, string) {
	const lower, higher = "recent recommendations were lower than current one, applying the lowest recent recommendation",
		"recent recommendations were higher than current one, applying the highest recent recommendation"
	r := d.request
	if r.Behavior == nil {
		stable := wanted
		for _, old := range r.Recommendations {
			if old.At >= r.Now-r.DownWindow {
				stable = max(stable, old.Replicas)
			}
		}
		return stable, "ScaleDownStabilized", higher
	}
	low, high := wanted, wanted
	for _, old := range r.Recommendations {
		if old.At > r.Now-r.Behavior.Up.Window {
			low = min(low, old.Replicas)
		}
		if old.At > r.Now-r.Behavior.Down.Window {
			high = max(high, old.Replicas)
		}
	}
	stable := min(max(r.Replicas, low), high)
	if wanted >= r.Replicas {
		return stable, "ScaleUpStabilized", lower
	}
	return stable, "ScaleDownStabilized", higher
}

// bound holds a step within the bounds and the rate allowed.
func (d *decision) bound(wanted int32) (int32, string, string) {
	const faster, slower = "the desired replica count is increasing faster than the maximum scale rate",
		"the desired replica count is decreasing faster than the maximum scale rate"
	const more, fewer = "the desired replica count is more than the maximum replica count",
		"the desired replica count is less than the minimum replica count"
	r := d.request
	if r.Behavior == nil {
		least, most, reason, message := r.Min, r.Max, "TooManyReplicas", more
		if rate := max(2*r.Replicas, 4); most > rate {
			most, reason, message = rate, "ScaleUpLimit", faster
		}
		switch {
		case wanted < least:
			return least, "TooFewReplicas", fewer
		case wanted > most:
			return most, reason, message
		}
		return wanted, withinRange, withinRangeText
	}
	switch {
	case wanted > r.Replicas:
		most, reason, message := r.Max, "TooManyReplicas", more
		if rate := max(upLimit(r), r.Replicas); most > rate {
			most, reason, message = rate, "ScaleUpLimit", faster
		}
		if wanted > most {
			return most, reason, message
		}
	case wanted < r.Replicas:
		least, reason, message := r.Min, "TooFewReplicas", fewer
		if rate := min(downLimit(r), r.Replicas); least < rate {
			least, reason, message = rate, "ScaleDownLimit", slower
		}
		if wanted < least {
			return least, reason, message
		}
	}
	return wanted, withinRange, withinRangeText
}

// atStart is how many replicas there were when a policy's period began.
func atStart(r *scaling.Request, period int64) int32 {
	n := r.Replicas
	for _, up := range r.Ups {
		if up.At > r.Now-period {
			n -= up.Replicas
		}
	}
	for _, down := range r.Downs {
		if down.At > r.Now-period {
			n += down.Replicas
		}
	}
	return n
}

// upLimit and downLimit are how far the policies of a direction let the replicas go.
func upLimit(r *scaling.Request) int32 {
	return limit(r, &r.Behavior.Up, math.MinInt32, math.MaxInt32, func(start int32, p *scaling.Policy) int32 {
		if p.Type == "Percent" {
			return ceil(float64(start) * (1 + float64(p.Value)/100))
		}
		return start + p.Value
	})
}

func downLimit(r *scaling.Request) int32 {
	return limit(r, &r.Behavior.Down, math.MaxInt32, math.MinInt32, func(start int32, p *scaling.Policy) int32 {
		if p.Type == "Percent" {
			return int32(float64(start) * (1 - float64(p.Value)/100))
		}
		return start - p.Value
	})
}

// limit takes of what the policies allow the most change or, with Select Min, the
// least; near and far are the bounds on the side of less and of more change.
func limit(r *scaling.Request, rules *scaling.Rules, near, far int32, allowed func(start int32, p *scaling.Policy) int32) int32 {
	if rules.Select == "Disabled" {
		return r.Replicas
	}
	result, highest := near, near < far
	if rules.Select == "Min" {
		result, highest = far, !highest
	}
	for i := range rules.Policies {
		p := &rules.Policies[i]
		proposed := allowed(atStart(r, p.Period), p)
		if highest {
			result = max(result, proposed)
		} else {
			result = min(result, proposed)
		}
	}
	return result
}
