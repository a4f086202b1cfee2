package admission

import (
	"context"
	"errors"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apiserver/pkg/admission"
	networkingv1listers "k8s.io/client-go/listers/networking/v1"
	storagev1listers "k8s.io/client-go/listers/storage/v1"
	"k8s.io/component-helpers/storage/volume"
)

const (
	defaultStorageAnnotation     = "storageclass.kubernetes.io/is-default-class"
	betaDefaultStorageAnnotation = "storageclass.beta.kubernetes.io/is-default-class"
	ingressClassAnnotation       = "kubernetes.io/ingress.class"
)

// storageClass gives claims that ask for no class the default one.
type storageClass struct {
	operations
	classes storagev1listers.StorageClassLister
}

func newStorageClass(b *builder) (admission.Interface, error) {
	informer := b.Informers.Storage().V1().StorageClasses()
	b.uses(informer.Informer())
	return &storageClass{onCreate, informer.Lister()}, nil
}

// Admit implements admission.MutationInterface.
func (s *storageClass) Admit(_ context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	claim, ok := subject[*corev1.PersistentVolumeClaim](a, claimsResource)
	if !ok || claim.Spec.StorageClassName != nil {
		return nil
	}
	if _, asked := claim.Annotations[corev1.BetaStorageClassAnnotation]; asked {
		return nil
	}
	list, err := s.classes.List(labels.Everything())
	if err != nil {
		return apierrors.NewInternalError(err)
	}
	class := newest(list, func(c *storagev1.StorageClass) bool {
		return c.Annotations[defaultStorageAnnotation] == "true" || c.Annotations[betaDefaultStorageAnnotation] == "true"
	}, func(c *storagev1.StorageClass) time.Time { return c.CreationTimestamp.Time })
	if class != nil {
		claim.Spec.StorageClassName = &class.Name
	}
	return nil
}

// claimResize lets a claim grow only if it is bound and its class allows it.
type claimResize struct {
	operations
	classes storagev1listers.StorageClassLister
}

func newClaimResize(b *builder) (admission.Interface, error) {
	informer := b.Informers.Storage().V1().StorageClasses()
	b.uses(informer.Informer())
	return &claimResize{operations{admission.Update}, informer.Lister()}, nil
}

// Validate implements admission.ValidationInterface.
func (r *claimResize) Validate(_ context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	claim, ok := subject[*corev1.PersistentVolumeClaim](a, claimsResource)
	old, had := a.GetOldObject().(*corev1.PersistentVolumeClaim)
	if !ok || !had || a.GetSubresource() != "" {
		return nil
	}
	before, after := old.Spec.Resources.Requests[corev1.ResourceStorage], claim.Spec.Resources.Requests[corev1.ResourceStorage]
	switch {
	case after.Cmp(before) <= 0:
		return nil
	case old.Status.Phase != corev1.ClaimBound:
		return admission.NewForbidden(a, errors.New("Only bound persistent volume claims can be expanded")) //nolint:staticcheck // upstream's words
	case !r.allowed(claim, old):
		return admission.NewForbidden(a, errors.New("only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize"))
	}
	return nil
}

func (r *claimResize) allowed(claim, old *corev1.PersistentVolumeClaim) bool {
	name := volume.GetPersistentVolumeClaimClass(claim)
	if name == "" || name != volume.GetPersistentVolumeClaimClass(old) {
		return false
	}
	class, err := r.classes.Get(name)
	return err == nil && class.AllowVolumeExpansion != nil && *class.AllowVolumeExpansion
}

// ingressClass does the same for ingresses.
type ingressClass struct {
	operations
	classes networkingv1listers.IngressClassLister
}

func newIngressClass(b *builder) (admission.Interface, error) {
	informer := b.Informers.Networking().V1().IngressClasses()
	b.uses(informer.Informer())
	return &ingressClass{onCreate, informer.Lister()}, nil
}

// Admit implements admission.MutationInterface.
func (i *ingressClass) Admit(_ context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	ingress, ok := subject[*networkingv1.Ingress](a, networkingv1.Resource("ingresses"))
	if !ok || ingress.Spec.IngressClassName != nil {
		return nil
	}
	if _, asked := ingress.Annotations[ingressClassAnnotation]; asked {
		return nil
	}
	list, err := i.classes.List(labels.Everything())
	if err != nil {
		return apierrors.NewInternalError(err)
	}
	class := newest(list, func(c *networkingv1.IngressClass) bool {
		return c.Annotations[networkingv1.AnnotationIsDefaultIngressClass] == "true"
	}, func(c *networkingv1.IngressClass) time.Time { return c.CreationTimestamp.Time })
	if class != nil {
		ingress.Spec.IngressClassName = &class.Name
	}
	return nil
}

// storageProtection keeps claims and volumes from vanishing while in use: the
// finalizer is taken off by a controller.
type storageProtection struct{ operations }

func newStorageProtection(*builder) (admission.Interface, error) {
	return &storageProtection{onCreate}, nil
}

// Admit implements admission.MutationInterface.
func (*storageProtection) Admit(_ context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	if claim, ok := subject[*corev1.PersistentVolumeClaim](a, claimsResource); ok {
		addFinalizer(&claim.ObjectMeta, "kubernetes.io/pvc-protection")
	}
	if volume, ok := subject[*corev1.PersistentVolume](a, corev1.Resource("persistentvolumes")); ok {
		addFinalizer(&volume.ObjectMeta, "kubernetes.io/pv-protection")
	}
	if class, ok := subject[*storagev1.VolumeAttributesClass](a, storagev1.Resource("volumeattributesclasses")); ok {
		addFinalizer(&class.ObjectMeta, "kubernetes.io/vac-protection")
	}
	return nil
}

func addFinalizer(meta *metav1.ObjectMeta, name string) {
	if !slices.Contains(meta.Finalizers, name) {
		meta.Finalizers = append(meta.Finalizers, name)
	}
}

// nodeTaint keeps pods off a new node until it has reported that it is ready; the
// node lifecycle controller takes the taint away.
type nodeTaint struct{ operations }

func newNodeTaint(*builder) (admission.Interface, error) { return &nodeTaint{onCreate}, nil }

// Admit implements admission.MutationInterface.
func (*nodeTaint) Admit(_ context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	node, ok := subject[*corev1.Node](a, nodesResource)
	if !ok {
		return nil
	}
	taint := corev1.Taint{Key: corev1.TaintNodeNotReady, Effect: corev1.TaintEffectNoSchedule}
	if !slices.ContainsFunc(node.Spec.Taints, func(t corev1.Taint) bool { return t.MatchTaint(&taint) }) {
		node.Spec.Taints = append(node.Spec.Taints, taint)
	}
	return nil
}
