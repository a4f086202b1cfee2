// Package admissionpolicystatus checks the types in the expressions of
// ValidatingAdmissionPolicies against the schemas of what they match, and reports
// what it finds in their status.
package admissionpolicystatus

import (
	"context"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apiserver/pkg/admission/plugin/policy/validating"
	"k8s.io/apiserver/pkg/cel/openapi/resolver"

	"github.com/pintle-io/pintle/engine/reconcile"
)

// Observed is one policy and what the type checker says of its present generation.
type Observed struct {
	Policy   *admissionv1.ValidatingAdmissionPolicy
	Warnings []admissionv1.ExpressionWarning
}

// Plan writes the warnings of a generation once.
func Plan(o Observed) reconcile.Result {
	var result reconcile.Result
	if Checked(o.Policy) {
		return result
	}
	updated := o.Policy.DeepCopy()
	updated.Status.ObservedGeneration = updated.Generation
	updated.Status.TypeChecking = &admissionv1.TypeChecking{ExpressionWarnings: o.Warnings}
	result.Add(reconcile.UpdateStatus{Object: updated})
	return result
}

// Checked reports that the status is about the present generation.
func Checked(policy *admissionv1.ValidatingAdmissionPolicy) bool {
	return policy.Generation <= policy.Status.ObservedGeneration
}

// New builds the controller; its keys are policies. Kinds are found by mapper,
// their schemas in the documents that the server publishes.
func New(env reconcile.Env, mapper meta.RESTMapper) (*reconcile.Controller, error) {
	const name = "validatingadmissionpolicy-status-controller"
	policies := env.Informers().Admissionregistration().V1().ValidatingAdmissionPolicies()
	checker := &validating.TypeChecker{
		SchemaResolver: &resolver.ClientDiscoveryResolver{Discovery: env.Client.AsController(name).Clientset().Discovery()},
		RestMapper:     mapper,
	}
	return env.Controller(reconcile.Config{
		Name:    name,
		Workers: 1, // the checker is not made for more
		Watches: []reconcile.Watch{reconcile.Self[*admissionv1.ValidatingAdmissionPolicy](policies.Informer())},
		Reconcile: func(_ context.Context, key reconcile.Key, _ time.Time) (reconcile.Result, error) {
			policy, err := policies.Lister().Get(key.Name)
			if apierrors.IsNotFound(err) {
				return reconcile.Result{}, nil
			}
			if err != nil || Checked(policy) {
				return reconcile.Result{}, err
			}
			return Plan(Observed{Policy: policy, Warnings: checker.Check(policy.DeepCopy())}), nil
		},
	})
}
