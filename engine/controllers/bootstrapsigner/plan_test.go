package bootstrapsigner_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pintle-io/pintle/engine/controllers/bootstrapsigner"
	"github.com/pintle-io/pintle/engine/reconcile"
)

func token(id, secret, signing, expiration string) *corev1.Secret {
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: "bootstrap-token-" + id}, Type: "bootstrap.kubernetes.io/token",
		Data: map[string][]byte{
			"token-id": []byte(id), "token-secret": []byte(secret), "usage-bootstrap-signing": []byte(signing), "expiration": []byte(expiration),
		},
	}
}

// TestSign: the value is that of the test of k8s.io/cluster-bootstrap's token/jws.
func TestSign(t *testing.T) {
	const want = "eyJhbGciOiJIUzI1NiIsImtpZCI6Impvc2h1YSJ9..VShe2taLd-YTrmWuRkcL_8QTNDHYxQIEBsAYYiIj1_8"
	if got := bootstrapsigner.Sign("Hello from the other side. I must have called a thousand times.", "joshua", "my voice is my passcode"); got != want {
		t.Errorf("signature %s, want %s", got, want)
	}
}

func TestPlan(t *testing.T) {
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	cm := &corev1.ConfigMap{Data: map[string]string{"kubeconfig": "text", "jws-kubeconfig-gone": "old", "other": "stays"}}
	result := bootstrapsigner.Plan(bootstrapsigner.Observed{ConfigMap: cm, Now: now, Tokens: []*corev1.Secret{
		token("good", "secret", "true", "2030-01-01T01:00:00Z"), token("over", "secret", "true", "2029-01-01T00:00:00Z"),
		token("auth", "secret", "", ""),
	}})
	want := map[string]string{"kubeconfig": "text", "other": "stays", "jws-kubeconfig-good": bootstrapsigner.Sign("text", "good", "secret")}
	if len(result.Actions) != 1 || result.RequeueAfter != time.Hour {
		t.Fatalf("%+v", result)
	}
	updated := result.Actions[0].(reconcile.Update).Object.(*corev1.ConfigMap)
	if diff := cmp.Diff(want, updated.Data); diff != "" {
		t.Error(diff)
	}
	if again := bootstrapsigner.Plan(bootstrapsigner.Observed{ConfigMap: updated, Tokens: []*corev1.Secret{token("good", "secret", "true", "")}, Now: now}); len(again.Actions) != 0 {
		t.Errorf("signed again: %+v", again)
	}
}
