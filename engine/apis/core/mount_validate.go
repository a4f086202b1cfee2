package core

import (
	"path"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"
)

// validateMounts checks the volume mounts of a container against the volumes of
// its pod.
func (s *specScope) validateMounts(c *corev1.Container, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	devices, devicePaths := sets.New[string](), sets.New[string]()
	for _, d := range c.VolumeDevices {
		devices.Insert(d.Name)
		devicePaths.Insert(d.DevicePath)
	}
	paths := sets.New[string]()
	for i := range c.VolumeMounts {
		m, mountAt := &c.VolumeMounts[i], at.Child("volumeMounts").Index(i)
		_, known := s.volumes[m.Name]
		if m.Name == "" {
			errs = append(errs, field.Required(mountAt.Child("name"), ""))
		}
		if !known {
			errs = append(errs, field.NotFound(mountAt.Child("name"), m.Name))
		}
		if m.MountPath == "" {
			errs = append(errs, field.Required(mountAt.Child("mountPath"), ""))
		}
		if paths.Has(m.MountPath) {
			errs = append(errs, field.Invalid(mountAt.Child("mountPath"), m.MountPath, "must be unique"))
		}
		paths.Insert(m.MountPath)
		if devices.Has(m.Name) {
			errs = append(errs, field.Invalid(mountAt.Child("name"), m.Name, "must not already exist in volumeDevices"))
		}
		if devicePaths.Has(m.MountPath) {
			errs = append(errs, field.Invalid(mountAt.Child("mountPath"), m.MountPath, "must not already exist as a path in volumeDevices"))
		}
		listAt := at.Child("volumeMounts")
		errs = append(errs, validateSubPaths(m, listAt, mountAt)...)
		errs = append(errs, validatePropagation(m, c, listAt.Child("mountPropagation"))...)
		errs = append(errs, validateRecursiveReadOnly(m, listAt.Child("recursiveReadOnly"))...)
	}
	return errs
}

// validateSubPaths reports bad paths on the list, as upstream does.
func validateSubPaths(m *corev1.VolumeMount, listAt, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if m.SubPath != "" {
		errs = append(errs, validateDescendingPath(m.SubPath, listAt.Child("subPath"))...)
	}
	if m.SubPathExpr == "" {
		return errs
	}
	if m.SubPath != "" {
		errs = append(errs, field.Invalid(at.Child("subPathExpr"), m.SubPathExpr, "subPathExpr and subPath are mutually exclusive"))
	}
	return append(errs, validateDescendingPath(m.SubPathExpr, listAt.Child("subPathExpr"))...)
}

// validateDescendingPath takes a path that stays below where it starts.
func validateDescendingPath(p string, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if path.IsAbs(p) {
		errs = append(errs, field.Invalid(at, p, "must be a relative path"))
	}
	return append(errs, validateNoBacksteps(p, at)...)
}

func validateNoBacksteps(p string, at *field.Path) field.ErrorList {
	for _, part := range strings.Split(p, "/") {
		if part == ".." {
			return field.ErrorList{field.Invalid(at, p, "must not contain '..'")}
		}
	}
	return nil
}

// validateFilePath takes a path of a file written into a volume: names that
// start with ".." are those of the writer itself.
func validateFilePath(p string, at *field.Path) field.ErrorList {
	errs := validateDescendingPath(p, at)
	if strings.HasPrefix(p, "..") && !strings.HasPrefix(p, "../") {
		errs = append(errs, field.Invalid(at, p, "must not start with '..'"))
	}
	return errs
}

func validatePropagation(m *corev1.VolumeMount, c *corev1.Container, at *field.Path) field.ErrorList {
	if m.MountPropagation == nil {
		return nil
	}
	errs := supported(*m.MountPropagation, at, corev1.MountPropagationBidirectional, corev1.MountPropagationHostToContainer, corev1.MountPropagationNone)
	privileged := c.SecurityContext != nil && ptr.Deref(c.SecurityContext.Privileged, false)
	if *m.MountPropagation == corev1.MountPropagationBidirectional && !privileged {
		errs = append(errs, field.Forbidden(at, "Bidirectional mount propagation is available only to privileged containers"))
	}
	return errs
}

func validateRecursiveReadOnly(m *corev1.VolumeMount, at *field.Path) field.ErrorList {
	mode := m.RecursiveReadOnly
	if mode == nil {
		return nil
	}
	switch *mode {
	case corev1.RecursiveReadOnlyDisabled:
		return nil
	case corev1.RecursiveReadOnlyIfPossible, corev1.RecursiveReadOnlyEnabled:
		var errs field.ErrorList
		if !m.ReadOnly {
			errs = append(errs, field.Forbidden(at, "may only be specified when readOnly is true"))
		}
		if p := m.MountPropagation; p != nil && *p != corev1.MountPropagationNone {
			errs = append(errs, field.Forbidden(at, "may only be specified when mountPropagation is None or not specified"))
		}
		return errs
	}
	return field.ErrorList{field.NotSupported(at, *mode, []corev1.RecursiveReadOnlyMode{
		corev1.RecursiveReadOnlyDisabled, corev1.RecursiveReadOnlyEnabled, corev1.RecursiveReadOnlyIfPossible,
	})}
}

func (s *specScope) validateDevices(c *corev1.Container, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	mounted, mountPaths := sets.New[string](), sets.New[string]()
	for _, m := range c.VolumeMounts {
		mounted.Insert(m.Name)
		mountPaths.Insert(m.MountPath)
	}
	names, paths := sets.New[string](), sets.New[string]()
	for i, d := range c.VolumeDevices {
		nameAt, pathAt := at.Index(i).Child("name"), at.Index(i).Child("devicePath")
		if d.Name == "" {
			errs = append(errs, field.Required(nameAt, ""))
		}
		if names.Has(d.Name) {
			errs = append(errs, field.Invalid(nameAt, d.Name, "must be unique"))
		}
		if volume, known := s.volumes[d.Name]; known && volume.PersistentVolumeClaim == nil && volume.Ephemeral == nil {
			errs = append(errs, field.Invalid(nameAt, d.Name, "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode"))
		} else if !known {
			errs = append(errs, field.NotFound(nameAt, d.Name))
		}
		if d.DevicePath == "" {
			errs = append(errs, field.Required(pathAt, ""))
		}
		if paths.Has(d.DevicePath) {
			errs = append(errs, field.Invalid(pathAt, d.DevicePath, "must be unique"))
		}
		if len(validateNoBacksteps(d.DevicePath, pathAt)) > 0 {
			errs = append(errs, field.Invalid(pathAt, d.DevicePath, "can not contain backsteps ('..')"))
		} else {
			paths.Insert(d.DevicePath)
		}
		if mounted.Has(d.Name) {
			errs = append(errs, field.Invalid(nameAt, d.Name, "must not already exist in volumeMounts"))
		}
		if mountPaths.Has(d.DevicePath) {
			errs = append(errs, field.Invalid(pathAt, d.DevicePath, "must not already exist as a path in volumeMounts"))
		}
		if d.Name != "" {
			names.Insert(d.Name)
		}
	}
	return errs
}
