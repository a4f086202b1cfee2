package workload

import (
	"context"
	_ "embed"
	"fmt"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pintle-io/pintle/conformance/suite"
)

//go:embed job.yaml
var jobYAML string

func job() suite.Case {
	return suite.Case{
		Name:     "workload/job",
		Promise:  "a job runs its completions and is Complete; one that keeps failing stops at its back-off limit and says so",
		Needs:    []suite.Feature{suite.Containers},
		Manifest: jobYAML,
		Run: func(ctx context.Context, e *suite.Env) error {
			if err := e.Apply(ctx); err != nil {
				return err
			}
			done, err := ended(ctx, e, "sums", batchv1.JobComplete)
			if err != nil {
				return err
			}
			if done.Status.Succeeded != 3 || done.Status.CompletionTime == nil {
				return fmt.Errorf("status of the finished job: %+v", done.Status)
			}
			indexes := map[string]bool{}
			pods, err := e.Kube.CoreV1().Pods(e.Namespace).List(ctx, metav1.ListOptions{LabelSelector: "job-name=sums"})
			if err != nil {
				return err
			}
			for _, p := range pods.Items {
				indexes[p.Annotations[batchv1.JobCompletionIndexAnnotation]] = true
				log, err := e.Kubectl(ctx, "logs", p.Name)
				if err != nil {
					return err
				}
				if want := "index " + p.Annotations[batchv1.JobCompletionIndexAnnotation]; strings.TrimSpace(log) != want {
					return fmt.Errorf("pod %s logged %q, want %q", p.Name, log, want)
				}
			}
			if len(indexes) != 3 {
				return fmt.Errorf("completion indexes %v, want 0, 1 and 2", indexes)
			}
			failed, err := ended(ctx, e, "fails", batchv1.JobFailed)
			if err != nil {
				return err
			}
			for _, c := range failed.Status.Conditions {
				if c.Type == batchv1.JobFailed && c.Reason != batchv1.JobReasonBackoffLimitExceeded {
					return fmt.Errorf("the failed job's reason is %q", c.Reason)
				}
			}
			return nil
		},
	}
}

func ended(ctx context.Context, e *suite.Env, name string, how batchv1.JobConditionType) (*batchv1.Job, error) {
	var job *batchv1.Job
	err := e.Eventually(ctx, 90*time.Second, fmt.Sprintf("job %s to be %s", name, how), func(ctx context.Context) (bool, string, error) {
		var err error
		if job, err = e.Kube.BatchV1().Jobs(e.Namespace).Get(ctx, name, metav1.GetOptions{}); err != nil {
			return false, "", err
		}
		for _, c := range job.Status.Conditions {
			if c.Type == how && c.Status == corev1.ConditionTrue {
				return true, "", nil
			}
		}
		return false, fmt.Sprintf("%+v", job.Status), nil
	})
	return job, err
}
