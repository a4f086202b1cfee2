// Package podclaim answers which claims a pod's volumes use, and from the pod
// informer's cache, which pods use a claim. It only reads.
package podclaim

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/component-helpers/storage/ephemeral"
)

const index = "claimName"

// Names lists the claims of a pod's volumes, those made for it included.
func Names(pod *corev1.Pod) []string {
	var out []string
	for i := range pod.Spec.Volumes {
		if name := Name(pod, &pod.Spec.Volumes[i]); name != "" {
			out = append(out, name)
		}
	}
	return out
}

// Name is the claim of one volume, empty if it has none.
func Name(pod *corev1.Pod, v *corev1.Volume) string {
	switch {
	case v.PersistentVolumeClaim != nil:
		return v.PersistentVolumeClaim.ClaimName
	case v.Ephemeral != nil:
		return ephemeral.VolumeClaimName(pod, v)
	}
	return ""
}

// Index adds the claim index to the pod informer, once.
func Index(pods cache.SharedIndexInformer) error {
	if _, ok := pods.GetIndexer().GetIndexers()[index]; ok {
		return nil
	}
	return pods.AddIndexers(cache.Indexers{index: func(obj any) ([]string, error) {
		pod, ok := obj.(*corev1.Pod)
		if !ok {
			return nil, nil
		}
		names := Names(pod)
		for i, name := range names {
			names[i] = pod.Namespace + "/" + name
		}
		return names, nil
	}})
}

// Pods lists the pods that use a claim.
func Pods(indexer cache.Indexer, namespace, claim string) []*corev1.Pod {
	objs, err := indexer.ByIndex(index, namespace+"/"+claim)
	if err != nil {
		panic(fmt.Sprintf("podclaim: %v (Index was not called on the pod informer)", err))
	}
	out := make([]*corev1.Pod, 0, len(objs))
	for _, obj := range objs {
		out = append(out, obj.(*corev1.Pod))
	}
	return out
}
