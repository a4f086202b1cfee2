package workload

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pintle-io/pintle/conformance/suite"
)

func namespaceDeletion() suite.Case {
	return suite.Case{
		Name:    "workload/namespace-deletion",
		Promise: "a deleted namespace takes everything in it along, refuses new objects meanwhile, and can be made again",
		Run: func(ctx context.Context, e *suite.Env) error {
			name := e.Namespace + "-gone"
			spaces := e.Kube.CoreV1().Namespaces()
			create := func() error {
				_, err := spaces.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
				return err
			}
			if err := create(); err != nil {
				return err
			}
			held := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "held", Finalizers: []string{"example.com/hold"}}}
			for i := range 20 {
				s := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("s%d", i)}}
				if _, err := e.Kube.CoreV1().Secrets(name).Create(ctx, s, metav1.CreateOptions{}); err != nil {
					return err
				}
			}
			if _, err := e.Kube.CoreV1().ConfigMaps(name).Create(ctx, held, metav1.CreateOptions{}); err != nil {
				return err
			}
			if err := spaces.Delete(ctx, name, metav1.DeleteOptions{}); err != nil {
				return err
			}
			_, err := e.Kube.CoreV1().Secrets(name).Create(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "late"}}, metav1.CreateOptions{})
			if !apierrors.IsForbidden(err) || !apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause) {
				return fmt.Errorf("create during deletion gave %v, want forbidden with cause NamespaceTerminating", err)
			}
			err = e.Eventually(ctx, 30*time.Second, "the namespace to say what holds it", func(ctx context.Context) (bool, string, error) {
				ns, err := spaces.Get(ctx, name, metav1.GetOptions{})
				if err != nil {
					return false, "", err
				}
				secrets, err := e.Kube.CoreV1().Secrets(name).List(ctx, metav1.ListOptions{})
				if err != nil {
					return false, "", err
				}
				return len(secrets.Items) == 0 && finalizersRemain(ns), fmt.Sprintf("%d secrets, conditions %v", len(secrets.Items), ns.Status.Conditions), nil
			})
			if err != nil {
				return err
			}
			if _, err := e.Kubectl(ctx, "-n", name, "patch", "configmap", "held", "--type=merge", "-p", `{"metadata":{"finalizers":null}}`); err != nil {
				return err
			}
			err = e.Eventually(ctx, 30*time.Second, "the namespace to be gone", func(ctx context.Context) (bool, string, error) {
				_, err := spaces.Get(ctx, name, metav1.GetOptions{})
				return apierrors.IsNotFound(err), fmt.Sprint(err), nil
			})
			if err != nil {
				return err
			}
			if err := create(); err != nil {
				return fmt.Errorf("make it again: %w", err)
			}
			return spaces.Delete(ctx, name, metav1.DeleteOptions{})
		},
	}
}

func finalizersRemain(ns *corev1.Namespace) bool {
	for _, c := range ns.Status.Conditions {
		if c.Type == corev1.NamespaceFinalizersRemaining && c.Status == corev1.ConditionTrue {
			return true
		}
	}
	return false
}
