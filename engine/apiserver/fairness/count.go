package fairness

import (
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/storage"
	"k8s.io/apiserver/pkg/util/flowcontrol/request"
)

// Counts answers how many objects a resource has by asking, at each question, whoever
// stores them: it holds nothing that could go stale.
type Counts func(resource schema.GroupResource) (stats storage.Stats, ok bool)

var _ request.StorageObjectCountTracker = Counts(nil)

// Get implements request.StorageObjectCountTracker.
func (c Counts) Get(resource string) (storage.Stats, error) {
	stats, ok := c(schema.ParseGroupResource(resource))
	if !ok {
		return storage.Stats{}, request.ObjectCountNotFoundErr
	}
	return stats, nil
}

// Set implements request.StorageObjectCountTracker; nobody needs to tell.
func (Counts) Set(string, storage.Stats) {}

// RunUntil implements request.StorageObjectCountTracker; there is nothing to maintain.
func (Counts) RunUntil(stop <-chan struct{}) { <-stop }
