package pvprotection_test

import (
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pintle-io/pintle/engine/controllers/pvprotection"
	"github.com/pintle-io/pintle/engine/reconcile"
)

func TestPlan(t *testing.T) {
	now := metav1.Now()
	for name, c := range map[string]struct {
		going      bool
		phase      corev1.PersistentVolumePhase
		finalizers []string
		want       []string // the finalizers written; nil: nothing is
	}{
		"protected":         {phase: corev1.VolumeAvailable, finalizers: []string{pvprotection.Finalizer}},
		"not protected":     {phase: corev1.VolumeBound, want: []string{pvprotection.Finalizer}},
		"deleted, bound":    {going: true, phase: corev1.VolumeBound, finalizers: []string{pvprotection.Finalizer}},
		"deleted, released": {going: true, phase: corev1.VolumeReleased, finalizers: []string{"other", pvprotection.Finalizer}, want: []string{"other"}},
		"deleted, done":     {going: true, phase: corev1.VolumeAvailable, finalizers: []string{"other"}},
	} {
		t.Run(name, func(t *testing.T) {
			volume := &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: "v", Finalizers: c.finalizers}, Status: corev1.PersistentVolumeStatus{Phase: c.phase}}
			if c.going {
				volume.DeletionTimestamp = &now
			}
			actions := pvprotection.Plan(pvprotection.Observed{Volume: volume}).Actions
			if c.want == nil {
				if len(actions) != 0 {
					t.Errorf("%+v, want nothing", actions)
				}
				return
			}
			if len(actions) != 1 {
				t.Fatalf("%+v, want one update", actions)
			}
			if got := actions[0].(reconcile.Update).Object.(*corev1.PersistentVolume).Finalizers; !slices.Equal(got, c.want) {
				t.Errorf("finalizers %v, want %v", got, c.want)
			}
		})
	}
}
