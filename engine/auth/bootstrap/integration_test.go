package bootstrap_test

import (
	"net"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/pintle-io/pintle/engine/apis/served"
	"github.com/pintle-io/pintle/engine/auth/bootstrap"
	"github.com/pintle-io/pintle/engine/client"
	"github.com/pintle-io/pintle/engine/registry"
	"github.com/pintle-io/pintle/store"
)

// TestEnsureThroughTheRegistry writes everything through the real path, so that
// validation sees it, twice.
func TestEnsureThroughTheRegistry(t *testing.T) {
	st, err := store.Open(t.TempDir(), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := st.Close(); err != nil {
			t.Error(err)
		}
	})
	reg, err := registry.New(registry.Config{Table: served.Table(), Scheme: served.Scheme(), Codecs: served.Codecs(), Store: st})
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.New(client.Config{Storages: reg, Table: served.Table(), Scheme: served.Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	cfg := bootstrap.Config{ServiceIP: net.IPv4(10, 96, 0, 1), AdvertiseIP: net.IPv4(10, 0, 0, 5), Port: 6443}
	for round := range 2 {
		before, start := st.Revision(), time.Now()
		if err := bootstrap.Ensure(t.Context(), c, cfg); err != nil {
			t.Fatal(err)
		}
		t.Logf("round %d: %d writes in %s", round, st.Revision()-before, time.Since(start))
		if round == 1 && st.Revision() != before {
			t.Errorf("the second start wrote %d objects", st.Revision()-before)
		}
	}
	svc, err := client.Get[*corev1.Service](t.Context(), c, "default", "kubernetes")
	if err != nil || svc.Spec.ClusterIP != "10.96.0.1" {
		t.Errorf("service %v, %v", svc, err)
	}
}
