package autoscaling

import (
	"errors"

	"github.com/pintle-io/pintle/wasm/abi/scaling"
)

// classes of a metric's pods. pods are those whose amount counts, by index, and
// values their amounts; others are amounts of pods that are not known.
type classes struct {
	ready            int
	unready, missing []int
	pods             []int
	values           []int64
	others           []int64
}

func (c *classes) count(pod int, value int64) {
	c.pods, c.values = append(c.pods, pod), append(c.values, value)
}

const cpu = "cpu"

// classify sorts the pods: leaving and failed ones are ignored, pending ones are
// unready, so are those whose CPU may still be that of their start.
func classify(r *scaling.Request, m *scaling.Metric, resource string) (*classes, error) {
	if m.Error != "" {
		return nil, errors.New(m.Error)
	}
	if len(r.Pods) == 0 {
		return nil, errors.New("no pods returned by selector while calculating replica count")
	}
	c := &classes{pods: make([]int, 0, len(r.Pods)), values: make([]int64, 0, len(r.Pods))}
	samples := make([]*scaling.Sample, len(r.Pods))
	for i := range m.Samples {
		s := &m.Samples[i]
		if s.Pod < 0 || s.Pod >= len(samples) {
			c.others = append(c.others, s.Value)
			continue
		}
		samples[s.Pod] = s
	}
	for i := range r.Pods {
		pod := &r.Pods[i]
		switch s := samples[i]; {
		case pod.Deleting || pod.Phase == "Failed":
		case pod.Phase == "Pending":
			c.unready = append(c.unready, i)
		case s == nil:
			c.missing = append(c.missing, i)
		case resource == cpu && starting(r, pod, s):
			c.unready = append(c.unready, i)
		default:
			c.ready++
			c.count(i, s.Value)
		}
	}
	if len(c.values)+len(c.others) == 0 {
		return nil, errors.New("did not receive metrics for targeted pods (pods might be unready)")
	}
	return c, nil
}

// starting reports that a sample of CPU may say more of the pod's start than of
// its work.
func starting(r *scaling.Request, pod *scaling.Pod, s *scaling.Sample) bool {
	if pod.Ready == "" || pod.Start == 0 {
		return true
	}
	if pod.Start+r.Initialization > r.Now {
		return pod.Ready == "False" || s.At < pod.Since+s.Window
	}
	return pod.Ready == "False" && pod.Start+r.Readiness > pod.Since
}

// fill gives a value to the pods that have none: by what is asked for if the load
// is low, nothing if it is high.
func (c *classes) fill(ratio float64, low func(pod int) int64) {
	for _, i := range c.missing {
		switch {
		case ratio < 1:
			c.count(i, low(i))
		case ratio > 1:
			c.count(i, 0)
		}
	}
	if len(c.unready) > 0 && ratio > 1 {
		for _, i := range c.unready {
			c.count(i, 0)
		}
	}
}

// settle gives the replicas for a ratio; again computes it anew once the pods
// without samples count too.
func (c *classes) settle(r *scaling.Request, ratio float64, low func(int) int64, again func() (float64, error)) (int32, float64, error) {
	if len(c.missing) == 0 && (len(c.unready) == 0 || ratio <= 1) {
		need := ratio * float64(c.ready)
		if within(r, ratio) {
			return r.Replicas, need, nil
		}
		return ceil(need), need, nil
	}
	c.fill(ratio, low)
	filled, err := again()
	if err != nil {
		return 0, 0, err
	}
	need := filled * float64(len(c.values)+len(c.others))
	replicas := ceil(need)
	turned := ratio < 1 && filled > 1 || ratio > 1 && filled < 1 ||
		filled < 1 && replicas > r.Replicas || filled > 1 && replicas < r.Replicas
	if within(r, filled) || turned {
		return r.Replicas, need, nil
	}
	return replicas, need, nil
}

// plain compares the average of the pods' amounts with a target.
func plain(r *scaling.Request, m *scaling.Metric, target int64, resource string) (proposal, error) {
	c, err := classify(r, m, resource)
	if err != nil {
		return proposal{}, err
	}
	usage := func() int64 {
		var sum int64
		for _, v := range c.values {
			sum += v
		}
		for _, v := range c.others {
			sum += v
		}
		return sum / int64(len(c.values)+len(c.others))
	}
	current := usage()
	replicas, need, err := c.settle(r, float64(current)/float64(target), func(int) int64 { return target },
		func() (float64, error) { return float64(usage()) / float64(target), nil })
	return proposal{replicas: replicas, need: need, outcome: scaling.Outcome{AverageValue: &current}}, err
}

// utilization compares the sum of the pods' amounts with the sum of their
// requests.
func utilization(r *scaling.Request, m *scaling.Metric) (proposal, error) {
	c, err := classify(r, m, m.Name)
	if err != nil {
		return proposal{}, err
	}
	c.others = nil // nothing is known of their requests
	if m.RequestError != "" {
		return proposal{}, errors.New(m.RequestError)
	}
	if len(m.Requests) != len(r.Pods) {
		return proposal{}, errors.New("the requests do not match the pods")
	}
	target := *m.Utilization
	used := func() (percent int32, each int64, err error) {
		var sum, requests int64
		for i, v := range c.values {
			sum += v
			requests += m.Requests[c.pods[i]]
		}
		if requests == 0 {
			return 0, 0, errors.New("no metrics returned matched known pods")
		}
		return int32(sum * 100 / requests), sum / int64(len(c.values)), nil
	}
	percent, each, err := used()
	if err != nil {
		return proposal{}, err
	}
	full := int64(max(100, target))
	replicas, need, err := c.settle(r, float64(percent)/float64(target), func(i int) int64 { return m.Requests[i] * full / 100 },
		func() (float64, error) {
			again, _, err := used()
			return float64(again) / float64(target), err
		})
	return proposal{replicas: replicas, need: need, outcome: scaling.Outcome{Utilization: &percent, AverageValue: &each}}, err
}
