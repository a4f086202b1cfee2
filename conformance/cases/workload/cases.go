// Package workload holds the cases about controllers: what is asked for comes to
// be, and goes away as asked. They need a node that runs the image or a fake
// one; all but those marked Containers pass on fake nodes.
package workload

import (
	"context"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pintle-io/pintle/conformance/suite"
)

// Cases lists the package's cases.
func Cases() []suite.Case {
	return []suite.Case{
		rollout(), pausedRollout(), brokenRollout(), scaledRollout(), selfHealing(), propagation(), namespaceDeletion(), job(),
	}
}

// settled waits until a Deployment's status says that want pods of the current
// template, and no others, are available.
func settled(ctx context.Context, e *suite.Env, name string, want int32) error {
	return e.Eventually(ctx, time.Minute, fmt.Sprintf("deployment %s to settle at %d", name, want), func(ctx context.Context) (bool, string, error) {
		d, err := e.Kube.AppsV1().Deployments(e.Namespace).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return false, "", err
		}
		return isSettled(d, want), fmt.Sprintf("generation %d, status %+v", d.Generation, d.Status), nil
	})
}

func isSettled(d *appsv1.Deployment, want int32) bool {
	s := d.Status
	return s.ObservedGeneration >= d.Generation && s.Replicas == want && s.UpdatedReplicas == want && s.AvailableReplicas == want
}
