package csr

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	certificatesv1 "k8s.io/api/certificates/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	certlisters "k8s.io/client-go/listers/certificates/v1"
	corelisters "k8s.io/client-go/listers/core/v1"

	"github.com/pintle-io/pintle/engine/reconcile"
)

// Signer holds the cluster's authority.
type Signer interface {
	SignRequest(request []byte, usage x509.KeyUsage, extended []x509.ExtKeyUsage, life time.Duration) ([]byte, error)
}

type observer struct {
	client kubernetes.Interface
	signer Signer
	csrs   certlisters.CertificateSigningRequestLister
	nodes  corelisters.NodeLister
}

// New builds the controller.
func New(env reconcile.Env, signer Signer) (*reconcile.Controller, error) {
	csrs := env.Informers().Certificates().V1().CertificateSigningRequests()
	o := &observer{
		client: env.WriterFor("certificate-controller").Clientset(), signer: signer,
		csrs: csrs.Lister(), nodes: env.Informers().Core().V1().Nodes().Lister(),
	}
	return env.Controller(reconcile.Config{
		Name:      "certificate-controller",
		Reconcile: o.reconcile,
		Watches:   []reconcile.Watch{reconcile.Self[*certificatesv1.CertificateSigningRequest](csrs.Informer())},
	})
}

func (o *observer) reconcile(ctx context.Context, key reconcile.Key, now time.Time) (reconcile.Result, error) {
	csr, err := o.csrs.Get(key.Name)
	if apierrors.IsNotFound(err) {
		return reconcile.Result{}, nil
	}
	if err != nil {
		return reconcile.Result{}, err
	}
	observed := Observed{CSR: csr, Request: parse(csr.Spec.Request), Now: now}
	if err := o.review(ctx, &observed); err != nil {
		return reconcile.Result{}, err
	}
	verdict := Plan(observed)
	if verdict.Sign != nil {
		cert, err := o.signer.SignRequest(csr.Spec.Request, verdict.Sign.Usage, verdict.Sign.Extended, verdict.Sign.Life)
		if err != nil {
			return reconcile.Result{}, fmt.Errorf("sign %s: %w", csr.Name, err)
		}
		signed := csr.DeepCopy()
		signed.Status.Certificate = cert
		verdict.Add(reconcile.UpdateStatus{Object: signed})
	}
	return verdict.Result, nil
}

// review gathers what approval depends on, for requests that wait for it.
func (o *observer) review(ctx context.Context, observed *Observed) error {
	csr := observed.CSR
	if observed.Request == nil || len(csr.Status.Conditions) > 0 {
		return nil
	}
	node := strings.TrimPrefix(observed.Request.Subject.CommonName, nodePrefix)
	switch csr.Spec.SignerName {
	case certificatesv1.KubeletServingSignerName:
		if n, err := o.nodes.Get(node); err == nil {
			observed.Addresses = n.Status.Addresses
		}
	case certificatesv1.KubeAPIServerClientKubeletSignerName:
		subresources := []string{"nodeclient"}
		if csr.Spec.Username == observed.Request.Subject.CommonName {
			subresources = []string{"selfnodeclient", "nodeclient"}
		}
		for _, subresource := range subresources {
			allowed, err := o.allowed(ctx, csr, subresource)
			if err != nil {
				return err
			}
			observed.MayHaveNodeClient = observed.MayHaveNodeClient || allowed
		}
	}
	return nil
}

func (o *observer) allowed(ctx context.Context, csr *certificatesv1.CertificateSigningRequest, subresource string) (bool, error) {
	extra := map[string]authorizationv1.ExtraValue{}
	for k, v := range csr.Spec.Extra {
		extra[k] = authorizationv1.ExtraValue(v)
	}
	review, err := o.client.AuthorizationV1().SubjectAccessReviews().Create(ctx, &authorizationv1.SubjectAccessReview{
		Spec: authorizationv1.SubjectAccessReviewSpec{
			User: csr.Spec.Username, UID: csr.Spec.UID, Groups: csr.Spec.Groups, Extra: extra,
			ResourceAttributes: &authorizationv1.ResourceAttributes{
				Group: resource.Group, Resource: resource.Resource, Subresource: subresource, Verb: "create", Version: "*",
			},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		return false, fmt.Errorf("review access of %s: %w", csr.Spec.Username, err)
	}
	return review.Status.Allowed, nil
}

func parse(request []byte) *x509.CertificateRequest {
	block, _ := pem.Decode(request)
	if block == nil {
		return nil
	}
	req, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil || req.CheckSignature() != nil {
		return nil
	}
	return req
}
