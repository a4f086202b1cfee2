package storage

import (
	"testing"

	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/pintle-io/pintle/engine/apis/apistest"
)

func TestStorageClass(t *testing.T) {
	base := func() *storagev1.StorageClass {
		return &storagev1.StorageClass{ObjectMeta: metav1.ObjectMeta{Name: "fast", ResourceVersion: "1"}, Provisioner: "example.com/x"}
	}
	apistest.RunCreate(t, storageClasses(), base, map[string]apistest.Case[*storagev1.StorageClass]{
		"provisioner": {Change: func(c *storagev1.StorageClass) { c.Provisioner = "" }, Want: []string{"provisioner: Required value"}},
		"mode":        {Change: func(c *storagev1.StorageClass) { c.VolumeBindingMode = ptr.To(storagev1.VolumeBindingMode("X")) }, Want: []string{"volumeBindingMode: Unsupported value"}},
	})
	apistest.RunUpdate(t, storageClasses(), base, map[string]apistest.Case[*storagev1.StorageClass]{
		"parameters": {Change: func(c *storagev1.StorageClass) { c.Parameters = map[string]string{"a": "b"} }, Want: []string{"parameters: Invalid value"}},
		"expansion":  {Change: func(c *storagev1.StorageClass) { c.AllowVolumeExpansion = ptr.To(true) }},
	})
	c := base()
	c.Annotations = map[string]string{defaultClass: "true"}
	if cells := apistest.Cells(storageClasses(), c); cells["Name"] != "fast (default)" {
		t.Errorf("cells: %v", cells)
	}
}

func TestCSIKinds(t *testing.T) {
	driver := func() *storagev1.CSIDriver {
		return &storagev1.CSIDriver{ObjectMeta: metav1.ObjectMeta{Name: "csi.example.com", ResourceVersion: "1"}}
	}
	apistest.RunCreate(t, csiDrivers(), driver, map[string]apistest.Case[*storagev1.CSIDriver]{
		"mode": {Change: func(d *storagev1.CSIDriver) { d.Spec.VolumeLifecycleModes = []storagev1.VolumeLifecycleMode{"X"} }, Want: []string{"spec.volumeLifecycleModes: Unsupported value"}},
		"token": {Change: func(d *storagev1.CSIDriver) {
			d.Spec.TokenRequests = []storagev1.TokenRequest{{ExpirationSeconds: ptr.To(int64(1))}}
		}, Want: []string{"spec.tokenRequests[0].expirationSeconds: Invalid value"}},
	})
	node := func() *storagev1.CSINode {
		return &storagev1.CSINode{
			ObjectMeta: metav1.ObjectMeta{Name: "n", ResourceVersion: "1"},
			Spec:       storagev1.CSINodeSpec{Drivers: []storagev1.CSINodeDriver{{Name: "a", NodeID: "1"}}},
		}
	}
	apistest.RunUpdate(t, csiNodes(), node, map[string]apistest.Case[*storagev1.CSINode]{
		"id": {Change: func(n *storagev1.CSINode) { n.Spec.Drivers[0].NodeID = "2" }, Want: []string{"CSINodeDriver: Invalid value"}},
		"limit": {Change: func(n *storagev1.CSINode) {
			n.Spec.Drivers[0].Allocatable = &storagev1.VolumeNodeResources{Count: ptr.To(int32(3))}
		}},
	})
	attachment := func() *storagev1.VolumeAttachment {
		return &storagev1.VolumeAttachment{
			ObjectMeta: metav1.ObjectMeta{Name: "a", ResourceVersion: "1"},
			Spec:       storagev1.VolumeAttachmentSpec{Attacher: "x", NodeName: "n", Source: storagev1.VolumeAttachmentSource{PersistentVolumeName: ptr.To("v")}},
		}
	}
	apistest.RunUpdate(t, volumeAttachments(), attachment, map[string]apistest.Case[*storagev1.VolumeAttachment]{
		"node": {Change: func(a *storagev1.VolumeAttachment) { a.Spec.NodeName = "m" }, Want: []string{"spec: Invalid value"}},
	})
}
