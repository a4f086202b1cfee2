package workload

import (
	"context"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pintle-io/pintle/conformance/suite"
)

func propagation() suite.Case {
	return suite.Case{
		Name:     "workload/propagation",
		Promise:  "deleting an owner orphans, or removes in background or foreground, what it owns",
		Needs:    []suite.Feature{suite.Containers},
		Manifest: rolloutYAML,
		Run: func(ctx context.Context, e *suite.Env) error {
			for _, how := range []struct {
				cascade string
				kept    bool
			}{{"orphan", true}, {"background", false}, {"foreground", false}} {
				if err := e.Apply(ctx); err != nil {
					return err
				}
				if err := settled(ctx, e, "web", 3); err != nil {
					return fmt.Errorf("%s: %w", how.cascade, err)
				}
				if _, err := e.Kubectl(ctx, "delete", "deployment", "web", "--cascade="+how.cascade, "--timeout=60s"); err != nil {
					return err
				}
				if err := ownedAfter(ctx, e, how.cascade, how.kept); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

// ownedAfter waits until the ReplicaSet and its pods are free of the Deployment
// (kept) or gone.
func ownedAfter(ctx context.Context, e *suite.Env, cascade string, kept bool) error {
	return e.Eventually(ctx, 45*time.Second, "the dependents after "+cascade, func(ctx context.Context) (bool, string, error) {
		sets, err := e.Kube.AppsV1().ReplicaSets(e.Namespace).List(ctx, metav1.ListOptions{LabelSelector: "app=web"})
		if err != nil {
			return false, "", err
		}
		pods, err := e.Kube.CoreV1().Pods(e.Namespace).List(ctx, metav1.ListOptions{LabelSelector: "app=web"})
		if err != nil {
			return false, "", err
		}
		state := fmt.Sprintf("%d replica sets, %d pods", len(sets.Items), len(pods.Items))
		if !kept {
			return len(sets.Items) == 0 && len(pods.Items) == 0, state, nil
		}
		return len(sets.Items) == 1 && len(sets.Items[0].OwnerReferences) == 0 && len(pods.Items) == 3, state, nil
	})
}
