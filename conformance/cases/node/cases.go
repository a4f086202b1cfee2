// Package node holds the cases about what happens on a node: containers, their
// environment, probes, logs, exec, and how they reach each other.
package node

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pintle-io/pintle/conformance/suite"
)

// Cases lists the package's cases.
func Cases() []suite.Case {
	return []suite.Case{configuration(), probes(), streams(), service(), crashLoop()}
}

// pod waits until ok says yes of the named pod.
func pod(ctx context.Context, e *suite.Env, name, what string, ok func(*corev1.Pod) bool) (*corev1.Pod, error) {
	var p *corev1.Pod
	err := e.Eventually(ctx, time.Minute, fmt.Sprintf("pod %s %s", name, what), func(ctx context.Context) (bool, string, error) {
		var err error
		if p, err = e.Kube.CoreV1().Pods(e.Namespace).Get(ctx, name, metav1.GetOptions{}); err != nil {
			return false, "", err
		}
		return ok(p), fmt.Sprintf("phase %s, containers %+v", p.Status.Phase, p.Status.ContainerStatuses), nil
	})
	return p, err
}

func ready(p *corev1.Pod) bool {
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}
