package tokencleaner_test

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/pintle-io/pintle/engine/controllers/tokencleaner"
)

func TestPlan(t *testing.T) {
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		expiration string
		actions    int
		again      time.Duration
	}{
		{"", 0, 0}, {"2030-01-01T00:01:00Z", 0, time.Minute}, {"2030-01-01T00:00:00Z", 1, 0}, {"tomorrow", 1, 0},
	} {
		secret := &corev1.Secret{Type: "bootstrap.kubernetes.io/token", Data: map[string][]byte{"expiration": []byte(c.expiration)}}
		r := tokencleaner.Plan(tokencleaner.Observed{Secret: secret, Now: now})
		if len(r.Actions) != c.actions || r.RequeueAfter != c.again {
			t.Errorf("%q: %v, again in %v", c.expiration, r.Actions, r.RequeueAfter)
		}
	}
}
