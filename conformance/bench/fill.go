package main

import (
	"context"
	"errors"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pintle-io/pintle/conformance/harness"
)

const fillCount = 100_000

// filled measures starts on 100,000 objects, after a kill in mid-work, and the
// memory they take.
func filled(ctx context.Context, sys system, r *report) (err error) {
	s, err := sys.newServer(false)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.remove()) }()
	if _, err := s.start(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.kill()) }()
	if err := fill(ctx, s); err != nil {
		return err
	}
	var took, cpu []time.Duration
	for range starts {
		if err := s.kill(); err != nil {
			return err
		}
		d, err := s.start(ctx)
		if err != nil {
			return err
		}
		ran, err := cpuOf(s)
		if err != nil {
			return err
		}
		took, cpu = append(took, d), append(cpu, ran)
	}
	if err := pause(ctx, settle); err != nil {
		return err
	}
	used, err := anonymousBytes(s)
	if err != nil {
		return err
	}
	r.add("exec to ready, 100,000 objects, median", ms(quantile(took, 0.5)), milliseconds, goal{must: 1000})
	r.add("exec to ready, 100,000 objects, worst", ms(quantile(took, 1)), milliseconds, goal{must: 1000})
	r.add("processor time to ready, 100,000 objects, median", ms(quantile(cpu, 0.5)), milliseconds, goal{})
	r.add("memory, 100,000 objects", used/1e6, megabytes, goal{})
	return nil
}

// fill makes the namespaces with what pods need in them first: where no controller
// runs, nobody else does.
func fill(ctx context.Context, s server) error {
	kube, err := clientFor(s, protobuf)
	if err != nil {
		return err
	}
	for _, name := range harness.FillNamespaces() {
		ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
		if _, err := kube.CoreV1().Namespaces().Create(ctx, ns, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
			return err
		}
		if err := makeAccount(ctx, kube, name); err != nil {
			return err
		}
	}
	return harness.Fill(ctx, kube, fillCount)
}
