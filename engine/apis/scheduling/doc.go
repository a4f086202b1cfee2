// Package scheduling holds the rules of priority classes.
//
// Every function is safe for concurrent use on distinct objects.
package scheduling

import "github.com/pintle-io/pintle/engine/apis"

// Resources lists the rows of the scheduling.k8s.io group.
func Resources() []apis.Resource {
	return []apis.Resource{priorityClasses()}
}
