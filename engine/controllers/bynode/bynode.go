// Package bynode answers, from the pod informer's cache, which pods are on a node.
// It only reads.
package bynode

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/cache"
)

const index = "nodeName"

// Index adds the node index to the pod informer, once.
func Index(pods cache.SharedIndexInformer) error {
	if _, ok := pods.GetIndexer().GetIndexers()[index]; ok {
		return nil
	}
	return pods.AddIndexers(cache.Indexers{index: func(obj any) ([]string, error) {
		pod, ok := obj.(*corev1.Pod)
		if !ok || pod.Spec.NodeName == "" {
			return nil, nil
		}
		return []string{pod.Spec.NodeName}, nil
	}})
}

// Pods lists the pods on a node.
func Pods(indexer cache.Indexer, node string) []*corev1.Pod {
	objs, err := indexer.ByIndex(index, node)
	if err != nil {
		panic(fmt.Sprintf("bynode: %v (Index was not called on the pod informer)", err))
	}
	out := make([]*corev1.Pod, 0, len(objs))
	for _, obj := range objs {
		out = append(out, obj.(*corev1.Pod))
	}
	return out
}
