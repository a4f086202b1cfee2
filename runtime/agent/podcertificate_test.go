package agent

import (
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/pintle-io/pintle/runtime/volume"
)

// A pod's certificate is asked for once, received when it is issued, and renewed when
// the signer says so, while the old one serves; a refusal is final.
func TestPodCertificates(t *testing.T) {
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "p", UID: "u"}, Spec: corev1.PodSpec{ServiceAccountName: "sa"}}
	client := fake.NewClientset(
		&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1", UID: "n-uid"}},
		&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "sa", UID: "sa-uid"}})
	made := 0
	client.PrependReactor("create", podCertificateRequests, func(action clienttesting.Action) (bool, runtime.Object, error) {
		made++
		action.(clienttesting.CreateAction).GetObject().(*certificatesv1.PodCertificateRequest).Name = fmt.Sprint("req-", made)
		return false, nil, nil
	})
	// The fake knows no field selectors.
	client.PrependReactor("list", podCertificateRequests, func(action clienttesting.Action) (bool, runtime.Object, error) {
		selected := action.(clienttesting.ListAction).GetListRestrictions().Fields
		name, _ := selected.RequiresExactMatch("metadata.name")
		if node, _ := selected.RequiresExactMatch("spec.nodeName"); node != "n1" {
			return true, nil, fmt.Errorf("a node may not list %s", selected)
		}
		obj, err := client.Tracker().Get(certificatesv1.SchemeGroupVersion.WithResource(podCertificateRequests), "ns", name)
		if err != nil {
			return true, nil, err
		}
		return true, &certificatesv1.PodCertificateRequestList{Items: []certificatesv1.PodCertificateRequest{*obj.(*certificatesv1.PodCertificateRequest)}}, nil
	})
	changed := make(chan string, 10)
	o := newObjects(client, "n1", func(uid string) { changed <- uid })
	defer o.stop()
	requests := client.CertificatesV1().PodCertificateRequests("ns")
	at := volume.CertificateSource{Volume: "v", Index: 2}
	ask := func(kind string) (key, chain []byte, err error) {
		return o.PodCertificate(t.Context(), pod, at, &corev1.PodCertificateProjection{SignerName: "s/x", KeyType: kind})
	}
	answer := func(name, condition string, status certificatesv1.PodCertificateRequestStatus) {
		t.Helper()
		r, err := requests.Get(t.Context(), name, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		r.Status = status
		r.Status.Conditions = []metav1.Condition{{Type: condition, Status: metav1.ConditionTrue, Reason: "Why", Message: "because"}}
		if _, err := requests.UpdateStatus(t.Context(), r, metav1.UpdateOptions{}); err != nil {
			t.Fatal(err)
		}
		for seen := false; !seen; { // the watch may begin with what was there before
			if uid := <-changed; uid != "u" {
				t.Fatalf("pod %q is told", uid)
			}
			got, err := o.get(t.Context(), pod, podCertificateRequests, name, &certificatesv1.PodCertificateRequest{})
			seen = err == nil && len(got.(*certificatesv1.PodCertificateRequest).Status.Conditions) > 0
		}
	}
	if _, _, err := ask("ECDSAP256"); err == nil || !strings.Contains(err.Error(), "ns/req-1 is not issued yet") {
		t.Fatalf("at first: %v", err)
	}
	first, err := requests.Get(t.Context(), "req-1", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if s := first.Spec; s.SignerName != "s/x" || s.PodName != "p" || s.PodUID != "u" || s.ServiceAccountUID != "sa-uid" || s.NodeName != "n1" || s.NodeUID != "n-uid" {
		t.Errorf("asked for %+v", s)
	}
	proof, err := x509.ParseCertificateRequest(first.Spec.StubPKCS10Request)
	if err != nil || proof.CheckSignature() != nil {
		t.Fatalf("signing request: %v", err)
	}
	past := metav1.NewTime(time.Now().Add(-time.Minute))
	answer("req-1", certificatesv1.PodCertificateRequestConditionTypeIssued,
		certificatesv1.PodCertificateRequestStatus{CertificateChain: "from us\n" + certificatePEM + "thanks\n", BeginRefreshAt: &past})
	key, chain, err := ask("ECDSAP256")
	if err != nil || string(chain) != certificatePEM {
		t.Fatalf("issued: %q, %v", chain, err)
	}
	block, _ := pem.Decode(key)
	private, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil || !proof.PublicKey.(interface{ Equal(crypto.PublicKey) bool }).Equal(private.(crypto.Signer).Public()) {
		t.Errorf("the key is not the one that was certified: %v", err)
	}
	// It is time to renew it: another request, and the first certificate meanwhile.
	if again, _, err := ask("ECDSAP256"); err != nil || string(again) != string(key) || made != 2 {
		t.Fatalf("while it is renewed: %d requests, %v", made, err)
	}
	answer("req-2", certificatesv1.PodCertificateRequestConditionTypeDenied, certificatesv1.PodCertificateRequestStatus{})
	for range 2 {
		if again, _, err := ask("ECDSAP256"); err != nil || string(again) != string(key) || made != 2 {
			t.Fatalf("after the refusal: %d requests, %v", made, err)
		}
	}
	// Another source knows nothing of this one, and of keys nobody can make.
	at.Index = 3
	if _, _, err := ask("DSA"); err == nil || !strings.Contains(err.Error(), `keys of type "DSA" are not supported`) || made != 2 {
		t.Errorf("odd key: %d requests, %v", made, err)
	}
	if _, _, err := ask("ED25519"); err == nil || made != 3 {
		t.Fatalf("another source: %d requests, %v", made, err)
	}
	answer("req-3", certificatesv1.PodCertificateRequestConditionTypeFailed, certificatesv1.PodCertificateRequestStatus{})
	for range 2 {
		if _, _, err := ask("ED25519"); err == nil || !strings.Contains(err.Error(), `ns/req-3 failed, reason="Why", message="because"`) || made != 3 {
			t.Errorf("failed: %d requests, %v", made, err)
		}
	}
	o.release("u")
	if len(o.mu.certificates) != 0 || len(o.mu.watched) != 0 {
		t.Errorf("after the pod: %v %v", o.mu.certificates, o.mu.watched)
	}
}

var certificatePEM = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("certificate")}))
