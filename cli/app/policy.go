package app

import (
	"context"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pintle-io/pintle/engine/decision"
	"github.com/pintle-io/pintle/policies"
)

// newPolicies builds the Rego engine; what it refuses goes to the decision log.
func (c *controlPlane) newPolicies(decisions *decision.Log) (*policies.Engine, error) {
	return policies.New(policies.Config{
		Namespace: c.client.Informers().Core().V1().Namespaces().Lister().Get,
		Record:    func(_ context.Context, v policies.Verdict) { decisions.Add(policyRecord(v, time.Now())) },
	})
}

// policyVerdicts are the words for a violation in the decision log.
var policyVerdicts = map[policies.Action]string{
	policies.Deny: "Denied", policies.Warn: "Warned", policies.DryRun: "WouldDeny",
}

func policyRecord(v policies.Verdict, now time.Time) decision.Record {
	verdict, ok := policyVerdicts[v.Action]
	if !ok {
		verdict = string(v.Action)
	}
	return decision.Record{
		Time:    metav1.NewMicroTime(now),
		Object:  decision.Object{Kind: strings.ToLower(v.Kind.Kind), Namespace: v.Namespace, Name: v.Object},
		Decider: v.Policy + "/" + v.Name, Verdict: verdict, Message: v.String(),
	}
}
