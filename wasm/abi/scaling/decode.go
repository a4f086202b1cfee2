package scaling

import "github.com/pintle-io/pintle/wasm/abi/jsonread"

// DecodeJSON reads a request without reflection. Absent fields stay as they are.
func (q *Request) DecodeJSON(in []byte) error {
	r := jsonread.New(in)
	r.Object(func(name []byte) {
		switch string(name) {
		case "now":
			q.Now = r.Int64()
		case "namespace":
			q.Namespace = r.String()
		case "name":
			q.Name = r.String()
		case "min":
			q.Min = r.Int32()
		case "max":
			q.Max = r.Int32()
		case "replicas":
			q.Replicas = r.Int32()
		case "running":
			q.Running = r.Int32()
		case "behavior":
			q.Behavior = jsonread.Optional(r, func() Behavior { return behavior(r) })
		case "scaledToZero":
			q.ScaledToZero = r.Bool()
		case "downTolerance":
			q.DownTolerance = r.Float64()
		case "upTolerance":
			q.UpTolerance = r.Float64()
		case "downWindow":
			q.DownWindow = r.Int64()
		case "initialization":
			q.Initialization = r.Int64()
		case "readiness":
			q.Readiness = r.Int64()
		case "problem":
			q.Problem = jsonread.Optional(r, func() Problem { return problem(r) })
		case "metrics":
			q.Metrics = jsonread.Slice(r, func() Metric { return metric(r) })
		case "pods":
			q.Pods = jsonread.Slice(r, func() Pod { return pod(r) })
		case "recommendations":
			q.Recommendations = stamps(r)
		case "ups":
			q.Ups = stamps(r)
		case "downs":
			q.Downs = stamps(r)
		case "config":
			q.Config = r.Raw()
		case "state":
			q.State = r.Raw()
		default:
			r.Skip()
		}
	})
	return r.Err()
}

func behavior(r *jsonread.Reader) (b Behavior) {
	r.Object(func(name []byte) {
		switch string(name) {
		case "up":
			b.Up = rules(r)
		case "down":
			b.Down = rules(r)
		default:
			r.Skip()
		}
	})
	return b
}

func rules(r *jsonread.Reader) (out Rules) {
	r.Object(func(name []byte) {
		switch string(name) {
		case "window":
			out.Window = r.Int64()
		case "select":
			out.Select = r.String()
		case "policies":
			out.Policies = jsonread.Slice(r, func() Policy { return policy(r) })
		default:
			r.Skip()
		}
	})
	return out
}

func policy(r *jsonread.Reader) (p Policy) {
	r.Object(func(name []byte) {
		switch string(name) {
		case "type":
			p.Type = r.String()
		case "value":
			p.Value = r.Int32()
		case "period":
			p.Period = r.Int64()
		default:
			r.Skip()
		}
	})
	return p
}

func problem(r *jsonread.Reader) (p Problem) {
	r.Object(func(name []byte) {
		switch string(name) {
		case "event":
			p.Event = r.String()
		case "reason":
			p.Reason = r.String()
		case "message":
			p.Message = r.String()
		case "error":
			p.Error = r.String()
		default:
			r.Skip()
		}
	})
	return p
}

func metric(r *jsonread.Reader) (m Metric) {
	r.Object(func(name []byte) {
		switch string(name) {
		case "type":
			m.Type = r.String()
		case "name":
			m.Name = r.String()
		case "container":
			m.Container = r.String()
		case "kind":
			m.Kind = r.String()
		case "selector":
			m.Selector = r.String()
		case "utilization":
			m.Utilization = jsonread.Optional(r, r.Int32)
		case "averageValue":
			m.AverageValue = jsonread.Optional(r, r.Int64)
		case "value":
			m.Value = jsonread.Optional(r, r.Int64)
		case "error":
			m.Error = r.String()
		case "requestError":
			m.RequestError = r.String()
		case "observed":
			m.Observed = r.Int64()
		case "samples":
			m.Samples = jsonread.Slice(r, func() Sample { return sample(r) })
		case "requests":
			m.Requests = jsonread.Slice(r, r.Int64)
		default:
			r.Skip()
		}
	})
	return m
}

func sample(r *jsonread.Reader) (s Sample) {
	r.Object(func(name []byte) {
		switch string(name) {
		case "pod":
			s.Pod = int(r.Int32())
		case "value":
			s.Value = r.Int64()
		case "at":
			s.At = r.Int64()
		case "window":
			s.Window = r.Int64()
		default:
			r.Skip()
		}
	})
	return s
}

func pod(r *jsonread.Reader) (p Pod) {
	r.Object(func(name []byte) {
		switch string(name) {
		case "phase":
			p.Phase = r.String()
		case "deleting":
			p.Deleting = r.Bool()
		case "ready":
			p.Ready = r.String()
		case "since":
			p.Since = r.Int64()
		case "start":
			p.Start = r.Int64()
		default:
			r.Skip()
		}
	})
	return p
}

func stamps(r *jsonread.Reader) []Stamp {
	return jsonread.Slice(r, func() (s Stamp) {
		r.Object(func(name []byte) {
			switch string(name) {
			case "at":
				s.At = r.Int64()
			case "replicas":
				s.Replicas = r.Int32()
			default:
				r.Skip()
			}
		})
		return s
	})
}
