package trustbundle_test

import (
	"testing"

	certificatesv1 "k8s.io/api/certificates/v1"

	"github.com/pintle-io/pintle/engine/controllers/plantest"
	"github.com/pintle-io/pintle/engine/controllers/trustbundle"
)

// TestRotation: a new root replaces the bundle of the old one, and nobody else's.
func TestRotation(t *testing.T) {
	w := plantest.NewWorld()
	other := &certificatesv1.ClusterTrustBundle{Spec: certificatesv1.ClusterTrustBundleSpec{SignerName: "example.com/other", TrustBundle: "x"}}
	other.Name = "example.com:other:x"
	w.Put(other)
	for _, root := range []string{"old", "new", "new"} {
		w.Act(trustbundle.Plan(trustbundle.Observed{Bundles: plantest.List[*certificatesv1.ClusterTrustBundle](w), Root: root}))
		got := map[string]string{}
		for _, bundle := range plantest.List[*certificatesv1.ClusterTrustBundle](w) {
			got[bundle.Name] = bundle.Spec.TrustBundle
		}
		if len(got) != 2 || got[trustbundle.Name(root)] != root || got[other.Name] != "x" {
			t.Errorf("after %s: %v", root, got)
		}
	}
}
