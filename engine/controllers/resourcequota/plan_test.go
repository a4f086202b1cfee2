package resourcequota_test

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	quota "k8s.io/apiserver/pkg/quota/v1"
	"k8s.io/apiserver/pkg/quota/v1/generic"

	measure "github.com/pintle-io/pintle/engine/admission/quota"
	"github.com/pintle-io/pintle/engine/controllers/plantest"
	"github.com/pintle-io/pintle/engine/controllers/resourcequota"
	"github.com/pintle-io/pintle/engine/reconcile"
)

// TestScenarios counts pods and services of the world; the first plan after an
// apply or edit sees a fresh version of the quota.
func TestScenarios(t *testing.T) {
	seen, since := "", time.Time{}
	plantest.Run(t, func(w *plantest.World) reconcile.Result {
		q := plantest.List[*corev1.ResourceQuota](w)[0]
		if q.ResourceVersion != seen {
			seen, since = q.ResourceVersion, w.Now
		}
		registry := generic.NewRegistry(measure.Evaluators(func(gvr schema.GroupVersionResource) generic.ListFuncByNamespace {
			return func(string) (out []runtime.Object, _ error) {
				switch gvr.Resource {
				case "pods":
					for _, pod := range plantest.List[*corev1.Pod](w) {
						out = append(out, pod)
					}
				case "services":
					for _, svc := range plantest.List[*corev1.Service](w) {
						out = append(out, svc)
					}
				}
				return out, nil
			}
		}))
		used, err := quota.CalculateUsage(q.Namespace, q.Spec.Scopes, q.Spec.Hard, registry, q.Spec.ScopeSelector)
		if err != nil {
			t.Fatal(err)
		}
		return resourcequota.Plan(resourcequota.Observed{Quota: q, Used: used, Since: since, Now: w.Now})
	}, nil)
}
