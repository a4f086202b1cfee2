package apiserver_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"testing"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestKindsInTwoVersions(t *testing.T) {
	e := start(t)
	ns := e.namespace(t, "a")
	_, err := e.kube.CoreV1().Events(ns).Create(e.ctx, &corev1.Event{
		ObjectMeta: metav1.ObjectMeta{Name: "e"}, InvolvedObject: corev1.ObjectReference{Kind: "Pod", Name: "p", Namespace: ns},
		Message: "hello", Reason: "Greeting", Type: corev1.EventTypeNormal,
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	event, err := e.kube.EventsV1().Events(ns).Get(e.ctx, "e", metav1.GetOptions{})
	if err != nil || event.Note != "hello" || event.Regarding.Name != "p" {
		t.Errorf("core event in events.k8s.io: %+v %v", event, err)
	}
	byField, err := e.kube.CoreV1().Events(ns).List(e.ctx, metav1.ListOptions{FieldSelector: "involvedObject.name=p,reason=Greeting"})
	if err != nil || len(byField.Items) != 1 {
		t.Errorf("by field: %v %v", byField, err)
	}
	list, err := e.kube.EventsV1().Events("").List(e.ctx, metav1.ListOptions{})
	if err != nil || len(list.Items) != 1 || list.Items[0].Note != "hello" {
		t.Errorf("list: %v %v", list, err)
	}

	percent := int32(70)
	old, err := e.kube.AutoscalingV1().HorizontalPodAutoscalers(ns).Create(e.ctx, &autoscalingv1.HorizontalPodAutoscaler{
		ObjectMeta: metav1.ObjectMeta{Name: "h"},
		Spec: autoscalingv1.HorizontalPodAutoscalerSpec{
			ScaleTargetRef: autoscalingv1.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: "d"}, MaxReplicas: 3, TargetCPUUtilizationPercentage: &percent,
		},
	}, metav1.CreateOptions{})
	if err != nil || *old.Spec.TargetCPUUtilizationPercentage != 70 {
		t.Fatalf("v1: %+v %v", old, err)
	}
	hub, err := e.kube.AutoscalingV2().HorizontalPodAutoscalers(ns).Get(e.ctx, "h", metav1.GetOptions{})
	if err != nil || len(hub.Spec.Metrics) != 1 || *hub.Spec.Metrics[0].Resource.Target.AverageUtilization != 70 {
		t.Errorf("v2: %+v %v", hub, err)
	}
}

func TestSigningRequestsAreApprovedApart(t *testing.T) {
	e := start(t)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		t.Fatal(err)
	}
	requests := e.kube.CertificatesV1().CertificateSigningRequests()
	r, err := requests.Create(e.ctx, &certificatesv1.CertificateSigningRequest{
		ObjectMeta: metav1.ObjectMeta{Name: "r"},
		Spec: certificatesv1.CertificateSigningRequestSpec{
			Request:    pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}),
			SignerName: certificatesv1.KubeAPIServerClientSignerName, Username: "somebody-else",
			Usages: []certificatesv1.KeyUsage{certificatesv1.UsageClientAuth},
		},
	}, metav1.CreateOptions{})
	if err != nil || r.Spec.Username != "admin" {
		t.Fatalf("made by %q: %v", r.Spec.Username, err)
	}
	r.Status.Conditions = []certificatesv1.CertificateSigningRequestCondition{{Type: certificatesv1.CertificateApproved, Status: corev1.ConditionTrue}}
	if r, err = requests.UpdateStatus(e.ctx, r, metav1.UpdateOptions{}); err != nil || len(r.Status.Conditions) != 0 {
		t.Fatalf("status approved: %+v %v", r.Status, err)
	}
	r.Status.Conditions = []certificatesv1.CertificateSigningRequestCondition{{Type: certificatesv1.CertificateApproved, Status: corev1.ConditionTrue}}
	if r, err = requests.UpdateApproval(e.ctx, "r", r, metav1.UpdateOptions{}); err != nil || len(r.Status.Conditions) != 1 || r.Status.Conditions[0].LastUpdateTime.IsZero() {
		t.Fatalf("approval: %+v %v", r, err)
	}
}
