// Package quota owns what resource quotas count: how much of each quota resource
// an object uses, which scopes it falls in, and what it must state to be counted.
// The admission plugin and the quota controller share it. It keeps no state.
package quota

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
	quota "k8s.io/apiserver/pkg/quota/v1"
	"k8s.io/apiserver/pkg/quota/v1/generic"
	"k8s.io/client-go/informers"
)

// Configuration is what upstream's admission plugin takes. Kinds beyond those
// listed here are counted as count/RESOURCE.GROUP, by upstream itself.
func Configuration(factory informers.SharedInformerFactory) quota.Configuration {
	listers := generic.ListerFuncForResourceFunc(factory.ForResource)
	return generic.NewConfiguration(Evaluators(func(gvr schema.GroupVersionResource) generic.ListFuncByNamespace {
		return generic.ListResourceUsingListerFunc(listers, gvr)
	}), ignored)
}

// ignored are kinds that quotas never count.
var ignored = map[schema.GroupResource]struct{}{
	{Resource: "events"}:                         {},
	{Group: "events.k8s.io", Resource: "events"}: {},
}

// Evaluators returns one evaluator per kind that has quota resources of its own;
// all are of version v1. list says how each lists its objects.
func Evaluators(list func(gvr schema.GroupVersionResource) generic.ListFuncByNamespace) []quota.Evaluator {
	var out []quota.Evaluator
	for _, m := range []measure{pods, services, claims, deviceClaims} {
		out = append(out, &evaluator{measure: m, list: list(m.resource.WithVersion("v1"))})
	}
	for resource, alias := range map[string]corev1.ResourceName{
		"configmaps":             corev1.ResourceConfigMaps,
		"resourcequotas":         corev1.ResourceQuotas,
		"replicationcontrollers": corev1.ResourceReplicationControllers,
		"secrets":                corev1.ResourceSecrets,
	} {
		out = append(out, generic.NewObjectCountEvaluator(corev1.Resource(resource), list(corev1.SchemeGroupVersion.WithResource(resource)), alias))
	}
	return out
}

// measure is what is particular about a kind.
type measure struct {
	resource schema.GroupResource
	// handles reports whether a request may change the usage.
	handles func(a admission.Attributes) bool
	// tracks reports whether the kind uses a quota resource.
	tracks func(name corev1.ResourceName) bool
	usage  func(obj runtime.Object) (corev1.ResourceList, error)
	// inScope reports whether an object falls in a scope; nil: in none.
	inScope func(scope corev1.ScopedResourceSelectorRequirement, obj runtime.Object) (bool, error)
	// states reports what an object must state and does not; nil: nothing.
	states func(required []corev1.ResourceName, obj runtime.Object) error
}

// evaluator is a measure as upstream wants it.
type evaluator struct {
	measure
	list generic.ListFuncByNamespace
}

var _ quota.Evaluator = (*evaluator)(nil)

// Constraints implements quota.Evaluator.
func (e *evaluator) Constraints(required []corev1.ResourceName, item runtime.Object) error {
	if e.states == nil {
		return nil
	}
	return e.states(required, item)
}

// GroupResource implements quota.Evaluator.
func (e *evaluator) GroupResource() schema.GroupResource { return e.resource }

// Handles implements quota.Evaluator.
func (e *evaluator) Handles(a admission.Attributes) bool { return e.handles(a) }

// Matches implements quota.Evaluator.
func (e *evaluator) Matches(q *corev1.ResourceQuota, item runtime.Object) (bool, error) {
	return generic.Matches(q, item, e.MatchingResources, e.scope)
}

func (e *evaluator) scope(s corev1.ScopedResourceSelectorRequirement, obj runtime.Object) (bool, error) {
	if e.inScope == nil {
		return generic.MatchesNoScopeFunc(s, obj)
	}
	return e.inScope(s, obj)
}

// MatchingScopes implements quota.Evaluator.
func (e *evaluator) MatchingScopes(item runtime.Object, scopes []corev1.ScopedResourceSelectorRequirement) ([]corev1.ScopedResourceSelectorRequirement, error) {
	var out []corev1.ScopedResourceSelectorRequirement
	for _, s := range scopes {
		ok, err := e.scope(s, item)
		if err != nil {
			return nil, err
		}
		if ok {
			out = append(out, s)
		}
	}
	return out, nil
}

// UncoveredQuotaScopes implements quota.Evaluator.
func (*evaluator) UncoveredQuotaScopes(limited, matched []corev1.ScopedResourceSelectorRequirement) ([]corev1.ScopedResourceSelectorRequirement, error) {
	var out []corev1.ScopedResourceSelectorRequirement
	for _, l := range limited {
		covered := false
		for _, m := range matched {
			covered = covered || m.ScopeName == l.ScopeName
		}
		if !covered {
			out = append(out, l)
		}
	}
	return out, nil
}

// MatchingResources implements quota.Evaluator.
func (e *evaluator) MatchingResources(input []corev1.ResourceName) []corev1.ResourceName {
	var out []corev1.ResourceName
	for _, name := range input {
		if name == generic.ObjectCountQuotaResourceNameFor(e.resource) || e.tracks(name) {
			out = append(out, name)
		}
	}
	return out
}

// Usage implements quota.Evaluator.
func (e *evaluator) Usage(item runtime.Object) (corev1.ResourceList, error) { return e.usage(item) }

// UsageStats implements quota.Evaluator.
func (e *evaluator) UsageStats(options quota.UsageStatsOptions) (quota.UsageStats, error) {
	return generic.CalculateUsageStats(options, e.list, e.scope, e.usage)
}
