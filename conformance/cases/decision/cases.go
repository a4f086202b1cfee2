// Package decision holds the cases about decisions: that they are explained, and
// that a policy can be added and tells what it refuses.
package decision

import "github.com/pintle-io/pintle/conformance/suite"

// Cases lists the package's cases.
func Cases() []suite.Case {
	return []suite.Case{unschedulable(), constraint(), strategy()}
}
