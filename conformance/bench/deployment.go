package main

import (
	"context"
	"errors"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
)

const (
	replicas    = 1000
	fakeNodes   = 100
	rolloutTime = time.Minute
)

// deployment measures 1,000 replicas on 100 fake nodes, and their rolling update.
func deployment(ctx context.Context, sys system, r *report) error {
	return withServer(ctx, sys, true, func(c server) error {
		kube, err := clientFor(c, protobuf)
		if err != nil {
			return err
		}
		if err := nodesReady(ctx, kube); err != nil {
			return err
		}
		deployments := kube.AppsV1().Deployments(metav1.NamespaceDefault)
		pod := unscheduled("").Spec
		pod.SchedulerName = ""
		labels := map[string]string{"app": "big"}
		n := int32(replicas)
		began := time.Now()
		d, err := deployments.Create(ctx, &appsv1.Deployment{
			ObjectMeta: metav1.ObjectMeta{Name: "big"},
			Spec: appsv1.DeploymentSpec{
				Replicas: &n, Selector: &metav1.LabelSelector{MatchLabels: labels},
				Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: pod},
			},
		}, metav1.CreateOptions{})
		if err != nil {
			return err
		}
		if err := rolledOut(ctx, kube, d); err != nil {
			return err
		}
		r.add("Deployment of 1,000 on 100 fake nodes", time.Since(began).Seconds(), seconds, goal{upstream: 9, must: 3, aim: 1})

		began = time.Now()
		d, err = deployments.Patch(ctx, "big", types.StrategicMergePatchType,
			[]byte(`{"spec":{"template":{"metadata":{"annotations":{"version":"2"}}}}}`), metav1.PatchOptions{})
		if err != nil {
			return err
		}
		if err := rolledOut(ctx, kube, d); err != nil {
			return err
		}
		r.add("its rolling update", time.Since(began).Seconds(), seconds, goal{upstream: 12.8, must: 4, aim: 1.5})
		return nil
	}, "--fake-nodes", "100")
}

// rolledOut waits until the Deployment as it was written has all its pods.
func rolledOut(ctx context.Context, kube kubernetes.Interface, d *appsv1.Deployment) error {
	ctx, cancel := context.WithTimeout(ctx, rolloutTime)
	defer cancel()
	w, err := kube.AppsV1().Deployments(d.Namespace).Watch(ctx, metav1.ListOptions{
		FieldSelector: "metadata.name=" + d.Name, ResourceVersion: d.ResourceVersion,
	})
	if err != nil {
		return err
	}
	defer w.Stop()
	for e := range w.ResultChan() {
		now, ok := e.Object.(*appsv1.Deployment)
		if !ok || now.Status.ObservedGeneration < d.Generation {
			continue
		}
		if s := now.Status; s.Replicas == replicas && s.UpdatedReplicas == replicas && s.AvailableReplicas == replicas {
			return nil
		}
	}
	return errors.New("the Deployment did not get all its pods in a minute")
}

func nodesReady(ctx context.Context, kube kubernetes.Interface) error {
	ctx, cancel := context.WithTimeout(ctx, rolloutTime)
	defer cancel()
	w, err := kube.CoreV1().Nodes().Watch(ctx, metav1.ListOptions{ResourceVersion: "0"})
	if err != nil {
		return err
	}
	defer w.Stop()
	ready := map[string]bool{}
	for e := range w.ResultChan() {
		node, ok := e.Object.(*corev1.Node)
		if !ok {
			continue
		}
		ready[node.Name] = false
		for _, c := range node.Status.Conditions {
			if c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue && len(node.Spec.Taints) == 0 {
				ready[node.Name] = true
			}
		}
		n := 0
		for _, ok := range ready {
			if ok {
				n++
			}
		}
		if n == fakeNodes {
			return nil
		}
	}
	return errors.New("the fake nodes did not become ready in a minute")
}
