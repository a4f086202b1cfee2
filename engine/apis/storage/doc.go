// Package storage holds the rules of the storage kinds: classes of volumes and of
// their attributes, attachments, and what storage drivers report.
//
// Every function is safe for concurrent use on distinct objects.
package storage

import (
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/pintle-io/pintle/engine/apis"
)

// Resources lists the rows of the storage.k8s.io group.
func Resources() []apis.Resource {
	return []apis.Resource{
		csiDrivers(),
		csiNodes(),
		csiStorageCapacities(),
		storageClasses(),
		volumeAttachments(),
		volumeAttributesClasses(),
	}
}

func kind(name string) schema.GroupVersionKind {
	return storagev1.SchemeGroupVersion.WithKind(name)
}

var (
	metadata = field.NewPath("metadata")
	specPath = field.NewPath("spec")
)

func setDefaultPtr[T any](field **T, value T) {
	if *field == nil {
		*field = &value
	}
}
