package agent

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/pintle-io/pintle/runtime/volume"
)

// certificateKey names what asks for a certificate: one source of a pod's volume.
type certificateKey struct {
	uid string
	at  volume.CertificateSource
}

// certificate is what a source has, and what it has asked for. It belongs to the
// pod's worker, whose calls do not overlap.
type certificate struct {
	key, chain []byte // PEM
	renew      time.Time
	// asked is the name of the request under way, askedKey the key it is for.
	asked    string
	askedKey []byte
	// refused is final: the request was denied, or failed.
	refused error
}

// PodCertificate implements volume.Source: it asks a signer by a
// PodCertificateRequest, and again when the signer wants it renewed, until when, and
// until the new one is there, the old one serves.
func (o *objects) PodCertificate(ctx context.Context, pod *corev1.Pod, at volume.CertificateSource, p *corev1.PodCertificateProjection) (key, chain []byte, err error) {
	c := o.certificate(certificateKey{string(pod.UID), at})
	if c.refused == nil && c.asked == "" && (c.chain == nil || time.Now().After(c.renew)) {
		err = o.askCertificate(ctx, pod, p, c)
	}
	if err == nil && c.asked != "" {
		err = o.receiveCertificate(ctx, pod, c)
	}
	if c.chain != nil {
		return c.key, c.chain, nil
	}
	return nil, nil, errors.Join(err, c.refused)
}

func (o *objects) certificate(key certificateKey) *certificate {
	o.mu.Lock()
	defer o.mu.Unlock()
	c := o.mu.certificates[key]
	if c == nil {
		c = &certificate{}
		o.mu.certificates[key] = c
	}
	return c
}

func (o *objects) askCertificate(ctx context.Context, pod *corev1.Pod, p *corev1.PodCertificateProjection, c *certificate) error {
	account, err := o.client.CoreV1().ServiceAccounts(pod.Namespace).Get(ctx, pod.Spec.ServiceAccountName, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("fetch the service account: %w", err)
	}
	node, err := o.client.CoreV1().Nodes().Get(ctx, o.node, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("fetch the node: %w", err)
	}
	key, proof, err := newPodKey(p.KeyType)
	if err != nil {
		return err
	}
	request, err := o.client.CertificatesV1().PodCertificateRequests(pod.Namespace).Create(ctx, &certificatesv1.PodCertificateRequest{
		ObjectMeta: metav1.ObjectMeta{
			GenerateName: "req-", Namespace: pod.Namespace,
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "v1", Kind: "Pod", Name: pod.Name, UID: pod.UID}},
		},
		Spec: certificatesv1.PodCertificateRequestSpec{
			SignerName: p.SignerName, PodName: pod.Name, PodUID: pod.UID,
			ServiceAccountName: pod.Spec.ServiceAccountName, ServiceAccountUID: account.UID,
			NodeName: types.NodeName(o.node), NodeUID: node.UID,
			MaxExpirationSeconds: p.MaxExpirationSeconds, StubPKCS10Request: proof, UnverifiedUserAnnotations: p.UserAnnotations,
		},
	}, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("ask for a certificate: %w", err)
	}
	c.asked, c.askedKey = request.Name, key
	return nil
}

// receiveCertificate looks at the request; its changes wake the pod.
func (o *objects) receiveCertificate(ctx context.Context, pod *corev1.Pod, c *certificate) error {
	name := pod.Namespace + "/" + c.asked
	got, err := o.get(ctx, pod, podCertificateRequests, c.asked, &certificatesv1.PodCertificateRequest{})
	if apierrors.IsNotFound(err) {
		o.unwatch(objectKey{podCertificateRequests, pod.Namespace, c.asked}, string(pod.UID))
		c.asked, c.askedKey = "", nil
		return fmt.Errorf("PodCertificateRequest %s is gone; another one will be made", name)
	}
	if err != nil {
		return err
	}
	status := got.(*certificatesv1.PodCertificateRequest).Status
	for _, cond := range status.Conditions {
		switch cond.Type {
		case certificatesv1.PodCertificateRequestConditionTypeDenied:
			c.refused = fmt.Errorf("PodCertificateRequest %s was denied, reason=%q, message=%q", name, cond.Reason, cond.Message)
		case certificatesv1.PodCertificateRequestConditionTypeFailed:
			c.refused = fmt.Errorf("PodCertificateRequest %s failed, reason=%q, message=%q", name, cond.Reason, cond.Message)
		case certificatesv1.PodCertificateRequestConditionTypeIssued:
			c.key, c.chain = c.askedKey, plainBlocks([]byte(status.CertificateChain))
			if status.BeginRefreshAt != nil {
				c.renew = status.BeginRefreshAt.Time
			}
		default:
			continue
		}
		o.unwatch(objectKey{podCertificateRequests, pod.Namespace, c.asked}, string(pod.UID))
		c.asked, c.askedKey = "", nil
		return c.refused
	}
	return fmt.Errorf("PodCertificateRequest %s is not issued yet", name)
}

// newPodKey makes a private key, in PEM, and a signing request that says nothing but
// that its maker has it.
func newPodKey(kind string) (key, proof []byte, err error) {
	var private crypto.Signer
	switch kind {
	case "RSA3072":
		private, err = rsa.GenerateKey(rand.Reader, 3072)
	case "RSA4096":
		private, err = rsa.GenerateKey(rand.Reader, 4096)
	case "ECDSAP256":
		private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case "ECDSAP384":
		private, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	case "ECDSAP521":
		private, err = ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	case "ED25519":
		_, private, err = ed25519.GenerateKey(rand.Reader)
	default:
		err = fmt.Errorf("keys of type %q are not supported on this node", kind)
	}
	if err != nil {
		return nil, nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, nil, err
	}
	if proof, err = x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, private); err != nil {
		return nil, nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), proof, nil
}

// plainBlocks leaves out what stands between and in front of PEM blocks.
func plainBlocks(text []byte) []byte {
	var out []byte
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			return out
		}
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: block.Type, Bytes: block.Bytes})...)
	}
}
