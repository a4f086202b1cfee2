package pvcprotection_test

import (
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pintle-io/pintle/engine/controllers/pvcprotection"
	"github.com/pintle-io/pintle/engine/reconcile"
)

func pod(namespace, node string, volumes ...corev1.VolumeSource) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "web"}, Spec: corev1.PodSpec{NodeName: node}}
	for _, v := range volumes {
		p.Spec.Volumes = append(p.Spec.Volumes, corev1.Volume{Name: "data", VolumeSource: v})
	}
	return p
}

func TestPlan(t *testing.T) {
	now := metav1.Now()
	uses := func(name string) corev1.VolumeSource {
		return corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: name}}
	}
	for name, c := range map[string]struct {
		going      bool
		finalizers []string
		pods       []*corev1.Pod
		want       []string // the finalizers written; nil: nothing is
	}{
		"protected":                 {finalizers: []string{pvcprotection.Finalizer}},
		"not protected":             {finalizers: []string{"other"}, want: []string{"other", pvcprotection.Finalizer}},
		"deleted, unused":           {going: true, finalizers: []string{pvcprotection.Finalizer, "other"}, pods: []*corev1.Pod{pod("ns", "n", uses("b"))}, want: []string{"other"}},
		"deleted, used":             {going: true, finalizers: []string{pvcprotection.Finalizer}, pods: []*corev1.Pod{pod("ns", "n", uses("web-data"))}},
		"deleted, waiting":          {going: true, finalizers: []string{pvcprotection.Finalizer}, pods: []*corev1.Pod{pod("ns", "", uses("web-data"))}, want: []string{}},
		"deleted, other namespace":  {going: true, finalizers: []string{pvcprotection.Finalizer}, pods: []*corev1.Pod{pod("other", "n", uses("web-data"))}, want: []string{}},
		"deleted, made for the pod": {going: true, finalizers: []string{pvcprotection.Finalizer}, pods: []*corev1.Pod{pod("ns", "n", corev1.VolumeSource{Ephemeral: &corev1.EphemeralVolumeSource{}})}},
		"deleted, done here":        {going: true, finalizers: []string{"other"}},
	} {
		t.Run(name, func(t *testing.T) {
			claim := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "web-data", Finalizers: c.finalizers}}
			if c.going {
				claim.DeletionTimestamp = &now
			}
			actions := pvcprotection.Plan(pvcprotection.Observed{Claim: claim, Pods: c.pods}).Actions
			if c.want == nil {
				if len(actions) != 0 {
					t.Errorf("%+v, want nothing", actions)
				}
				return
			}
			if len(actions) != 1 {
				t.Fatalf("%+v, want one update", actions)
			}
			if got := actions[0].(reconcile.Update).Object.(*corev1.PersistentVolumeClaim).Finalizers; !slices.Equal(got, c.want) {
				t.Errorf("finalizers %v, want %v", got, c.want)
			}
		})
	}
}

// TestUnused: the condition follows the pods that use the claim, once each way.
func TestUnused(t *testing.T) {
	claim := &corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "c", Finalizers: []string{pvcprotection.Finalizer}}}
	claim.Status.Phase = corev1.ClaimBound
	user := pod("ns", "", corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{ClaimName: "c"}})
	ended := user.DeepCopy()
	ended.Status.Phase = corev1.PodFailed
	for _, step := range []struct {
		pods []*corev1.Pod
		want corev1.ConditionStatus
	}{{nil, corev1.ConditionTrue}, {[]*corev1.Pod{user}, corev1.ConditionFalse}, {[]*corev1.Pod{ended}, corev1.ConditionTrue}} {
		o := pvcprotection.Observed{Claim: claim, Pods: step.pods}
		actions := pvcprotection.Plan(o).Actions
		if len(actions) != 1 {
			t.Fatalf("%+v, want one update", actions)
		}
		claim = actions[0].(reconcile.UpdateStatus).Object.(*corev1.PersistentVolumeClaim)
		if got := claim.Status.Conditions; len(got) != 1 || got[0].Status != step.want || got[0].Type != corev1.PersistentVolumeClaimUnused {
			t.Errorf("%+v, want %s", got, step.want)
		}
		o.Claim = claim
		if again := pvcprotection.Plan(o).Actions; len(again) != 0 {
			t.Errorf("written again: %+v", again)
		}
	}
}
