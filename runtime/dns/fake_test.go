package dns

import "k8s.io/client-go/tools/cache"

// neverSynced is an informer that is still starting.
type neverSynced struct{ cache.SharedIndexInformer }

func (neverSynced) HasSynced() bool { return false }
