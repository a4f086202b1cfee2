package namespace_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/pintle-io/pintle/engine/controllers/namespace"
	"github.com/pintle-io/pintle/engine/reconcile"
)

var (
	now     = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	pods    = schema.GroupVersionResource{Version: "v1", Resource: "pods"}
	secrets = schema.GroupVersionResource{Version: "v1", Resource: "secrets"}
	customs = schema.GroupVersionResource{Group: "example.test", Version: "v1", Resource: "customs"}
)

func terminating() *corev1.Namespace {
	at := metav1.NewTime(now)
	return &corev1.Namespace{
		ObjectMeta: metav1.ObjectMeta{Name: "ns", DeletionTimestamp: &at},
		Spec:       corev1.NamespaceSpec{Finalizers: []corev1.FinalizerName{corev1.FinalizerKubernetes, "example.test/other"}},
	}
}

func deleted(result reconcile.Result) []string {
	var out []string
	for _, action := range result.Actions {
		if d, ok := action.(reconcile.DeleteCollection); ok {
			out = append(out, d.Resource.Resource)
		}
	}
	return out
}

func TestPodsGoFirst(t *testing.T) {
	left := []namespace.Content{{Resource: customs, Count: 1, Living: 1}, {Resource: pods, Count: 2, Living: 1}, {Resource: secrets, Count: 1, Living: 1}}
	if diff := cmp.Diff([]string{"pods"}, deleted(namespace.Plan(namespace.Observed{Namespace: terminating(), Left: left, Now: now}))); diff != "" {
		t.Error(diff)
	}
	left[1].Living = 0 // marked, but still stopping: the rest waits on
	if got := deleted(namespace.Plan(namespace.Observed{Namespace: terminating(), Left: left, Now: now})); len(got) != 0 {
		t.Errorf("deleted %v while pods stop", got)
	}
	left = []namespace.Content{left[0], left[2]}
	if diff := cmp.Diff([]string{"secrets", "customs"}, deleted(namespace.Plan(namespace.Observed{Namespace: terminating(), Left: left, Now: now}))); diff != "" {
		t.Error(diff)
	}
}

func TestConditionsNameWhatIsLeft(t *testing.T) {
	result := namespace.Plan(namespace.Observed{Namespace: terminating(), Now: now, Left: []namespace.Content{
		{Resource: customs, Count: 2, Finalizers: map[string]int{"example.test/hold": 2}},
	}})
	messages := map[corev1.NamespaceConditionType]string{}
	for _, c := range result.Actions[0].(reconcile.UpdateStatus).Object.(*corev1.Namespace).Status.Conditions {
		if c.Status == corev1.ConditionTrue {
			messages[c.Type] = c.Message
		}
	}
	want := map[corev1.NamespaceConditionType]string{
		corev1.NamespaceContentRemaining:    "Some resources are remaining: customs.example.test has 2 resource instances",
		corev1.NamespaceFinalizersRemaining: "Some content in the namespace has finalizers remaining: example.test/hold in 2 resource instances",
	}
	if diff := cmp.Diff(want, messages); diff != "" {
		t.Error(diff)
	}
	if result.RequeueAfter == 0 {
		t.Error("a namespace that is not empty is not looked at again")
	}
}

// TestNotFinalizedBlindly: what could not be listed may still be there.
func TestNotFinalizedBlindly(t *testing.T) {
	for name, o := range map[string]namespace.Observed{
		"discovery failed": {DiscoveryErr: errors.New("no")},
		"list failed":      {ListErr: errors.New("no")},
	} {
		o.Namespace, o.Now = terminating(), now
		for range 2 {
			result := namespace.Plan(o)
			for _, action := range result.Actions {
				switch a := action.(type) {
				case reconcile.Update:
					t.Errorf("%s, and yet finalized", name)
				case reconcile.UpdateStatus:
					o.Namespace = a.Object.(*corev1.Namespace)
				}
			}
		}
	}
}

func TestEmptyIsFinalized(t *testing.T) {
	o := namespace.Observed{Namespace: terminating(), Now: now}
	o.Namespace = namespace.Plan(o).Actions[0].(reconcile.UpdateStatus).Object.(*corev1.Namespace)
	result := namespace.Plan(o)
	update, ok := result.Actions[0].(reconcile.Update)
	if !ok || update.Subresource != "finalize" {
		t.Fatalf("actions %v", result.Actions)
	}
	if diff := cmp.Diff([]corev1.FinalizerName{"example.test/other"}, update.Object.(*corev1.Namespace).Spec.Finalizers); diff != "" {
		t.Error(diff)
	}
}
