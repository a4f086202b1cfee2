package robustness

import (
	"context"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// The server that starts after a crash gives revisions, names and addresses that
// were not given before.
func TestKilledServerRepeatsNothing(t *testing.T) {
	c, kube := server(t)
	service := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "first"},
		Spec:       corev1.ServiceSpec{Type: corev1.ServiceTypeNodePort, Ports: []corev1.ServicePort{{Port: 80}}},
	}
	first, err := kube.CoreV1().Services(metav1.NamespaceDefault).Create(t.Context(), service, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Kill(); err != nil {
		t.Fatal(err)
	}
	start(t, c)
	service.Name = "second"
	service.Spec.ClusterIP, service.Spec.Ports[0].NodePort = first.Spec.ClusterIP, first.Spec.Ports[0].NodePort
	if _, err := client(t, c).CoreV1().Services(metav1.NamespaceDefault).Create(context.Background(), service, metav1.CreateOptions{}); !apierrors.IsInvalid(err) {
		t.Errorf("a second Service with the first one's address and port: %v, want it refused as invalid", err)
	}
}
