package accounttoken_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/pintle-io/pintle/engine/controllers/accounttoken"
	"github.com/pintle-io/pintle/engine/controllers/plantest"
	"github.com/pintle-io/pintle/engine/reconcile"
)

func TestScenarios(t *testing.T) {
	plantest.Run(t, func(w *plantest.World) reconcile.Result {
		secrets := plantest.List[*corev1.Secret](w)
		if len(secrets) == 0 {
			return reconcile.Result{}
		}
		o := accounttoken.Observed{Secret: secrets[0], RootCA: []byte("root"), Token: "token"}
		for _, account := range plantest.List[*corev1.ServiceAccount](w) {
			o.Account = account
		}
		return accounttoken.Plan(o)
	}, nil)
}
