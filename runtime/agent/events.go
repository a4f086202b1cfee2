package agent

import (
	"context"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/tools/record"
)

// events records events about pods and the node.
type events struct {
	broadcaster record.EventBroadcaster
	recorder    record.EventRecorder
	client      kubernetes.Interface
}

func newEvents(ctx context.Context, client kubernetes.Interface, node string) *events {
	b := record.NewBroadcaster(record.WithContext(ctx))
	return &events{
		broadcaster: b, client: client,
		recorder: b.NewRecorder(scheme.Scheme, corev1.EventSource{Component: "kubelet", Host: node}),
	}
}

func (e *events) start() {
	e.broadcaster.StartRecordingToSink(&typedcorev1.EventSinkImpl{Interface: e.client.CoreV1().Events("")})
}

func (e *events) stop() { e.broadcaster.Shutdown() }

// send records an event of a pod, about one container if c is not nil.
func (e *events) send(pod *corev1.Pod, c *corev1.Container, kind, reason, message string) {
	ref := &corev1.ObjectReference{
		Kind: "Pod", APIVersion: "v1", Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID, ResourceVersion: pod.ResourceVersion,
	}
	if c != nil {
		ref.FieldPath = fieldPath(pod, c.Name)
	}
	const maxMessage = 1024
	e.recorder.Event(ref, kind, reason, message[:min(len(message), maxMessage)])
}

// fieldPath names a container inside its pod: spec.containers{web}.
func fieldPath(pod *corev1.Pod, name string) string {
	named := func(c corev1.Container) bool { return c.Name == name }
	switch {
	case slices.ContainsFunc(pod.Spec.Containers, named):
		return "spec.containers{" + name + "}"
	case slices.ContainsFunc(pod.Spec.InitContainers, named):
		return "spec.initContainers{" + name + "}"
	}
	return "spec.ephemeralContainers{" + name + "}"
}
