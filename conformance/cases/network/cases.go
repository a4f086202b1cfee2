// Package network holds the cases about the ways to pods: Services and Ingresses.
package network

import (
	"context"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pintle-io/pintle/conformance/suite"
)

// Cases lists the package's cases.
func Cases() []suite.Case {
	return []suite.Case{ingressRules(), ingressTLS(), steady(), dualStack()}
}

// available waits until all pods of a Deployment are.
func available(ctx context.Context, e *suite.Env, name string) error {
	return e.Eventually(ctx, time.Minute, "deployment "+name+" to be available", func(ctx context.Context) (bool, string, error) {
		d, err := e.Kube.AppsV1().Deployments(e.Namespace).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return false, "", err
		}
		return d.Status.AvailableReplicas == *d.Spec.Replicas, fmt.Sprintf("%d available", d.Status.AvailableReplicas), nil
	})
}
