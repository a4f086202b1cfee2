package admissionpolicystatus_test

import (
	"testing"

	admissionv1 "k8s.io/api/admissionregistration/v1"

	"github.com/pintle-io/pintle/engine/controllers/admissionpolicystatus"
	"github.com/pintle-io/pintle/engine/reconcile"
)

func TestPlan(t *testing.T) {
	policy := &admissionv1.ValidatingAdmissionPolicy{}
	policy.Generation = 2
	policy.Status.ObservedGeneration = 1
	o := admissionpolicystatus.Observed{Policy: policy, Warnings: []admissionv1.ExpressionWarning{{FieldRef: "spec.validations[0].expression", Warning: "no"}}}
	result := admissionpolicystatus.Plan(o)
	if len(result.Actions) != 1 {
		t.Fatalf("%+v", result)
	}
	o.Policy = result.Actions[0].(reconcile.UpdateStatus).Object.(*admissionv1.ValidatingAdmissionPolicy)
	if s := o.Policy.Status; s.ObservedGeneration != 2 || len(s.TypeChecking.ExpressionWarnings) != 1 {
		t.Errorf("%+v", s)
	}
	if again := admissionpolicystatus.Plan(o); len(again.Actions) != 0 {
		t.Errorf("written again: %+v", again)
	}
}
