package workload

import (
	"context"
	_ "embed"
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pintle-io/pintle/conformance/suite"
)

//go:embed rollout.yaml
var rolloutYAML string

func rollout() suite.Case {
	return suite.Case{
		Name:     "workload/rollout",
		Promise:  "a new template is rolled out, rollout status tells when it is done, and undo --to-revision brings an old one back",
		Needs:    []suite.Feature{suite.Containers},
		Manifest: rolloutYAML,
		Run: func(ctx context.Context, e *suite.Env) error {
			if err := e.Apply(ctx); err != nil {
				return err
			}
			if err := settled(ctx, e, "web", 3); err != nil {
				return err
			}
			if _, err := e.Kubectl(ctx, "set", "env", "deployment/web", "COLOUR=blue"); err != nil {
				return err
			}
			if _, err := e.Kubectl(ctx, "rollout", "status", "deployment/web", "--timeout=60s"); err != nil {
				return err
			}
			history, err := e.Kubectl(ctx, "rollout", "history", "deployment/web")
			if err != nil {
				return err
			}
			if !strings.Contains(history, "\n1 ") || !strings.Contains(history, "\n2 ") {
				return fmt.Errorf("history does not list revisions 1 and 2:\n%s", history)
			}
			if _, err := e.Kubectl(ctx, "rollout", "undo", "deployment/web", "--to-revision=1"); err != nil {
				return err
			}
			if err := settled(ctx, e, "web", 3); err != nil {
				return err
			}
			d, err := e.Kube.AppsV1().Deployments(e.Namespace).Get(ctx, "web", metav1.GetOptions{})
			if err != nil {
				return err
			}
			if got := d.Spec.Template.Spec.Containers[0].Env; len(got) != 0 {
				return fmt.Errorf("after undo the template still has env %v", got)
			}
			if got := d.Annotations["deployment.kubernetes.io/revision"]; got != "3" {
				return fmt.Errorf("after undo the revision is %q, want 3", got)
			}
			sets, err := e.Kube.AppsV1().ReplicaSets(e.Namespace).List(ctx, metav1.ListOptions{})
			if err != nil {
				return err
			}
			if len(sets.Items) != 2 {
				return fmt.Errorf("undo made a new ReplicaSet: there are %d, want 2", len(sets.Items))
			}
			return nil
		},
	}
}
