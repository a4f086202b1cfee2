package node

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/informers"
	corev1listers "k8s.io/client-go/listers/core/v1"
	storagev1listers "k8s.io/client-go/listers/storage/v1"
	"k8s.io/client-go/tools/cache"
)

const byNode = "pintle.io/pods-by-node"

// View is what the authorizer sees of the cluster. Claims, Volumes and
// Attachments may be nil: then nothing is known of them.
type View struct {
	Pods        cache.Indexer // indexed by IndexPods
	Claims      corev1listers.PersistentVolumeClaimLister
	Volumes     corev1listers.PersistentVolumeLister
	Attachments storagev1listers.VolumeAttachmentLister
}

// NewView uses the factory's informers; the caller starts the factory.
func NewView(factory informers.SharedInformerFactory) (View, error) {
	pods := factory.Core().V1().Pods().Informer()
	if err := pods.AddIndexers(IndexPods()); err != nil {
		return View{}, fmt.Errorf("index pods by node: %w", err)
	}
	return View{
		Pods:        pods.GetIndexer(),
		Claims:      factory.Core().V1().PersistentVolumeClaims().Lister(),
		Volumes:     factory.Core().V1().PersistentVolumes().Lister(),
		Attachments: factory.Storage().V1().VolumeAttachments().Lister(),
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

// used reports whether one of the node's pods in the namespace refers to name.
func (v *View) used(node, namespace, name string, refers func(*corev1.Pod, string) bool) bool {
	return v.anyPod(node, func(pod *corev1.Pod) bool { return pod.Namespace == namespace && refers(pod, name) })
}

func (v *View) pod(node, namespace, name string) bool {
	return v.anyPod(node, func(pod *corev1.Pod) bool { return pod.Namespace == namespace && pod.Name == name })
}

// secret reports whether a pod of the node refers to the secret, itself or
// through a persistent volume it mounts.
func (v *View) secret(node, namespace, name string) bool {
	return v.used(node, namespace, name, refersToSecret) ||
		v.anyVolume(node, func(pv *corev1.PersistentVolume) bool { return volumeNeedsSecret(pv, namespace, name) })
}

func (v *View) volume(node, name string) bool {
	return v.anyVolume(node, func(pv *corev1.PersistentVolume) bool { return pv.Name == name })
}

// anyVolume reports whether f holds for a persistent volume mounted on the node.
func (v *View) anyVolume(node string, f func(*corev1.PersistentVolume) bool) bool {
	if v.Claims == nil || v.Volumes == nil {
		return false
	}
	return v.anyPod(node, func(pod *corev1.Pod) bool {
		for i := range pod.Spec.Volumes {
			if pv := v.mounted(pod, &pod.Spec.Volumes[i]); pv != nil && f(pv) {
				return true
			}
		}
		return false
	})
}

func (v *View) mounted(pod *corev1.Pod, volume *corev1.Volume) *corev1.PersistentVolume {
	var name string
	switch {
	case volume.PersistentVolumeClaim != nil:
		name = volume.PersistentVolumeClaim.ClaimName
	case volume.Ephemeral != nil:
		name = pod.Name + "-" + volume.Name
	default:
		return nil
	}
	claim, err := v.Claims.PersistentVolumeClaims(pod.Namespace).Get(name)
	if err != nil || claim.Spec.VolumeName == "" {
		return nil
	}
	pv, err := v.Volumes.Get(claim.Spec.VolumeName)
	if err != nil || pv.Spec.ClaimRef == nil || pv.Spec.ClaimRef.UID != claim.UID {
		return nil
	}
	return pv
}

func (v *View) attachment(node, name string) bool {
	if v.Attachments == nil {
		return false
	}
	a, err := v.Attachments.Get(name)
	return err == nil && a.Spec.NodeName == node
}
