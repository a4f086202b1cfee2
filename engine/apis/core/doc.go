// Package core holds the rules of the core ("v1") kinds: defaults, what a create
// or an update may set, validation with the field paths and reasons of upstream,
// warnings and table columns. The rules of pod templates, labels and object
// references are exported for the groups whose kinds contain them.
//
// It never reads the store, the clock (but for ages in tables) or other objects;
// every function is safe for concurrent use on distinct objects.
package core

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/pintle-io/pintle/engine/apis"
)

// Resources lists the rows of the core group, except bindings and
// componentstatuses, which are not stored.
func Resources() []apis.Resource {
	return []apis.Resource{
		configMaps(),
		endpoints(),
		events(),
		limitRanges(),
		namespaces(),
		nodes(),
		persistentVolumeClaims(),
		persistentVolumes(),
		pods(),
		podTemplates(),
		replicationControllers(),
		resourceQuotas(),
		secrets(),
		serviceAccounts(),
		services(),
	}
}

func kind(name string) schema.GroupVersionKind {
	return corev1.SchemeGroupVersion.WithKind(name)
}
