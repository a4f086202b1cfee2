package app

import (
	"context"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pintle-io/pintle/engine/decision"
	"github.com/pintle-io/pintle/policies"
)

// newPolicies builds the Rego engine; what it warns of goes to the log of refusals,
// to which admission reports what it denies.
func (c *controlPlane) newPolicies(denials *decision.Log) (*policies.Engine, error) {
	return policies.New(policies.Config{
		Namespace: c.client.Informers().Core().V1().Namespaces().Lister().Get,
		Record: func(_ context.Context, v policies.Verdict) {
			if v.Action != policies.Deny {
				denials.Add(policyRecord(v, time.Now()))
			}
		},
	})
}

// policyVerdicts are the words for a violation that is let pass.
var policyVerdicts = map[policies.Action]string{
	policies.Warn: decision.Warned, policies.DryRun: decision.WouldDeny,
}

func policyRecord(v policies.Verdict, now time.Time) decision.Record {
	verdict, ok := policyVerdicts[v.Action]
	if !ok {
		verdict = string(v.Action)
	}
	return decision.Record{
		Time:    metav1.NewMicroTime(now),
		Object:  decision.Object{Kind: strings.ToLower(v.Kind.Kind), Namespace: v.Namespace, Name: shortened(v.Object, longestName)},
		Decider: v.Policy + "/" + v.Name, Verdict: verdict, Message: shortened(v.String(), longestMessage),
	}
}
