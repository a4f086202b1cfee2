// Package apps holds the rules of the apps kinds: deployments, replica sets,
// stateful sets, daemon sets and controller revisions. Their pod templates follow
// the rules of package core.
//
// It never reads the store or other objects; every function is safe for
// concurrent use on distinct objects.
package apps

import (
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/pintle-io/pintle/engine/apis"
)

// Resources lists the rows of the apps group.
func Resources() []apis.Resource {
	return []apis.Resource{
		controllerRevisions(),
		daemonSets(),
		deployments(),
		replicaSets(),
		statefulSets(),
	}
}

func kind(name string) schema.GroupVersionKind {
	return appsv1.SchemeGroupVersion.WithKind(name)
}

// selectorString is the selector of a scale, in the form of a query.
func selectorString(s *metav1.LabelSelector) string {
	selector, err := metav1.LabelSelectorAsSelector(s)
	if err != nil {
		return ""
	}
	return selector.String()
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

func setDefaultPtr[T any](field **T, value T) {
	if *field == nil {
		*field = &value
	}
}
