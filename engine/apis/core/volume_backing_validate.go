package core

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// validateVolumeBacking checks that exactly one thing backs a persistent volume.
func validateVolumeBacking(spec *corev1.PersistentVolumeSpec, name string, at *field.Path) field.ErrorList {
	src := &spec.PersistentVolumeSource
	legacy := legacyVolumes(&corev1.VolumeSource{
		GCEPersistentDisk: src.GCEPersistentDisk, AWSElasticBlockStore: src.AWSElasticBlockStore, Flocker: src.Flocker,
		Quobyte: src.Quobyte, FC: src.FC, VsphereVolume: src.VsphereVolume, PhotonPersistentDisk: src.PhotonPersistentDisk,
		PortworxVolume: src.PortworxVolume, AzureDisk: src.AzureDisk,
	})
	kinds := []volumeKind{
		{"hostPath", src.HostPath != nil, func(at *field.Path) field.ErrorList { return validateHostPath(src.HostPath, at) }},
		legacy["gcePersistentDisk"], legacy["awsElasticBlockStore"],
		{"glusterfs", src.Glusterfs != nil, func(at *field.Path) field.ErrorList { return validateGlusterVolume(src.Glusterfs, at) }},
		legacy["flocker"],
		{"nfs", src.NFS != nil, func(at *field.Path) field.ErrorList { return validateNFS(src.NFS, at) }},
		{"rbd", src.RBD != nil, func(at *field.Path) field.ErrorList { return validateRBD(src.RBD.CephMonitors, src.RBD.RBDImage, at) }},
		legacy["quobyte"],
		{"cephfs", src.CephFS != nil, func(at *field.Path) field.ErrorList { return validateMonitors(src.CephFS.Monitors, at) }},
		{"iscsi", src.ISCSI != nil, func(at *field.Path) field.ErrorList { return validateISCSIVolume(src.ISCSI, name, at) }},
		{"cinder", src.Cinder != nil, func(at *field.Path) field.ErrorList {
			return append(requireString(src.Cinder.VolumeID, at.Child("volumeID")), requireSecret(src.Cinder.SecretRef, at)...)
		}},
		legacy["fc"],
		{"flexVolume", src.FlexVolume != nil, func(at *field.Path) field.ErrorList {
			return validateFlex(src.FlexVolume.Driver, src.FlexVolume.Options, at)
		}},
		{"azureFile", src.AzureFile != nil, func(at *field.Path) field.ErrorList {
			errs := needs("secretName", src.AzureFile.SecretName, "shareName", src.AzureFile.ShareName)(at)
			if n := src.AzureFile.SecretNamespace; n != nil {
				errs = append(errs, requireString(*n, at.Child("secretNamespace"))...)
			}
			return errs
		}},
		legacy["vsphereVolume"], legacy["photonPersistentDisk"], legacy["portworxVolume"], legacy["azureDisk"],
		{"scaleIO", src.ScaleIO != nil, func(at *field.Path) field.ErrorList {
			return needs("gateway", src.ScaleIO.Gateway, "system", src.ScaleIO.System, "volumeName", src.ScaleIO.VolumeName)(at)
		}},
		{"local", src.Local != nil, func(localAt *field.Path) field.ErrorList {
			errs := requireString(src.Local.Path, localAt.Child("path"))
			if len(errs) == 0 {
				errs = validateNoBacksteps(src.Local.Path, localAt.Child("path"))
			}
			if spec.NodeAffinity == nil || spec.NodeAffinity.Required == nil {
				errs = append(errs, field.Required(at.Child("nodeAffinity"), "Local volume requires node affinity"))
			}
			return errs
		}},
		{"storageos", src.StorageOS != nil, func(at *field.Path) field.ErrorList {
			errs := validateStorageOS(src.StorageOS.VolumeName, src.StorageOS.VolumeNamespace, at)
			if r := src.StorageOS.SecretRef; r != nil {
				errs = append(errs, needs("name", r.Name, "namespace", r.Namespace)(at.Child("secretRef"))...)
			}
			return errs
		}},
		{"csi", src.CSI != nil, func(at *field.Path) field.ErrorList { return validateCSIBacking(src.CSI, at) }},
	}
	errs := validateOneSource(kinds, at)
	if flex := at.Child("flexVolume").String(); src.FlexVolume != nil {
		// Upstream looks at this kind even if it is one too many.
		for i, err := range errs {
			if err.Field == flex && err.Type == field.ErrorTypeForbidden {
				return slices.Concat(errs[:i], validateFlex(src.FlexVolume.Driver, src.FlexVolume.Options, at.Child("flexVolume")), errs[i+1:])
			}
		}
	}
	return errs
}

func validateCSIBacking(c *corev1.CSIPersistentVolumeSource, at *field.Path) field.ErrorList {
	errs := ValidateCSIDriverName(c.Driver, at.Child("driver"))
	errs = append(errs, requireString(c.VolumeHandle, at.Child("volumeHandle"))...)
	for _, ref := range []struct {
		name   string
		secret *corev1.SecretReference
	}{
		{"controllerPublishSecretRef", c.ControllerPublishSecretRef}, {"controllerExpandSecretRef", c.ControllerExpandSecretRef},
		{"nodePublishSecretRef", c.NodePublishSecretRef}, {"nodeExpandSecretRef", c.NodeExpandSecretRef},
	} {
		if ref.secret != nil {
			errs = append(errs, validateSecretRef(ref.secret, at.Child(ref.name))...)
		}
	}
	return errs
}

func validateSecretRef(r *corev1.SecretReference, at *field.Path) field.ErrorList {
	errs := requireString(r.Name, at.Child("name"))
	if r.Name != "" {
		errs = append(errs, ValidateDNS1123Subdomain(r.Name, at.Child("name"))...)
	}
	errs = append(errs, requireString(r.Namespace, at.Child("namespace"))...)
	if r.Namespace != "" {
		errs = append(errs, ValidateDNS1123Label(r.Namespace, at.Child("namespace"))...)
	}
	return errs
}

func requireSecret(r *corev1.SecretReference, at *field.Path) field.ErrorList {
	if r == nil {
		return nil
	}
	return needs("name", r.Name, "namespace", r.Namespace)(at.Child("secretRef"))
}

func validateGlusterVolume(g *corev1.GlusterfsPersistentVolumeSource, at *field.Path) field.ErrorList {
	errs := needs("endpoints", g.EndpointsName, "path", g.Path)(at)
	n := g.EndpointsNamespace
	switch {
	case n == nil:
	case *n == "":
		errs = append(errs, field.Invalid(at.Child("endpointsNamespace"), *n, "if the endpointnamespace is set, it must be a valid namespace name"))
	default:
		errs = append(errs, invalidEach(at.Child("endpointsNamespace"), *n, validation.ValidateNamespaceName(*n, false))...)
	}
	return errs
}

func validateISCSIVolume(v *corev1.ISCSIPersistentVolumeSource, name string, at *field.Path) field.ErrorList {
	errs := iscsi{v.TargetPortal, v.IQN, v.Lun, v.DiscoveryCHAPAuth || v.SessionCHAPAuth, v.SecretRef != nil, v.InitiatorName}.validate("", at)
	if v.InitiatorName != nil && len(name+":"+v.TargetPortal) > maxISCSIName {
		errs = append(errs, field.Invalid(at.Child("targetportal"), v.TargetPortal, longISCSIName))
	}
	if r := v.SecretRef; r != nil {
		errs = append(errs, requireString(r.Name, at.Child("secretRef", "name"))...)
	}
	return errs
}
