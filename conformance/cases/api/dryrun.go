package api

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pintle-io/pintle/conformance/suite"
)

func dryRun() suite.Case {
	return suite.Case{
		Name:    "api/dry-run",
		Promise: "a dry run answers as the write would and stores nothing",
		Run: func(ctx context.Context, e *suite.Env) error {
			api := e.Kube.CoreV1().ConfigMaps(e.Namespace)
			cm := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{GenerateName: "tried-"}}
			made, err := api.Create(ctx, cm, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
			if err != nil {
				return err
			}
			if made.UID == "" || made.Name == "" {
				return fmt.Errorf("the dry run's answer is not filled in: name %q, uid %q", made.Name, made.UID)
			}
			if _, err := api.Get(ctx, made.Name, metav1.GetOptions{}); !apierrors.IsNotFound(err) {
				return fmt.Errorf("get after a dry run gave %v, want not found", err)
			}
			kept, err := api.Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "kept"}}, metav1.CreateOptions{})
			if err != nil {
				return err
			}
			if err := api.Delete(ctx, kept.Name, metav1.DeleteOptions{DryRun: []string{metav1.DryRunAll}}); err != nil {
				return err
			}
			if _, err := api.Get(ctx, kept.Name, metav1.GetOptions{}); err != nil {
				return fmt.Errorf("after a dry-run delete: %w", err)
			}
			return nil
		},
	}
}
