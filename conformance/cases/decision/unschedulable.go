package decision

import (
	"context"
	_ "embed"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pintle-io/pintle/conformance/suite"
)

//go:embed unschedulable.yaml
var unschedulableYAML string

func unschedulable() suite.Case {
	return suite.Case{
		Name:     "decision/unschedulable",
		Promise:  "a pod that fits nowhere says why in its condition and in the decision record, and is placed once it fits",
		Needs:    []suite.Feature{suite.Decisions},
		Manifest: unschedulableYAML,
		Run: func(ctx context.Context, e *suite.Env) error {
			if err := e.Apply(ctx); err != nil {
				return err
			}
			err := scheduled(ctx, e, "choosy", corev1.ConditionFalse, "node(s) didn't match Pod's node affinity/selector")
			if err != nil {
				return err
			}
			path := "/apis/decisions.pintle.io/v1alpha1/namespaces/" + e.Namespace + "/decisions?object=pod/choosy"
			record, err := e.Kube.Discovery().RESTClient().Get().RequestURI(path).DoRaw(ctx)
			if err != nil {
				return fmt.Errorf("read the decision record: %w", err)
			}
			if !strings.Contains(string(record), "affinity") {
				return fmt.Errorf("the record does not name the predicate: %s", record)
			}
			nodes, err := e.Kube.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
			if err != nil {
				return err
			}
			label := "case.example.com/" + e.Namespace
			if _, err := e.Kubectl(ctx, "label", "node", nodes.Items[0].Name, label+"=yes"); err != nil {
				return err
			}
			defer func() { _, _ = e.Kubectl(context.WithoutCancel(ctx), "label", "node", nodes.Items[0].Name, label+"-") }()
			return scheduled(ctx, e, "choosy", corev1.ConditionTrue, "")
		},
	}
}

func scheduled(ctx context.Context, e *suite.Env, name string, want corev1.ConditionStatus, message string) error {
	return e.Eventually(ctx, 30*time.Second, fmt.Sprintf("pod %s to have PodScheduled=%s", name, want), func(ctx context.Context) (bool, string, error) {
		p, err := e.Kube.CoreV1().Pods(e.Namespace).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return false, "", err
		}
		for _, c := range p.Status.Conditions {
			if c.Type == corev1.PodScheduled && c.Status == want {
				return strings.Contains(c.Message, message), c.Message, nil
			}
		}
		return false, fmt.Sprint(p.Status.Conditions), nil
	})
}
