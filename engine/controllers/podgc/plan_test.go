package podgc_test

import (
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pintle-io/pintle/engine/controllers/podgc"
)

func TestPlan(t *testing.T) {
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	at := metav1.NewTime(now)
	for name, c := range map[string]struct {
		node    string
		deleted bool
		missing time.Duration
		want    string
	}{
		"waiting for a node":          {want: "[]"},
		"deleted before it had one":   {deleted: true, want: "[reconcile.Delete]"},
		"on a node":                   {node: "a", deleted: true, want: "[]"},
		"node missing for a moment":   {node: "a", missing: time.Second, want: "[] again in 39s"},
		"node missing for too long":   {node: "a", missing: time.Minute, want: "[reconcile.UpdateStatus reconcile.Delete]"},
		"deleted, and node long gone": {node: "a", deleted: true, missing: time.Minute, want: "[reconcile.UpdateStatus reconcile.Delete]"},
	} {
		t.Run(name, func(t *testing.T) {
			o := podgc.Observed{Pod: &corev1.Pod{Spec: corev1.PodSpec{NodeName: c.node}}, Now: now}
			if c.deleted {
				o.Pod.DeletionTimestamp = &at
			}
			if c.missing > 0 {
				o.NodeMissingSince = now.Add(-c.missing)
			}
			result := podgc.Plan(o)
			var kinds []string
			for _, action := range result.Actions {
				kinds = append(kinds, fmt.Sprintf("%T", action))
			}
			got := fmt.Sprint(kinds)
			if result.RequeueAfter > 0 {
				got += " again in " + result.RequeueAfter.String()
			}
			if got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}
