package main

import (
	"context"
	"fmt"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/ptr"
)

func benchNode(i int) string { return fmt.Sprintf("bench-node-%d", i) }

// makeNodes makes nodes that are ready by their own word: 32 CPU, 256 GiB, 110
// pods, in three zones. It returns when no taint is left on any.
func makeNodes(ctx context.Context, kube kubernetes.Interface, n int) error {
	if err := renewLeases(ctx, kube, n); err != nil {
		return err
	}
	_, err := drive(ctx, n, func(ctx context.Context, i int) error {
		room := corev1.ResourceList{
			corev1.ResourceCPU: resource.MustParse("32"), corev1.ResourceMemory: resource.MustParse("256Gi"),
			corev1.ResourcePods: resource.MustParse("110"),
		}
		node, err := kube.CoreV1().Nodes().Create(ctx, &corev1.Node{
			ObjectMeta: metav1.ObjectMeta{Name: benchNode(i), Labels: map[string]string{
				corev1.LabelHostname: benchNode(i), corev1.LabelTopologyZone: fmt.Sprintf("zone-%d", i%3), everyLabel: "yes",
			}},
			Status: corev1.NodeStatus{Capacity: room, Allocatable: room, Conditions: []corev1.NodeCondition{{
				Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "KubeletReady",
				LastHeartbeatTime: metav1.Now(), LastTransitionTime: metav1.Now(),
			}}},
		}, metav1.CreateOptions{})
		for err == nil && len(node.Spec.Taints) > 0 {
			node.Spec.Taints = nil
			if node, err = kube.CoreV1().Nodes().Update(ctx, node, metav1.UpdateOptions{}); apierrors.IsConflict(err) {
				node, err = kube.CoreV1().Nodes().Get(ctx, benchNode(i), metav1.GetOptions{})
			}
		}
		return err
	})
	return err
}

// renewLeases says that the nodes live.
func renewLeases(ctx context.Context, kube kubernetes.Interface, n int) error {
	leases := kube.CoordinationV1().Leases(corev1.NamespaceNodeLease)
	_, err := drive(ctx, n, func(ctx context.Context, i int) error {
		now := metav1.NewMicroTime(time.Now())
		patch := fmt.Sprintf(`{"spec":{"renewTime":%q}}`, now.UTC().Format(metav1.RFC3339Micro))
		_, err := leases.Patch(ctx, benchNode(i), types.MergePatchType, []byte(patch), metav1.PatchOptions{})
		if apierrors.IsNotFound(err) {
			_, err = leases.Create(ctx, &coordinationv1.Lease{
				ObjectMeta: metav1.ObjectMeta{Name: benchNode(i)},
				Spec: coordinationv1.LeaseSpec{
					HolderIdentity: ptr.To(benchNode(i)), LeaseDurationSeconds: ptr.To[int32](40), RenewTime: &now,
				},
			}, metav1.CreateOptions{})
		}
		return err
	})
	return err
}
