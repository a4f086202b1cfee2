package cronjob_test

import (
	"testing"

	batchv1 "k8s.io/api/batch/v1"

	"github.com/pintle-io/pintle/engine/controllers/cronjob"
	"github.com/pintle-io/pintle/engine/controllers/plantest"
	"github.com/pintle-io/pintle/engine/reconcile"
)

func TestScenarios(t *testing.T) {
	plantest.Run(t, func(w *plantest.World) reconcile.Result {
		return cronjob.Plan(cronjob.Observed{
			CronJob: plantest.List[*batchv1.CronJob](w)[0], Jobs: plantest.List[*batchv1.Job](w), Now: w.Now,
		})
	}, nil)
}
