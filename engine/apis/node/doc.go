// Package node holds the rules of runtime classes.
//
// Every function is safe for concurrent use on distinct objects.
package node

import "github.com/pintle-io/pintle/engine/apis"

// Resources lists the rows of the node.k8s.io group.
func Resources() []apis.Resource {
	return []apis.Resource{runtimeClasses()}
}
