// Package batch holds the rules of jobs and cron jobs. Their pod templates follow
// the rules of package core.
//
// It never reads the store or other objects; every function is safe for
// concurrent use on distinct objects.
package batch

import (
	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/pintle-io/pintle/engine/apis"
)

// Resources lists the rows of the batch group.
func Resources() []apis.Resource {
	return []apis.Resource{cronJobs(), jobs()}
}

func kind(name string) schema.GroupVersionKind {
	return batchv1.SchemeGroupVersion.WithKind(name)
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

func setDefaultPtr[T any](field **T, value T) {
	if *field == nil {
		*field = &value
	}
}
