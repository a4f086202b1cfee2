package volume

import (
	"encoding/pem"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func anchor(name string) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte(name)}))
}

// Trust anchors come from the bundles that a source takes, each once; a pod's key and
// certificates go into one file or into two.
func TestTrustAndCertificates(t *testing.T) {
	bundle := func(name, signer, group, text string) *certificatesv1.ClusterTrustBundle {
		b := &certificatesv1.ClusterTrustBundle{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"group": group}}}
		b.Spec.SignerName, b.Spec.TrustBundle = signer, text
		return b
	}
	m := New(t.TempDir(), source{bundles: []*certificatesv1.ClusterTrustBundle{
		bundle("own", "", "a", "a note\n"+anchor("1")+"another\n"+anchor("2")),
		bundle("s:x:one", "s/x", "a", anchor("3")+anchor("1")),
		bundle("s:x:two", "s/x", "a", anchor("1")),
		bundle("s:x:three", "s/x", "b", anchor("4")),
		bundle("s:y:one", "s/y", "a", anchor("5")),
		bundle("odd", "", "a", "-----BEGIN KEY-----\nAAAA\n-----END KEY-----\n"),
	}})
	ref := func(s string) *string { return &s }
	signer := func(name string, selector *metav1.LabelSelector) *corev1.ClusterTrustBundleProjection {
		return &corev1.ClusterTrustBundleProjection{SignerName: ref(name), LabelSelector: selector, Path: "ca.pem"}
	}
	yes, user := true, int64(7)
	for name, tc := range map[string]struct {
		trust   *corev1.ClusterTrustBundleProjection
		cert    *corev1.PodCertificateProjection
		want    map[string]string
		wantErr string
	}{
		"by name":             {trust: &corev1.ClusterTrustBundleProjection{Name: ref("own"), Path: "d/ca.pem"}, want: map[string]string{"d/ca.pem": anchor("1") + anchor("2")}},
		"no such name":        {trust: &corev1.ClusterTrustBundleProjection{Name: ref("none"), Path: "ca.pem"}, wantErr: `no ClusterTrustBundle is named "none"`},
		"optional":            {trust: &corev1.ClusterTrustBundleProjection{Name: ref("none"), Path: "ca.pem", Optional: &yes}, want: map[string]string{"ca.pem": ""}},
		"by signer":           {trust: signer("s/x", &metav1.LabelSelector{MatchLabels: map[string]string{"group": "a"}}), want: map[string]string{"ca.pem": anchor("1") + anchor("3")}},
		"all of a signer":     {trust: signer("s/x", &metav1.LabelSelector{}), want: map[string]string{"ca.pem": anchor("1") + anchor("3") + anchor("4")}},
		"no selector":         {trust: signer("s/x", nil), wantErr: `no ClusterTrustBundle of signer "s/x" matches the selector`},
		"no certificate":      {trust: &corev1.ClusterTrustBundleProjection{Name: ref("odd"), Path: "ca.pem"}, wantErr: `"KEY", which is no certificate`},
		"out of the volume":   {trust: &corev1.ClusterTrustBundleProjection{Name: ref("own"), Path: "../ca.pem"}, wantErr: "must stay inside the volume"},
		"one file":            {cert: &corev1.PodCertificateProjection{SignerName: "s/x", CredentialBundlePath: "both.pem"}, want: map[string]string{"both.pem": "key of s/x\nchain\n"}},
		"two files of a user": {cert: &corev1.PodCertificateProjection{SignerName: "s/x", KeyPath: "key", CertificateChainPath: "chain", User: &user}, want: map[string]string{"key": "key of s/x\n", "chain": "chain\n"}},
	} {
		t.Run(name, func(t *testing.T) {
			// The source is the second, so that its place is seen.
			p := &corev1.ProjectedVolumeSource{Sources: []corev1.VolumeProjection{{DownwardAPI: &corev1.DownwardAPIProjection{}}, {ClusterTrustBundle: tc.trust, PodCertificate: tc.cert}}}
			files, err := m.collect(t.Context(), newPod(), "v", p, Fields{})
			if tc.wantErr != "" {
				if err == nil || !strings.Contains(err.Error(), tc.wantErr) {
					t.Fatalf("error %v, want %s", err, tc.wantErr)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			got := map[string]string{}
			for path, f := range files {
				got[path] = string(f.data)
				if tc.cert != nil && tc.cert.User != nil && (f.uid == nil || *f.uid != user || f.mode != 0o600) {
					t.Errorf("%s: mode %o, user %v", path, f.mode, f.uid)
				}
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
