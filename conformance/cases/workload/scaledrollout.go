package workload

import (
	"cmp"
	"context"
	_ "embed"
	"fmt"
	"slices"
	"strconv"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pintle-io/pintle/conformance/suite"
)

//go:embed scaledrollout.yaml
var scaledRolloutYAML string

func scaledRollout() suite.Case {
	return suite.Case{
		Name:     "workload/scaled-rollout",
		Promise:  "a Deployment that is scaled in the middle of a rollout grows its old and new pods in proportion",
		Needs:    []suite.Feature{suite.Containers},
		Manifest: scaledRolloutYAML,
		Run: func(ctx context.Context, e *suite.Env) error {
			if err := e.Apply(ctx); err != nil {
				return err
			}
			if err := settled(ctx, e, "web", 4); err != nil {
				return err
			}
			// The rollout gets stuck half way: 4 and 2 more, of which 3 are available.
			if _, err := e.Kubectl(ctx, "patch", "deployment/web", "--patch", breaks); err != nil {
				return err
			}
			if err := divided(ctx, e, 3, 3); err != nil {
				return err
			}
			// 8 and 2 more: both sets grow to five thirds of their size.
			if _, err := e.Kubectl(ctx, "scale", "deployment/web", "--replicas=8"); err != nil {
				return err
			}
			if err := divided(ctx, e, 5, 5); err != nil {
				return err
			}
			if _, err := e.Kubectl(ctx, "rollout", "undo", "deployment/web"); err != nil {
				return err
			}
			return settled(ctx, e, "web", 8)
		},
	}
}

// divided waits until the ReplicaSets are to have so many pods, the oldest first.
func divided(ctx context.Context, e *suite.Env, want ...int32) error {
	what := fmt.Sprintf("the ReplicaSets to be asked for %v pods", want)
	return e.Eventually(ctx, time.Minute, what, func(ctx context.Context) (bool, string, error) {
		got, err := replicasByRevision(ctx, e)
		return slices.Equal(got, want), fmt.Sprint(got), err
	})
}

// replicasByRevision lists how many pods each ReplicaSet is to have.
func replicasByRevision(ctx context.Context, e *suite.Env) ([]int32, error) {
	list, err := e.Kube.AppsV1().ReplicaSets(e.Namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, err
	}
	revision := func(rs appsv1.ReplicaSet) int {
		n, err := strconv.Atoi(rs.Annotations["deployment.kubernetes.io/revision"])
		if err != nil {
			return 0 // not noted yet
		}
		return n
	}
	slices.SortFunc(list.Items, func(a, b appsv1.ReplicaSet) int { return cmp.Compare(revision(a), revision(b)) })
	var out []int32
	for _, rs := range list.Items {
		out = append(out, *rs.Spec.Replicas)
	}
	return out, nil
}
