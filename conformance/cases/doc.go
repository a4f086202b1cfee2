// Package cases is the explicit list of conformance cases. A case is one Go file
// and, where it needs manifests, a YAML file of the same name beside it.
package cases

import (
	"slices"

	"github.com/pintle-io/pintle/conformance/cases/admission"
	"github.com/pintle-io/pintle/conformance/cases/api"
	"github.com/pintle-io/pintle/conformance/cases/auth"
	"github.com/pintle-io/pintle/conformance/cases/custom"
	"github.com/pintle-io/pintle/conformance/cases/decision"
	"github.com/pintle-io/pintle/conformance/cases/network"
	"github.com/pintle-io/pintle/conformance/cases/node"
	"github.com/pintle-io/pintle/conformance/cases/workload"
	"github.com/pintle-io/pintle/conformance/suite"
)

// All returns every case.
func All() []suite.Case {
	return slices.Concat(api.Cases(), auth.Cases(), admission.Cases(), custom.Cases(), workload.Cases(), node.Cases(), network.Cases(), decision.Cases())
}
