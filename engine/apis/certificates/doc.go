// Package certificates has the rules of certificates.k8s.io. A certificate signing
// request says who made it: create takes that from the request's user, never from
// the body. The package reads no store and no clock but for ages in tables and the
// dates of conditions.
package certificates

import (
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/pintle-io/pintle/engine/apis"
)

// Resources lists the rows of the group.
func Resources() []apis.Resource {
	return []apis.Resource{signingRequests(), clusterTrustBundles(), podCertificateRequests()}
}

var (
	metadata = field.NewPath("metadata")
	specPath = field.NewPath("spec")
)
