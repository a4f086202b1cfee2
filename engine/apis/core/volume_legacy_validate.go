package core

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// needs builds a check that the given fields are not empty.
func needs(pairs ...string) func(at *field.Path) field.ErrorList {
	return func(at *field.Path) field.ErrorList {
		var errs field.ErrorList
		for i := 0; i+1 < len(pairs); i += 2 {
			errs = append(errs, requireString(pairs[i+1], at.Child(pairs[i]))...)
		}
		return errs
	}
}

// legacyVolumes are the sources that storage plugins have replaced; they are
// stored for compatibility, and checked for what they cannot do without.
func legacyVolumes(src *corev1.VolumeSource) []volumeKind {
	var kinds []volumeKind
	add := func(name string, check func(*field.Path) field.ErrorList) {
		kinds = append(kinds, volumeKind{name, true, check})
	}
	if v := src.GitRepo; v != nil {
		add("gitRepo", func(at *field.Path) field.ErrorList {
			errs := requireString(v.Repository, at.Child("repository"))
			return append(errs, validateDescendingPath(v.Directory, at.Child("directory"))...)
		})
	}
	if v := src.GCEPersistentDisk; v != nil {
		add("gcePersistentDisk", needs("pdName", v.PDName))
	}
	if v := src.AWSElasticBlockStore; v != nil {
		add("awsElasticBlockStore", needs("volumeID", v.VolumeID))
	}
	if v := src.ISCSI; v != nil {
		add("iscsi", func(at *field.Path) field.ErrorList {
			return append(needs("targetPortal", v.TargetPortal, "iqn", v.IQN)(at), validateLUN(v.Lun, at.Child("lun"))...)
		})
	}
	if v := src.Glusterfs; v != nil {
		add("glusterfs", needs("endpoints", v.EndpointsName, "path", v.Path))
	}
	if v := src.Flocker; v != nil {
		add("flocker", func(at *field.Path) field.ErrorList {
			if v.DatasetName == "" && v.DatasetUUID == "" {
				return field.ErrorList{field.Required(at, "one of datasetName and datasetUUID is required")}
			}
			return nil
		})
	}
	if v := src.RBD; v != nil {
		add("rbd", func(at *field.Path) field.ErrorList {
			if len(v.CephMonitors) == 0 {
				return field.ErrorList{field.Required(at.Child("monitors"), "")}
			}
			return requireString(v.RBDImage, at.Child("image"))
		})
	}
	if v := src.CephFS; v != nil {
		add("cephfs", func(at *field.Path) field.ErrorList {
			if len(v.Monitors) == 0 {
				return field.ErrorList{field.Required(at.Child("monitors"), "")}
			}
			return nil
		})
	}
	if v := src.FC; v != nil {
		add("fc", func(at *field.Path) field.ErrorList { return validateFC(v, at) })
	}
	if v := src.Cinder; v != nil {
		add("cinder", needs("volumeID", v.VolumeID))
	}
	if v := src.Quobyte; v != nil {
		add("quobyte", needs("registry", v.Registry, "volume", v.Volume))
	}
	if v := src.FlexVolume; v != nil {
		add("flexVolume", needs("driver", v.Driver))
	}
	if v := src.AzureFile; v != nil {
		add("azureFile", needs("secretName", v.SecretName, "shareName", v.ShareName))
	}
	if v := src.VsphereVolume; v != nil {
		add("vsphereVolume", needs("volumePath", v.VolumePath))
	}
	if v := src.PhotonPersistentDisk; v != nil {
		add("photonPersistentDisk", needs("pdID", v.PdID))
	}
	if v := src.PortworxVolume; v != nil {
		add("portworxVolume", needs("volumeID", v.VolumeID))
	}
	if v := src.AzureDisk; v != nil {
		add("azureDisk", needs("diskName", v.DiskName, "diskURI", v.DataDiskURI))
	}
	if v := src.StorageOS; v != nil {
		add("storageos", needs("volumeName", v.VolumeName))
	}
	if v := src.ScaleIO; v != nil {
		add("scaleIO", needs("gateway", v.Gateway, "system", v.System, "volumeName", v.VolumeName))
	}
	return kinds
}

func validateFC(v *corev1.FCVolumeSource, at *field.Path) field.ErrorList {
	switch {
	case len(v.TargetWWNs) == 0 && len(v.WWIDs) == 0:
		return field.ErrorList{field.Required(at.Child("targetWWNs"), "must specify either targetWWNs or wwids, but not both")}
	case len(v.TargetWWNs) > 0 && len(v.WWIDs) > 0:
		return field.ErrorList{field.Invalid(at.Child("targetWWNs"), v.TargetWWNs, "targetWWNs and wwids can not be specified simultaneously")}
	case len(v.TargetWWNs) > 0 && v.Lun == nil:
		return field.ErrorList{field.Required(at.Child("lun"), "lun is required if targetWWNs is specified")}
	case len(v.TargetWWNs) > 0:
		return validateLUN(*v.Lun, at.Child("lun"))
	}
	return nil
}
