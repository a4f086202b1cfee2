package podcertificatecleaner_test

import (
	"testing"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pintle-io/pintle/engine/controllers/podcertificatecleaner"
)

func TestPlan(t *testing.T) {
	made := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	request := &certificatesv1.PodCertificateRequest{ObjectMeta: metav1.ObjectMeta{CreationTimestamp: metav1.NewTime(made)}}
	if r := podcertificatecleaner.Plan(request, made.Add(14*time.Minute)); len(r.Actions) != 0 || r.RequeueAfter != time.Minute {
		t.Errorf("%+v", r)
	}
	if r := podcertificatecleaner.Plan(request, made.Add(15*time.Minute)); len(r.Actions) != 1 {
		t.Errorf("%+v", r)
	}
}
