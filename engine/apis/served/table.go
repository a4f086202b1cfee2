package served

import (
	"sync"

	"github.com/pintle-io/pintle/engine/apis"
	"github.com/pintle-io/pintle/engine/apis/admissionregistration"
	"github.com/pintle-io/pintle/engine/apis/apps"
	"github.com/pintle-io/pintle/engine/apis/autoscaling"
	"github.com/pintle-io/pintle/engine/apis/batch"
	"github.com/pintle-io/pintle/engine/apis/certificates"
	"github.com/pintle-io/pintle/engine/apis/coordination"
	"github.com/pintle-io/pintle/engine/apis/core"
	"github.com/pintle-io/pintle/engine/apis/discovery"
	"github.com/pintle-io/pintle/engine/apis/flowcontrol"
	"github.com/pintle-io/pintle/engine/apis/networking"
	"github.com/pintle-io/pintle/engine/apis/node"
	"github.com/pintle-io/pintle/engine/apis/policy"
	"github.com/pintle-io/pintle/engine/apis/rbac"
	"github.com/pintle-io/pintle/engine/apis/resource"
	"github.com/pintle-io/pintle/engine/apis/scheduling"
	"github.com/pintle-io/pintle/engine/apis/storage"
	"github.com/pintle-io/pintle/engine/apis/storagemigration"
)

// groups is the list of what is served. A kind that is served in two groups is in
// the one of its hub version.
var groups = []func() []apis.Resource{
	core.Resources,
	apps.Resources,
	batch.Resources,
	autoscaling.Resources,
	policy.Resources,
	networking.Resources,
	discovery.Resources,
	rbac.Resources,
	certificates.Resources,
	coordination.Resources,
	node.Resources,
	scheduling.Resources,
	storage.Resources,
	admissionregistration.Resources,
	flowcontrol.Resources,
	resource.Resources,
	storagemigration.Resources,
}

// Table returns every served kind that is stored. The result is shared and must
// not be changed.
func Table() []apis.Resource { return table() }

var table = sync.OnceValue(func() []apis.Resource {
	var rows []apis.Resource
	for _, group := range groups {
		rows = append(rows, group()...)
	}
	return rows
})
