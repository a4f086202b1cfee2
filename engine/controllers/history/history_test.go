package history_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/pintle-io/pintle/engine/controllers/history"
	"github.com/pintle-io/pintle/engine/reconcile"
)

// world is a stored history that Sync's actions are applied to.
type world struct {
	t         *testing.T
	revisions []*appsv1.ControllerRevision
}

// roll makes image the template's and returns the current revision.
func (w *world) roll(image string, inUse ...string) *appsv1.ControllerRevision {
	w.t.Helper()
	set := &appsv1.DaemonSet{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "agent", UID: "u"}}
	template := &corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "agent"}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: image}}},
	}
	used := map[string]bool{}
	for _, name := range inUse {
		used[name] = true
	}
	current, actions := history.Sync(history.Owner{
		Object: set, Kind: appsv1.SchemeGroupVersion.WithKind("DaemonSet"), Template: template, Limit: ptr.To[int32](1), HashLabel: "hash",
	}, w.revisions, used)
	for _, action := range actions {
		switch a := action.(type) {
		case reconcile.Create:
			w.revisions = append(w.revisions, a.Object.(*appsv1.ControllerRevision))
		case reconcile.Update:
			for i, r := range w.revisions {
				if r.Name == a.Object.(*appsv1.ControllerRevision).Name {
					w.revisions[i] = a.Object.(*appsv1.ControllerRevision)
				}
			}
		case reconcile.Delete:
			for i, r := range w.revisions {
				if r.Name == a.Name {
					w.revisions = append(w.revisions[:i:i], w.revisions[i+1:]...)
					break
				}
			}
		}
	}
	return current
}

func (w *world) numbers() map[string]int64 {
	numbers := map[string]int64{}
	for _, r := range w.revisions {
		numbers[history.Template(r).Spec.Containers[0].Image] = r.Revision
	}
	return numbers
}

func TestHistory(t *testing.T) {
	w := &world{t: t}
	first := w.roll("v1")
	if first.Name != "agent-"+first.Labels["hash"] || first.Labels["app"] != "agent" || first.Labels["hash"] == "" {
		t.Errorf("the first revision is %s with labels %v", first.Name, first.Labels)
	}
	if again := w.roll("v1"); again.Name != first.Name || len(w.revisions) != 1 {
		t.Errorf("the same template made %d revisions", len(w.revisions))
	}
	second := w.roll("v2", first.Name)
	if diff := cmp.Diff(map[string]int64{"v1": 1, "v2": 2}, w.numbers()); diff != "" {
		t.Errorf("after an update (-want +got):\n%s", diff)
	}
	if back := w.roll("v1", second.Name); back.Name != first.Name {
		t.Errorf("a rollback is to %s, want %s", back.Name, first.Name)
	}
	if diff := cmp.Diff(map[string]int64{"v1": 3, "v2": 2}, w.numbers()); diff != "" {
		t.Errorf("after a rollback (-want +got):\n%s", diff)
	}
	w.roll("v3")
	w.roll("v4")
	// One beyond the current and those in use is kept: the youngest.
	if diff := cmp.Diff(map[string]int64{"v3": 4, "v4": 5}, w.numbers()); diff != "" {
		t.Errorf("after cleaning (-want +got):\n%s", diff)
	}
}
