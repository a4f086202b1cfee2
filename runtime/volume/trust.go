package volume

import (
	"bytes"
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"slices"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

const certificateBlock = "CERTIFICATE"

// trustBundle writes the trust anchors of one ClusterTrustBundle, or of all of a
// signer that the selector takes, each once.
func (m *Manager) trustBundle(ctx context.Context, pod *corev1.Pod, s *corev1.ClusterTrustBundleProjection, mode int32, out map[string]file) error {
	at, err := cleanPath(s.Path)
	if err != nil {
		return err
	}
	bundles, err := m.src.TrustBundles(ctx, pod)
	if err != nil {
		return err
	}
	wanted, what, err := bundleFilter(s)
	if err != nil {
		return err
	}
	bundles = slices.DeleteFunc(slices.Clone(bundles), func(b *certificatesv1.ClusterTrustBundle) bool { return !wanted(b) })
	if len(bundles) == 0 && !isOptional(s.Optional) {
		return fmt.Errorf("no ClusterTrustBundle %s", what)
	}
	anchors, err := trustAnchors(bundles)
	if err != nil {
		return err
	}
	out[at] = ownFile(pod, anchors, mode, s.User)
	return nil
}

func bundleFilter(s *corev1.ClusterTrustBundleProjection) (wanted func(*certificatesv1.ClusterTrustBundle) bool, what string, err error) {
	if s.Name != nil {
		return func(b *certificatesv1.ClusterTrustBundle) bool { return b.Name == *s.Name }, fmt.Sprintf("is named %q", *s.Name), nil
	}
	if s.SignerName == nil {
		return nil, "", errors.New("a source clusterTrustBundle needs name or signerName")
	}
	// No selector takes nothing, an empty one everything.
	selector, err := metav1.LabelSelectorAsSelector(s.LabelSelector)
	if err != nil {
		return nil, "", err
	}
	return func(b *certificatesv1.ClusterTrustBundle) bool {
		return b.Spec.SignerName == *s.SignerName && selector.Matches(labels.Set(b.Labels))
	}, fmt.Sprintf("of signer %q matches the selector", *s.SignerName), nil
}

// trustAnchors joins the certificates of the bundles, without what stands between
// them, in an order that depends on them alone.
func trustAnchors(bundles []*certificatesv1.ClusterTrustBundle) ([]byte, error) {
	seen := map[string]bool{}
	for _, b := range bundles {
		for rest := []byte(b.Spec.TrustBundle); ; {
			var block *pem.Block
			if block, rest = pem.Decode(rest); block == nil {
				break
			}
			if block.Type != certificateBlock {
				return nil, fmt.Errorf("ClusterTrustBundle %q has a PEM block of type %q, which is no certificate", b.Name, block.Type)
			}
			seen[string(block.Bytes)] = true
		}
	}
	var out bytes.Buffer
	for _, der := range slices.Sorted(maps.Keys(seen)) {
		if err := pem.Encode(&out, &pem.Block{Type: certificateBlock, Bytes: []byte(der)}); err != nil {
			return nil, err
		}
	}
	return out.Bytes(), nil
}

// podCertificate writes the pod's key and certificates, into one file or into two.
func (m *Manager) podCertificate(ctx context.Context, pod *corev1.Pod, at CertificateSource, s *corev1.PodCertificateProjection, mode int32, out map[string]file) error {
	key, chain, err := m.src.PodCertificate(ctx, pod, at, s)
	if err != nil {
		return err
	}
	for path, data := range map[string][]byte{
		s.CredentialBundlePath: slices.Concat(key, chain), s.KeyPath: key, s.CertificateChainPath: chain,
	} {
		if path == "" {
			continue
		}
		clean, err := cleanPath(path)
		if err != nil {
			return err
		}
		out[clean] = ownFile(pod, data, mode, s.User)
	}
	return nil
}

// ownFile is a tokenFile, or one of the user that the source names.
func ownFile(pod *corev1.Pod, data []byte, mode int32, user *int64) file {
	if user == nil {
		return tokenFile(pod, data, mode)
	}
	return file{data: data, mode: 0o600, uid: user}
}
