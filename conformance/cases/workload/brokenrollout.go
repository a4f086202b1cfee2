package workload

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pintle-io/pintle/conformance/suite"
)

//go:embed brokenrollout.yaml
var brokenRolloutYAML string

// breaks is a patch to a version whose container ends at once, again and again.
const breaks = `{"spec":{"template":{"spec":{"containers":[{"name":"main","command":["false"]}]}}}}`

func brokenRollout() suite.Case {
	return suite.Case{
		Name:     "workload/broken-rollout",
		Promise:  "a crash-looping version does not take over: the old pods stay, the deadline is reported, and undo ends it",
		Needs:    []suite.Feature{suite.Containers},
		Manifest: brokenRolloutYAML,
		Run: func(ctx context.Context, e *suite.Env) error {
			if err := e.Apply(ctx); err != nil {
				return err
			}
			if err := settled(ctx, e, "web", 2); err != nil {
				return err
			}
			if _, err := e.Kubectl(ctx, "patch", "deployment/web", "--patch", breaks); err != nil {
				return err
			}
			if _, err := e.Kubectl(ctx, "rollout", "status", "deployment/web", "--timeout=60s"); err == nil {
				return errors.New("rollout status reports success of a version that never ran")
			} else if !strings.Contains(err.Error(), "exceeded its progress deadline") {
				return fmt.Errorf("rollout status does not tell that the deadline is over: %w", err)
			}
			d, err := e.Kube.AppsV1().Deployments(e.Namespace).Get(ctx, "web", metav1.GetOptions{})
			if err != nil {
				return err
			}
			if got := reasonOf(d, appsv1.DeploymentProgressing); got != "ProgressDeadlineExceeded" {
				return fmt.Errorf("the condition Progressing has reason %q", got)
			}
			if s := d.Status; s.AvailableReplicas != 2 || s.UpdatedReplicas != 1 {
				return fmt.Errorf("%d pods are available and %d updated, want 2 and 1", s.AvailableReplicas, s.UpdatedReplicas)
			}
			if _, err := e.Kubectl(ctx, "rollout", "undo", "deployment/web"); err != nil {
				return err
			}
			if _, err := e.Kubectl(ctx, "rollout", "status", "deployment/web", "--timeout=60s"); err != nil {
				return err
			}
			return settled(ctx, e, "web", 2)
		},
	}
}
