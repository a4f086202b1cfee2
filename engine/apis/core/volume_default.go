package core

import (
	"reflect"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
)

// defaultFileMode is the mode of files made from secrets, config maps and the like.
const defaultFileMode int32 = 0o644

// DefaultVolume fills what a volume of a pod left out; one without a source is
// an emptyDir.
func DefaultVolume(v *corev1.Volume) {
	src := &v.VolumeSource
	if reflect.ValueOf(*src).IsZero() {
		src.EmptyDir = &corev1.EmptyDirVolumeSource{}
		return
	}
	switch {
	case src.Secret != nil:
		setDefaultPtr(&src.Secret.DefaultMode, defaultFileMode)
	case src.ConfigMap != nil:
		setDefaultPtr(&src.ConfigMap.DefaultMode, defaultFileMode)
	case src.DownwardAPI != nil:
		setDefaultPtr(&src.DownwardAPI.DefaultMode, defaultFileMode)
		defaultDownwardItems(src.DownwardAPI.Items)
	case src.Projected != nil:
		setDefaultPtr(&src.Projected.DefaultMode, defaultFileMode)
		for i := range src.Projected.Sources {
			defaultProjection(&src.Projected.Sources[i])
		}
	case src.HostPath != nil:
		setDefaultPtr(&src.HostPath.Type, corev1.HostPathUnset)
	case src.Ephemeral != nil:
		if t := src.Ephemeral.VolumeClaimTemplate; t != nil {
			defaultClaimSpec(&t.Spec)
		}
	default:
		defaultLegacyVolume(src)
	}
}

func defaultProjection(p *corev1.VolumeProjection) {
	if p.DownwardAPI != nil {
		defaultDownwardItems(p.DownwardAPI.Items)
	}
	if t := p.ServiceAccountToken; t != nil && t.ExpirationSeconds == nil {
		t.ExpirationSeconds = ptr.To(int64(60 * 60))
	}
}

func defaultDownwardItems(items []corev1.DownwardAPIVolumeFile) {
	for i := range items {
		defaultFieldRef(items[i].FieldRef)
	}
}

// defaultLegacyVolume covers the sources that storage plugins have replaced.
func defaultLegacyVolume(src *corev1.VolumeSource) {
	switch {
	case src.ISCSI != nil:
		setDefault(&src.ISCSI.ISCSIInterface, "default")
	case src.RBD != nil:
		setDefault(&src.RBD.RBDPool, "rbd")
		setDefault(&src.RBD.RadosUser, "admin")
		setDefault(&src.RBD.Keyring, "/etc/ceph/keyring")
	case src.AzureDisk != nil:
		defaultAzureDisk(src.AzureDisk)
	case src.ScaleIO != nil:
		setDefault(&src.ScaleIO.StorageMode, "ThinProvisioned")
		setDefault(&src.ScaleIO.FSType, "xfs")
	}
}

func defaultAzureDisk(d *corev1.AzureDiskVolumeSource) {
	setDefaultPtr(&d.CachingMode, corev1.AzureDataDiskCachingReadWrite)
	setDefaultPtr(&d.Kind, corev1.AzureSharedBlobDisk)
	setDefaultPtr(&d.FSType, "ext4")
	setDefaultPtr(&d.ReadOnly, false)
}
