// Package flowcontrol holds the rules of flow schemas and priority levels.
//
// Every function is safe for concurrent use on distinct objects.
package flowcontrol

import (
	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/pintle-io/pintle/engine/apis"
)

// Resources lists the rows of the flowcontrol.apiserver.k8s.io group.
func Resources() []apis.Resource {
	return []apis.Resource{flowSchemas(), priorityLevels()}
}

func kind(name string) schema.GroupVersionKind {
	return flowcontrolv1.SchemeGroupVersion.WithKind(name)
}

var (
	metadata = field.NewPath("metadata")
	specPath = field.NewPath("spec")
)

func setDefaultPtr[T any](field **T, value T) {
	if *field == nil {
		*field = &value
	}
}
