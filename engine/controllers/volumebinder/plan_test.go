package volumebinder_test

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"pgregory.net/rapid"

	"github.com/pintle-io/pintle/engine/controllers/plantest"
	"github.com/pintle-io/pintle/engine/controllers/podclaim"
	"github.com/pintle-io/pintle/engine/controllers/volumebinder"
	"github.com/pintle-io/pintle/engine/reconcile"
)

// plan is the first step that anything in the world has to take; events alone
// are shown if there is nothing else.
func plan(w *plantest.World) reconcile.Result {
	var said reconcile.Result
	for _, result := range append(planVolumes(w), planClaims(w)...) {
		for _, action := range result.Actions {
			if _, ok := action.(reconcile.Event); !ok {
				return result
			}
		}
		if len(said.Actions) == 0 {
			said = result
		}
	}
	return said
}

func planVolumes(w *plantest.World) (out []reconcile.Result) {
	for _, pv := range plantest.List[*corev1.PersistentVolume](w) {
		o := volumebinder.VolumeObserved{Volume: pv, Now: w.Now}
		for _, claim := range plantest.List[*corev1.PersistentVolumeClaim](w) {
			if ref := pv.Spec.ClaimRef; ref != nil && ref.Name == claim.Name {
				o.Claim = claim
			}
		}
		for _, node := range plantest.List[*corev1.Node](w) {
			if pv.Annotations["pintle.io/node"] == node.Name {
				o.Node = node
			}
		}
		out = append(out, volumebinder.PlanVolume(o))
	}
	return out
}

func planClaims(w *plantest.World) (out []reconcile.Result) {
	for _, claim := range plantest.List[*corev1.PersistentVolumeClaim](w) {
		o := volumebinder.ClaimObserved{Claim: claim, Volumes: plantest.List[*corev1.PersistentVolume](w), Nodes: plantest.List[*corev1.Node](w), Now: w.Now}
		for _, class := range plantest.List[*storagev1.StorageClass](w) {
			if ptr.Deref(claim.Spec.StorageClassName, "") == class.Name {
				o.Class = class
			}
			if class.Annotations["storageclass.kubernetes.io/is-default-class"] == "true" {
				o.Default = class
			}
		}
		for _, pod := range plantest.List[*corev1.Pod](w) {
			for _, name := range podclaim.Names(pod) {
				if name == claim.Name {
					o.Pods = append(o.Pods, pod)
				}
			}
		}
		out = append(out, volumebinder.PlanClaim(o))
	}
	return out
}

func TestScenarios(t *testing.T) { plantest.Run(t, plan, nil) }

// TestOneVolumePerClaim binds random claims to random volumes, in steps that may
// crash, and checks that each claim has a volume of its own that is big enough.
func TestOneVolumePerClaim(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := plantest.NewWorld()
		w.Put(&storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: "local"}, Provisioner: volumebinder.LocalProvisioner,
			VolumeBindingMode: ptr.To(storagev1.VolumeBindingImmediate)})
		w.Put(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n"}, Status: corev1.NodeStatus{
			Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}}})
		size := rapid.Int64Range(1, 4)
		for i := range rapid.IntRange(0, 4).Draw(t, "volumes") {
			w.Put(&corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint("v", i)}, Spec: corev1.PersistentVolumeSpec{
				Capacity: sized(size.Draw(t, "has")), AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}, StorageClassName: "local",
				PersistentVolumeReclaimPolicy: corev1.PersistentVolumeReclaimRetain,
			}})
		}
		claims := rapid.IntRange(1, 4).Draw(t, "claims")
		for i := range claims {
			name := fmt.Sprint("c", i)
			w.Put(&corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name, UID: types.UID(name)}, Spec: corev1.PersistentVolumeClaimSpec{
				StorageClassName: ptr.To("local"), AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
				Resources: corev1.VolumeResourceRequirements{Requests: sized(size.Draw(t, "asks"))},
			}})
		}
		for step := 0; ; step++ {
			result := plan(w)
			if len(result.Actions) == 0 {
				break
			}
			if step > 200 {
				t.Fatalf("did not converge: %+v", result)
			}
			result.Actions = result.Actions[:rapid.IntRange(min(step/100, 1), len(result.Actions)).Draw(t, "crash")]
			w.Act(result)
		}
		taken := map[string]bool{}
		for _, claim := range plantest.List[*corev1.PersistentVolumeClaim](w) {
			has, asked := claim.Status.Capacity[corev1.ResourceStorage], claim.Spec.Resources.Requests[corev1.ResourceStorage]
			if claim.Status.Phase != corev1.ClaimBound || taken[claim.Spec.VolumeName] || has.Cmp(asked) < 0 {
				t.Fatalf("claim %s: %+v, of %v", claim.Name, claim.Status, taken)
			}
			taken[claim.Spec.VolumeName] = true
		}
		for _, pv := range plantest.List[*corev1.PersistentVolume](w) {
			if (pv.Status.Phase == corev1.VolumeBound) != taken[pv.Name] {
				t.Fatalf("volume %s is %s", pv.Name, pv.Status.Phase)
			}
		}
	})
}

func sized(gi int64) corev1.ResourceList {
	return corev1.ResourceList{corev1.ResourceStorage: *resource.NewQuantity(gi<<30, resource.BinarySI)}
}
