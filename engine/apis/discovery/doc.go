// Package discovery holds the rules of endpoint slices: defaults, validation and
// table columns.
//
// Every function is safe for concurrent use on distinct objects.
package discovery

import "github.com/pintle-io/pintle/engine/apis"

// Resources lists the rows of the discovery.k8s.io group.
func Resources() []apis.Resource {
	return []apis.Resource{endpointSlices()}
}
