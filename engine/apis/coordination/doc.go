// Package coordination holds the rules of leases: validation and table columns.
//
// Every function is safe for concurrent use on distinct objects.
package coordination

import "github.com/pintle-io/pintle/engine/apis"

// Resources lists the rows of the coordination.k8s.io group.
func Resources() []apis.Resource {
	return []apis.Resource{leases()}
}
