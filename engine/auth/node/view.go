package node

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/client-go/informers"
	certificateslisters "k8s.io/client-go/listers/certificates/v1"
	corev1listers "k8s.io/client-go/listers/core/v1"
	networkinglisters "k8s.io/client-go/listers/networking/v1"
	resourcelisters "k8s.io/client-go/listers/resource/v1"
	storagev1listers "k8s.io/client-go/listers/storage/v1"
	"k8s.io/client-go/tools/cache"

	"github.com/pintle-io/pintle/engine/apis/networking"
)

const (
	byNode      = "pintle.io/pods-by-node"
	bySecret    = "pintle.io/volumes-by-secret"
	byTLSSecret = "pintle.io/ingresses-by-secret"
)

// View is what the authorizer sees of the cluster. What is nil, nothing is known of.
type View struct {
	Pods         cache.Indexer // indexed by IndexPods
	Volumes      cache.Indexer // indexed by IndexVolumes
	Attachments  storagev1listers.VolumeAttachmentLister
	Slices       resourcelisters.ResourceSliceLister
	CertRequests certificateslisters.PodCertificateRequestLister
	Ingresses    cache.Indexer // indexed by IndexIngresses
	Classes      networkinglisters.IngressClassLister
	// Wait, if set, returns when Pods is filled, or the context has ended.
	Wait func(context.Context)
}

// NewView uses the factory's informers; the caller starts the factory.
func NewView(factory informers.SharedInformerFactory) (View, error) {
	pods, volumes := factory.Core().V1().Pods().Informer(), factory.Core().V1().PersistentVolumes().Informer()
	if err := pods.AddIndexers(IndexPods()); err != nil {
		return View{}, fmt.Errorf("index pods by node: %w", err)
	}
	if err := volumes.AddIndexers(IndexVolumes()); err != nil {
		return View{}, fmt.Errorf("index volumes by secret: %w", err)
	}
	ingresses := factory.Networking().V1().Ingresses().Informer()
	if err := ingresses.AddIndexers(IndexIngresses()); err != nil {
		return View{}, fmt.Errorf("index ingresses by secret: %w", err)
	}
	return View{
		Ingresses:    ingresses.GetIndexer(),
		Classes:      factory.Networking().V1().IngressClasses().Lister(),
		Pods:         pods.GetIndexer(),
		Volumes:      volumes.GetIndexer(),
		Attachments:  factory.Storage().V1().VolumeAttachments().Lister(),
		Slices:       factory.Resource().V1().ResourceSlices().Lister(),
		CertRequests: factory.Certificates().V1().PodCertificateRequests().Lister(),
		Wait: func(ctx context.Context) {
			if !pods.HasSynced() {
				cache.WaitFor(ctx, "", pods.HasSyncedChecker())
			}
		},
	}, nil
}

// IndexPods is the index View.Pods needs.
func IndexPods() cache.Indexers {
	return cache.Indexers{byNode: func(obj any) ([]string, error) {
		if pod, ok := obj.(*corev1.Pod); ok && pod.Spec.NodeName != "" {
			return []string{pod.Spec.NodeName}, nil
		}
		return nil, nil
	}}
}

// IndexVolumes is the index View.Volumes needs: by the secrets that nodes need to
// mount the volume, as namespace/name.
func IndexVolumes() cache.Indexers {
	return cache.Indexers{bySecret: func(obj any) ([]string, error) {
		pv, ok := obj.(*corev1.PersistentVolume)
		if !ok || pv.Spec.ClaimRef == nil {
			return nil, nil
		}
		return volumeSecrets(pv), nil
	}}
}

// IndexIngresses is the index View.Ingresses needs: by the secrets that hold their
// certificates, as namespace/name.
func IndexIngresses() cache.Indexers {
	return cache.Indexers{byTLSSecret: func(obj any) (out []string, _ error) {
		if ing, ok := obj.(*networkingv1.Ingress); ok {
			for _, t := range ing.Spec.TLS {
				if t.SecretName != "" {
					out = append(out, ing.Namespace+"/"+t.SecretName)
				}
			}
		}
		return out, nil
	}}
}

// anyPod reports whether f holds for one of the node's pods.
func (v *View) anyPod(node string, f func(*corev1.Pod) bool) bool {
	list, err := v.Pods.ByIndex(byNode, node)
	if err != nil {
		return false
	}
	for _, item := range list {
		if pod, ok := item.(*corev1.Pod); ok && f(pod) {
			return true
		}
	}
	return false
}

// used reports whether one of the node's pods in the namespace refers to name. A
// mirror pod is written by the node itself, so its references give it nothing.
func (v *View) used(node, namespace, name string, refers func(*corev1.Pod, string) bool) bool {
	return v.anyPod(node, func(pod *corev1.Pod) bool {
		_, mirror := pod.Annotations[corev1.MirrorPodAnnotationKey]
		return pod.Namespace == namespace && !mirror && refers(pod, name)
	})
}

func (v *View) pod(node, namespace, name string) bool {
	return v.anyPod(node, func(pod *corev1.Pod) bool { return pod.Namespace == namespace && pod.Name == name })
}

// secret reports whether a pod of the node refers to the secret, itself or
// through a persistent volume it mounts, or an ingress does that nodes serve.
func (v *View) secret(node, namespace, name string) bool {
	if v.used(node, namespace, name, refersToSecret) || v.certificate(namespace, name) {
		return true
	}
	if v.Volumes == nil {
		return false
	}
	list, err := v.Volumes.ByIndex(bySecret, namespace+"/"+name)
	if err != nil {
		return false
	}
	for _, item := range list {
		if pv, ok := item.(*corev1.PersistentVolume); ok && v.mounted(node, pv) {
			return true
		}
	}
	return false
}

// certificate reports whether the secret is a certificate of an ingress of the built-in
// controller, which every node serves.
func (v *View) certificate(namespace, name string) bool {
	if v.Ingresses == nil || v.Classes == nil {
		return false
	}
	list, err := v.Ingresses.ByIndex(byTLSSecret, namespace+"/"+name)
	if err != nil {
		return false
	}
	return slices.ContainsFunc(list, func(item any) bool {
		ing, ok := item.(*networkingv1.Ingress)
		if !ok || ing.DeletionTimestamp != nil {
			return false
		}
		class, err := v.Classes.Get(networking.ClassOf(ing))
		return err == nil && class.Spec.Controller == networking.IngressController
	})
}

func (v *View) configMap(node, namespace, name string) bool {
	return v.used(node, namespace, name, refersToConfigMap)
}

func (v *View) claim(node, namespace, name string) bool {
	return v.used(node, namespace, name, refersToClaim)
}

func (v *View) serviceAccount(node, namespace, name string) bool {
	return v.used(node, namespace, name, refersToServiceAccount)
}

func (v *View) resourceClaim(node, namespace, name string) bool {
	return v.used(node, namespace, name, refersToResourceClaim)
}

func (v *View) volume(node, _, name string) bool {
	if v.Volumes == nil {
		return false
	}
	pv, err := corev1listers.NewPersistentVolumeLister(v.Volumes).Get(name)
	return err == nil && v.mounted(node, pv)
}

// mounted reports whether a pod of the node uses the claim the volume is bound to.
func (v *View) mounted(node string, pv *corev1.PersistentVolume) bool {
	ref := pv.Spec.ClaimRef
	return ref != nil && v.claim(node, ref.Namespace, ref.Name)
}

func (v *View) attachment(node, _, name string) bool {
	if v.Attachments == nil {
		return false
	}
	a, err := v.Attachments.Get(name)
	return err == nil && a.Spec.NodeName == node
}

func (v *View) resourceSlice(node, _, name string) bool {
	if v.Slices == nil {
		return false
	}
	s, err := v.Slices.Get(name)
	return err == nil && s.Spec.NodeName != nil && *s.Spec.NodeName == node
}

func (v *View) certRequest(node, namespace, name string) bool {
	if v.CertRequests == nil {
		return false
	}
	r, err := v.CertRequests.PodCertificateRequests(namespace).Get(name)
	return err == nil && string(r.Spec.NodeName) == node
}
