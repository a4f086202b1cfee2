package main

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const memoryPods = 10000

// memory measures what 10,000 pods add to the anonymous memory of a server, some
// time after they were created.
func memory(ctx context.Context, sys system, r *report) error {
	return withServer(ctx, sys, false, func(s server) error {
		if err := warmUp(ctx, s); err != nil {
			return err
		}
		if err := pause(ctx, settle); err != nil {
			return err
		}
		before, err := anonymousBytes(s)
		if err != nil {
			return err
		}
		kube, err := clientFor(s, protobuf)
		if err != nil {
			return err
		}
		if _, err := drive(ctx, memoryPods, func(ctx context.Context, i int) error {
			_, err := kube.CoreV1().Pods("default").Create(ctx, unscheduled(fmt.Sprintf("memory-%d", i)), metav1.CreateOptions{})
			return err
		}); err != nil {
			return err
		}
		if err := pause(ctx, settle); err != nil {
			return err
		}
		after, err := anonymousBytes(s)
		if err != nil {
			return err
		}
		r.add("anonymous memory of 10,000 pods", max(1, (after-before)/1e6), megabytes, goal{})
		return nil
	})
}
