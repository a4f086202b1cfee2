package store

import (
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// maxObject is the largest encoded object that is stored: what etcd takes with its
// defaults. A request is bounded to twice that, but patches could make an object
// grow for ever.
const maxObject = 3 << 19

// checkSize refuses data that is too large with the error that makes upstream's
// patch handler try again without managed fields.
func checkSize(key string, data []byte) error {
	if len(data) <= maxObject {
		return nil
	}
	return apierrors.NewRequestEntityTooLargeError(fmt.Sprintf("%s takes %d bytes in the store, limit is %d", key, len(data), maxObject))
}
