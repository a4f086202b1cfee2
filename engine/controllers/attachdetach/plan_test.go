package attachdetach_test

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"

	"github.com/pintle-io/pintle/engine/controllers/attachdetach"
	"github.com/pintle-io/pintle/engine/controllers/plantest"
	"github.com/pintle-io/pintle/engine/reconcile"
)

// TestScenarios plans all nodes and those that only attachments name. The claims
// of pods are named like their volumes; all of it is unused since the start of 2030.
func TestScenarios(t *testing.T) {
	plantest.Run(t, func(w *plantest.World) reconcile.Result {
		nodes := map[string]*corev1.Node{}
		names := []string{}
		for _, node := range plantest.List[*corev1.Node](w) {
			nodes[node.Name] = node
			names = append(names, node.Name)
		}
		for _, a := range plantest.List[*storagev1.VolumeAttachment](w) {
			if _, known := nodes[a.Spec.NodeName]; !known {
				nodes[a.Spec.NodeName] = nil
				names = append(names, a.Spec.NodeName)
			}
		}
		var all reconcile.Result
		for _, name := range names {
			result := attachdetach.Plan(observe(w, name, nodes[name]))
			all.Add(result.Actions...)
			if result.RequeueAfter > 0 {
				all.RequeueIn(result.RequeueAfter)
			}
		}
		return all
	}, nil)
}

func observe(w *plantest.World, name string, node *corev1.Node) attachdetach.Observed {
	o := attachdetach.Observed{
		Name: name, Node: node, Uses: map[string]attachdetach.Use{}, Volumes: map[string]*corev1.PersistentVolume{}, Unused: map[string]time.Time{}, Now: w.Now,
	}
	for _, pv := range plantest.List[*corev1.PersistentVolume](w) {
		o.Volumes[pv.Name] = pv
		o.Unused[pv.Name] = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
		for _, pod := range plantest.List[*corev1.Pod](w) {
			if pod.Spec.NodeName == name && pod.Spec.Volumes[0].PersistentVolumeClaim.ClaimName == pv.Name {
				o.Uses[pv.Name] = attachdetach.Use{Volume: pv, Pod: pod}
			}
		}
	}
	for _, a := range plantest.List[*storagev1.VolumeAttachment](w) {
		if a.Spec.NodeName == name {
			o.Attachments = append(o.Attachments, a)
		} else {
			o.Elsewhere = append(o.Elsewhere, a)
		}
	}
	return o
}
