package coordination

import (
	"testing"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/pintle-io/pintle/engine/apis/apistest"
)

func TestLease(t *testing.T) {
	base := func() *coordinationv1.Lease {
		return &coordinationv1.Lease{
			ObjectMeta: metav1.ObjectMeta{Name: "l", Namespace: "default"},
			Spec:       coordinationv1.LeaseSpec{HolderIdentity: ptr.To("me"), LeaseDurationSeconds: ptr.To(int32(15))},
		}
	}
	apistest.RunCreate(t, leases(), base, map[string]apistest.Case[*coordinationv1.Lease]{
		"duration":    {Change: func(l *coordinationv1.Lease) { l.Spec.LeaseDurationSeconds = ptr.To(int32(0)) }, Want: []string{"spec.leaseDurationSeconds: Invalid value"}},
		"transitions": {Change: func(l *coordinationv1.Lease) { l.Spec.LeaseTransitions = ptr.To(int32(-1)) }, Want: []string{"spec.leaseTransitions: Invalid value"}},
		"preferred":   {Change: func(l *coordinationv1.Lease) { l.Spec.PreferredHolder = ptr.To("you") }}, // dropped
		"strategy": {Change: func(l *coordinationv1.Lease) {
			l.Spec.Strategy = ptr.To(coordinationv1.CoordinatedLeaseStrategy("Newest"))
		}}, // dropped
	})
	row := leases()
	if !row.Rules.CreateOnUpdate || !row.Rules.ForbidUnconditionalUpdate {
		t.Error("a lease is created on update, and updated with a version only")
	}
	if cells := apistest.Cells(row, base()); cells["Holder"] != "me" {
		t.Errorf("cells: %v", cells)
	}
}
