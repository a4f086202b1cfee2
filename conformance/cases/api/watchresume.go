package api

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/pintle-io/pintle/conformance/suite"
)

func watchResume() suite.Case {
	return suite.Case{
		Name:    "api/watch-resume",
		Promise: "a watch resumed from any resourceVersion sees every later change once and in order",
		Run: func(ctx context.Context, e *suite.Env) error {
			const changes = 200
			api := e.Kube.CoreV1().ConfigMaps(e.Namespace)
			list, err := api.List(ctx, metav1.ListOptions{})
			if err != nil {
				return err
			}
			var want []string // resourceVersions as the writes were acknowledged
			for i := range changes {
				cm, err := api.Create(ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("n%03d", i)}}, metav1.CreateOptions{})
				if err != nil {
					return err
				}
				want = append(want, cm.ResourceVersion)
			}
			if err := expect(ctx, e, list.ResourceVersion, want); err != nil {
				return fmt.Errorf("from the start: %w", err)
			}
			return expect(ctx, e, want[changes/2-1], want[changes/2:])
		},
	}
}

// expect watches from a resourceVersion and compares what comes, leaving out the
// ConfigMap that the cluster itself puts into every namespace.
func expect(ctx context.Context, e *suite.Env, from string, want []string) error {
	w, err := e.Kube.CoreV1().ConfigMaps(e.Namespace).Watch(ctx, metav1.ListOptions{ResourceVersion: from})
	if err != nil {
		return err
	}
	defer w.Stop()
	for i := 0; i < len(want); {
		select {
		case <-ctx.Done():
			return fmt.Errorf("saw %d of %d changes: %w", i, len(want), ctx.Err())
		case ev, ok := <-w.ResultChan():
			if !ok {
				return fmt.Errorf("the watch ended after %d of %d changes", i, len(want))
			}
			cm, isMap := ev.Object.(*corev1.ConfigMap)
			if !isMap {
				return fmt.Errorf("unexpected event %s %T", ev.Type, ev.Object)
			}
			if cm.Name == "kube-root-ca.crt" {
				continue
			}
			if ev.Type != watch.Added || cm.ResourceVersion != want[i] {
				return fmt.Errorf("event %d is %s at %s, want ADDED at %s", i, ev.Type, cm.ResourceVersion, want[i])
			}
			i++
		}
	}
	return nil
}
