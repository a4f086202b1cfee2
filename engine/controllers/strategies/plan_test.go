package strategies

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"

	"github.com/pintle-io/pintle/engine/apis/pintle"
	"github.com/pintle-io/pintle/engine/strategy"
)

var now = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// TestPlans runs the scenarios. The commands:
//
//	strategy running=DIGEST [fault=REASON] [given-up] [agreed=N]
//	bindings loaded=(NAME:TYPE[:DIGEST|:fresh] ...)
//
// Both keep the status that they planned, for the next command.
func TestPlans(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		kept := map[string]pintle.StrategyStatus{}
		bound := map[string]pintle.BindingStatus{}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			switch d.Cmd {
			case "strategy":
				s := &pintle.Strategy{}
				decode(t, d, d.Input, s)
				s.Status = kept[s.Name]
				o := Observed{Strategy: s, Now: now, Running: runningOf(t, d)}
				if d.HasArg("fault") {
					o.Fault = &Fault{Message: "why it does not run"}
					d.ScanArgs(t, "fault", &o.Fault.Reason)
				}
				status, notes := Plan(o)
				kept[s.Name] = status
				return render(t, status, notes)
			case "bindings":
				o := ObservedBindings{Now: now, Types: map[string]string{}, Running: map[string]*Running{}, Fresh: map[string]bool{}}
				for _, arg := range d.CmdArgs {
					for _, v := range arg.Vals {
						parts := strings.Split(v, ":")
						o.Types[parts[0]] = parts[1]
						if o.Fresh[parts[0]] = len(parts) > 2 && parts[2] == "fresh"; len(parts) > 2 && !o.Fresh[parts[0]] {
							o.Running[parts[0]] = &Running{Type: parts[1], Digest: parts[2]}
						}
					}
				}
				for i, doc := range strings.Split(d.Input, "---\n") {
					b := &pintle.StrategyBinding{}
					decode(t, d, doc, b)
					b.UID, b.Status = types.UID(fmt.Sprint(i)), bound[b.Name]
					o.Bindings = append(o.Bindings, b)
				}
				routes, plans := PlanBindings(o)
				var out strings.Builder
				for _, r := range routes {
					fmt.Fprintf(&out, "route %s: %q schedulers %v namespaces %v percent %d shadow %t\n", r.Name, r.Strategy, r.Schedulers, r.Namespaces, r.Percent, r.Shadow)
				}
				for _, p := range plans {
					bound[p.Binding.Name] = p.Status
					fmt.Fprintf(&out, "%s:\n%s", p.Binding.Name, render(t, p.Status, p.Notes))
				}
				return out.String()
			}
			d.Fatalf(t, "unknown command %s", d.Cmd)
			return ""
		})
	})
}

func runningOf(t *testing.T, d *datadriven.TestData) *Running {
	if !d.HasArg("running") {
		return nil
	}
	r := &Running{Source: "file x.wasm", ABI: "v1.0", Instances: 2, WhyGivenUp: "failed 3 times"}
	d.ScanArgs(t, "running", &r.Digest)
	if d.HasArg("given-up") {
		r.Status = strategy.Status{GivenUp: now, Failures: 3, LastFailure: "it broke", Calls: 3, LatencyP50: 1234567, LatencyP99: 9876543}
	}
	d.MaybeScanArgs(t, "agreed", &r.Status.Agreed)
	return r
}

func decode(t *testing.T, d *datadriven.TestData, text string, into any) {
	t.Helper()
	if err := yaml.UnmarshalStrict([]byte(text), into); err != nil {
		d.Fatalf(t, "%v", err)
	}
}

func render(t *testing.T, status any, notes []Note) string {
	t.Helper()
	raw, err := yaml.Marshal(status)
	if err != nil {
		t.Fatal(err)
	}
	out := string(raw)
	for _, n := range notes {
		out += fmt.Sprintf("event %s %s: %s\n", n.Type, n.Reason, n.Message)
	}
	return out
}

// TestPlanSaysTheSameTwice: nothing that a plan wrote makes it write again.
func TestPlanSaysTheSameTwice(t *testing.T) {
	s := &pintle.Strategy{Spec: pintle.StrategySpec{Type: strategy.Rollout, Module: pintle.Module{File: "x"}}}
	s.Generation = 3
	for _, o := range []Observed{
		{Running: &Running{Digest: "a"}}, {Running: &Running{Digest: "b"}, Fault: &Fault{Refused, "no"}}, {Fault: &Fault{NotFound, "no"}},
	} {
		o.Strategy, o.Now = s, now
		s.Status, _ = Plan(o)
		o.Now = now.Add(time.Hour)
		again, notes := Plan(o)
		if !same(s.Status, again) || len(notes) > 0 {
			t.Errorf("%+v\n%+v, %+v", s.Status, again, notes)
		}
	}
}
