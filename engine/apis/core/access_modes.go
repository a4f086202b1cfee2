package core

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// FormatAccessModes abbreviates access modes as kubectl shows them, in a fixed order.
func FormatAccessModes(modes []corev1.PersistentVolumeAccessMode) string {
	var parts []string
	for _, m := range []struct {
		mode  corev1.PersistentVolumeAccessMode
		short string
	}{
		{corev1.ReadWriteOnce, "RWO"},
		{corev1.ReadOnlyMany, "ROX"},
		{corev1.ReadWriteMany, "RWX"},
		{corev1.ReadWriteOncePod, "RWOP"},
	} {
		if slices.Contains(modes, m.mode) {
			parts = append(parts, m.short)
		}
	}
	return strings.Join(parts, ",")
}
