package garbage_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/pintle-io/pintle/engine/controllers/garbage"
	"github.com/pintle-io/pintle/engine/controllers/podset"
	"github.com/pintle-io/pintle/engine/reconcile"
)

func item(name string, finalizers ...string) garbage.Item {
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name, UID: "uid", ResourceVersion: "7"}}
	if len(finalizers) > 0 {
		now := metav1.Now()
		pod.DeletionTimestamp, pod.Finalizers = &now, finalizers
	}
	return garbage.Item{Resource: podset.Resource, Object: pod, Meta: pod}
}

func owners(states ...garbage.State) []garbage.Owner {
	var out []garbage.Owner
	for i, state := range states {
		out = append(out, garbage.Owner{OwnerReference: metav1.OwnerReference{UID: ownerUID(i)}, State: state})
	}
	return out
}

func words(result reconcile.Result) string {
	var out []string
	for _, action := range result.Actions {
		switch a := action.(type) {
		case reconcile.Delete:
			out = append(out, fmt.Sprintf("delete %s %s if %s", a.Name, a.Propagation, a.ResourceVersion))
		case reconcile.Update:
			m := a.Object.(metav1.Object)
			out = append(out, fmt.Sprintf("update %s owners=%d finalizers=%v", m.GetName(), len(m.GetOwnerReferences()), m.GetFinalizers()))
		case reconcile.Patch:
			out = append(out, fmt.Sprintf("patch %s %s", a.Name, a.Data))
		}
	}
	return strings.Join(out, "; ")
}

func TestPlan(t *testing.T) {
	owned := item("a")
	owned.Meta.SetOwnerReferences([]metav1.OwnerReference{{UID: ownerUID(0)}, {UID: ownerUID(1)}})
	dependent := item("child")
	dependent.Meta.SetOwnerReferences([]metav1.OwnerReference{{UID: "uid"}})
	custom := garbage.Item{Resource: podset.Resource, Object: &metav1.PartialObjectMetadata{ObjectMeta: *owned.Object.(*corev1.Pod).ObjectMeta.DeepCopy()}}
	custom.Meta = custom.Object.(*metav1.PartialObjectMetadata)

	for name, c := range map[string]struct {
		observed garbage.Observed
		want     string
	}{
		"no owners":                     {garbage.Observed{Item: owned}, ""},
		"owner present":                 {garbage.Observed{Item: owned, Owners: owners(garbage.Present)}, ""},
		"owner absent":                  {garbage.Observed{Item: owned, Owners: owners(garbage.Absent)}, "delete a Background if 7"},
		"one of two absent":             {garbage.Observed{Item: owned, Owners: owners(garbage.Absent, garbage.Present)}, "update a owners=1 finalizers=[]"},
		"one of two absent, custom":     {garbage.Observed{Item: custom, Owners: owners(garbage.Absent, garbage.Present)}, `patch a {"metadata":{"ownerReferences":[{"apiVersion":"","kind":"","name":"","uid":"owner1"}],"resourceVersion":"7","uid":"uid"}}`},
		"owner waits":                   {garbage.Observed{Item: owned, Owners: owners(garbage.Waiting)}, "delete a Background if 7"},
		"owner waits, with dependents":  {garbage.Observed{Item: owned, Owners: owners(garbage.Waiting), Dependents: []garbage.Dependent{{Item: dependent}}}, "delete a Foreground if 7"},
		"already deleted":               {garbage.Observed{Item: item("a", "example.test/mine"), Owners: owners(garbage.Absent)}, ""},
		"foreground, nothing blocks":    {garbage.Observed{Item: item("a", metav1.FinalizerDeleteDependents), Dependents: []garbage.Dependent{{Item: dependent}}}, "update a owners=0 finalizers=[]"},
		"foreground, a dependent block": {garbage.Observed{Item: item("a", metav1.FinalizerDeleteDependents), Dependents: []garbage.Dependent{{Item: dependent, Blocks: true}}}, ""},
		"orphan, a dependent left":      {garbage.Observed{Item: item("a", metav1.FinalizerOrphanDependents), Dependents: []garbage.Dependent{{Item: dependent}}}, "update child owners=0 finalizers=[]"},
		"orphan, none left":             {garbage.Observed{Item: item("a", metav1.FinalizerOrphanDependents)}, "update a owners=0 finalizers=[]"},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, words(garbage.Plan(c.observed))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func ownerUID(i int) types.UID { return types.UID(fmt.Sprint("owner", i)) }
