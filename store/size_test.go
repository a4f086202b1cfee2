package store

import (
	"context"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/storage"
)

// An object that grows patch by patch is stopped where etcd would stop it.
func TestObjectsAreBounded(t *testing.T) {
	r := configMaps(t, openStore(t, Options{}))
	cm := configMap("grows")
	key := "/configmaps/default/grows"
	if err := r.Create(context.Background(), key, cm, nil, 0); err != nil {
		t.Fatal(err)
	}
	grow := func(size int) error {
		return r.GuaranteedUpdate(context.Background(), key, &corev1.ConfigMap{}, false, nil,
			func(in runtime.Object, _ storage.ResponseMeta) (runtime.Object, *uint64, error) {
				in.(*corev1.ConfigMap).Data["data"] = strings.Repeat("x", size)
				return in, nil, nil
			}, nil)
	}
	if err := grow(maxObject - 1000); err != nil {
		t.Errorf("within the limit: %v", err)
	}
	if err := grow(maxObject + 1); !apierrors.IsRequestEntityTooLargeError(err) {
		t.Errorf("over the limit: %v", err)
	}
}
