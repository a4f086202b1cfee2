// Package api holds the cases about the API itself: what every client relies on
// whatever runs behind it.
package api

import "github.com/pintle-io/pintle/conformance/suite"

// Cases lists the package's cases.
func Cases() []suite.Case {
	return []suite.Case{
		discovery(), serverSideApply(), patches(), dryRun(), fieldValidation(),
		watchResume(), pages(), finalizer(), accessControl(), tables(),
	}
}
