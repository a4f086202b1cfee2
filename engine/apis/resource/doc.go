// Package resource holds the rules of dynamic resource allocation: device
// classes, claims and their templates, slices and taint rules. Much of the
// validation is that which k8s.io/api generates from its own types.
//
// Every function is safe for concurrent use on distinct objects.
package resource

import (
	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/pintle-io/pintle/engine/apis"
)

// Resources lists the rows of the resource.k8s.io group.
func Resources() []apis.Resource {
	return []apis.Resource{deviceClasses(), deviceTaintRules(), claims(), claimTemplates(), slices()}
}

func kind(name string) schema.GroupVersionKind {
	return resourcev1.SchemeGroupVersion.WithKind(name)
}

var (
	metadata   = field.NewPath("metadata")
	specPath   = field.NewPath("spec")
	statusPath = field.NewPath("status")
)

// options are what the tags of the types name: alpha features, which are off.
var options = map[string]bool{"DRAPartitionableDevicesType": false}
