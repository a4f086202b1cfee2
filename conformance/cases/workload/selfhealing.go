package workload

import (
	"context"
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pintle-io/pintle/conformance/suite"
)

func selfHealing() suite.Case {
	return suite.Case{
		Name:     "workload/self-healing",
		Promise:  "a deleted pod is replaced, a pod that leaves the selector is let go, and scaling reaches the number asked for",
		Needs:    []suite.Feature{suite.Containers},
		Manifest: rolloutYAML,
		Run: func(ctx context.Context, e *suite.Env) error {
			if err := e.Apply(ctx); err != nil {
				return err
			}
			if err := settled(ctx, e, "web", 3); err != nil {
				return err
			}
			before, err := e.PodNames(ctx, "app=web")
			if err != nil {
				return err
			}
			if err := e.Kube.CoreV1().Pods(e.Namespace).Delete(ctx, before[0], metav1.DeleteOptions{}); err != nil {
				return err
			}
			err = e.Eventually(ctx, 30*time.Second, "three pods without the deleted one", func(ctx context.Context) (bool, string, error) {
				now, err := e.PodNames(ctx, "app=web")
				return len(now) == 3 && !slices.Contains(now, before[0]), fmt.Sprint(now), err
			})
			if err != nil {
				return err
			}
			if _, err := e.Kubectl(ctx, "label", "pod", before[1], "app=freed", "--overwrite"); err != nil {
				return err
			}
			err = e.Eventually(ctx, 30*time.Second, "the freed pod to lose its owner and be replaced", func(ctx context.Context) (bool, string, error) {
				p, err := e.Kube.CoreV1().Pods(e.Namespace).Get(ctx, before[1], metav1.GetOptions{})
				if err != nil {
					return false, "", err
				}
				now, err := e.PodNames(ctx, "app=web")
				return len(p.OwnerReferences) == 0 && len(now) == 3, fmt.Sprint(p.OwnerReferences, now), err
			})
			if err != nil {
				return err
			}
			if _, err := e.Kubectl(ctx, "scale", "deployment/web", "--replicas=5"); err != nil {
				return err
			}
			return settled(ctx, e, "web", 5)
		},
	}
}
