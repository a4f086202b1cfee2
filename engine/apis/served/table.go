package served

import (
	"sync"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/pintle-io/pintle/engine/apis"
	"github.com/pintle-io/pintle/engine/apis/apps"
	"github.com/pintle-io/pintle/engine/apis/autoscaling"
	"github.com/pintle-io/pintle/engine/apis/batch"
	"github.com/pintle-io/pintle/engine/apis/certificates"
	"github.com/pintle-io/pintle/engine/apis/coordination"
	"github.com/pintle-io/pintle/engine/apis/core"
	"github.com/pintle-io/pintle/engine/apis/discovery"
	"github.com/pintle-io/pintle/engine/apis/networking"
	"github.com/pintle-io/pintle/engine/apis/node"
	"github.com/pintle-io/pintle/engine/apis/policy"
	"github.com/pintle-io/pintle/engine/apis/rbac"
	"github.com/pintle-io/pintle/engine/apis/scheduling"
	"github.com/pintle-io/pintle/engine/apis/storage"
)

// groups is the list of what is served, in the order of discovery.
var groups = []func() []apis.Resource{
	core.Resources,
	apps.Resources,
	batch.Resources,
	networking.Resources,
	discovery.Resources,
	rbac.Resources,
	coordination.Resources,
	certificates.Resources,
	autoscaling.Resources,
	policy.Resources,
	scheduling.Resources,
	node.Resources,
	storage.Resources,
	genericRows,
}

// Table returns every served kind that is stored. The result is shared and must
// not be changed.
func Table() []apis.Resource { return table() }

var table = sync.OnceValue(func() []apis.Resource {
	seen := map[schema.GroupVersionResource]bool{}
	var rows []apis.Resource
	for _, group := range groups {
		for _, row := range group() {
			if gvr := row.GVR(); !seen[gvr] {
				seen[gvr] = true
				rows = append(rows, row)
			}
		}
	}
	return rows
})
