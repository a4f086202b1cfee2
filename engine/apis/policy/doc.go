// Package policy holds the rules of pod disruption budgets.
//
// Every function is safe for concurrent use on distinct objects.
package policy

import "github.com/pintle-io/pintle/engine/apis"

// Resources lists the rows of the policy group that are stored.
func Resources() []apis.Resource {
	return []apis.Resource{podDisruptionBudgets()}
}
