package workload

import (
	"context"
	_ "embed"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pintle-io/pintle/conformance/suite"
)

//go:embed pausedrollout.yaml
var pausedRolloutYAML string

func pausedRollout() suite.Case {
	return suite.Case{
		Name:     "workload/paused-rollout",
		Promise:  "a paused Deployment is scaled but not rolled; when it is resumed, all changes are one rollout",
		Manifest: pausedRolloutYAML,
		Run: func(ctx context.Context, e *suite.Env) error {
			if err := e.Apply(ctx); err != nil {
				return err
			}
			if err := settled(ctx, e, "web", 2); err != nil {
				return err
			}
			for _, args := range [][]string{
				{"rollout", "pause", "deployment/web"}, {"set", "env", "deployment/web", "COLOUR=blue"},
				{"set", "env", "deployment/web", "SIZE=large"}, {"scale", "deployment/web", "--replicas=3"},
			} {
				if _, err := e.Kubectl(ctx, args...); err != nil {
					return err
				}
			}
			err := e.Eventually(ctx, time.Minute, "the paused deployment to have 3 pods", func(ctx context.Context) (bool, string, error) {
				d, err := e.Kube.AppsV1().Deployments(e.Namespace).Get(ctx, "web", metav1.GetOptions{})
				if err != nil {
					return false, "", err
				}
				s := d.Status
				paused := reasonOf(d, appsv1.DeploymentProgressing) == "DeploymentPaused"
				return paused && s.ObservedGeneration >= d.Generation && s.AvailableReplicas == 3, fmt.Sprintf("%+v", s), nil
			})
			if err != nil {
				return err
			}
			if err := replicaSets(ctx, e, 3); err != nil {
				return fmt.Errorf("while paused: %w", err)
			}
			if _, err := e.Kubectl(ctx, "rollout", "resume", "deployment/web"); err != nil {
				return err
			}
			if err := settled(ctx, e, "web", 3); err != nil {
				return err
			}
			return replicaSets(ctx, e, 0, 3)
		},
	}
}

// replicaSets checks how many pods each ReplicaSet is to have, the oldest first.
func replicaSets(ctx context.Context, e *suite.Env, want ...int32) error {
	got, err := replicasByRevision(ctx, e)
	if err != nil {
		return err
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		return fmt.Errorf("the ReplicaSets are to have %v pods, want %v", got, want)
	}
	return nil
}

func reasonOf(d *appsv1.Deployment, kind appsv1.DeploymentConditionType) string {
	for _, c := range d.Status.Conditions {
		if c.Type == kind {
			return c.Reason
		}
	}
	return ""
}
