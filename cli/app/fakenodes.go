package app

import (
	"context"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/pintle-io/pintle/engine/client"
	"github.com/pintle-io/pintle/engine/controllers/nodeipam"
	"github.com/pintle-io/pintle/runtime/fakenode"
)

// newFakeNodes builds the fleet that --fake-nodes asks for.
func (c *controlPlane) newFakeNodes() (*fakenode.Fleet, error) {
	return fakenode.New(fakenode.Config{
		API: fakeNodeAPI{c.client.WithFieldManager("kubelet")}, Pods: c.client.Informers().Core().V1().Pods(),
		Count: c.cfg.FakeNodes, Label: nodeipam.FakeLabel, Logger: c.log.With("part", "fakenodes"),
	})
}

// fakeNodeAPI lets fake nodes write without HTTP.
type fakeNodeAPI struct{ client *client.Client }

func (a fakeNodeAPI) EnsureNode(ctx context.Context, node *corev1.Node) error {
	_, err := client.Create(ctx, a.client, node)
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	return err
}

func (a fakeNodeAPI) RenewLease(ctx context.Context, node string, seconds int32, now time.Time) error {
	at := metav1.NewMicroTime(now)
	// An update of a Lease that is not there creates it.
	_, err := client.UpdateFunc(ctx, a.client, corev1.NamespaceNodeLease, node, func(l *coordinationv1.Lease) error {
		l.Namespace, l.Name = corev1.NamespaceNodeLease, node
		l.Spec.HolderIdentity, l.Spec.LeaseDurationSeconds, l.Spec.RenewTime = &node, &seconds, &at
		return nil
	})
	return err
}

func (a fakeNodeAPI) SetPodStatus(ctx context.Context, pod *corev1.Pod, status *corev1.PodStatus) error {
	_, err := client.UpdateStatusFunc(ctx, a.client, pod.Namespace, pod.Name, func(p *corev1.Pod) error {
		if p.UID != pod.UID {
			return client.ErrUnchanged
		}
		p.Status = *status
		return nil
	})
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

func (a fakeNodeAPI) DeletePod(ctx context.Context, namespace, name string, uid types.UID) error {
	now := int64(0)
	err := client.Delete[*corev1.Pod](ctx, a.client, namespace, name, metav1.DeleteOptions{
		GracePeriodSeconds: &now, Preconditions: &metav1.Preconditions{UID: &uid},
	})
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil
	}
	return err
}
