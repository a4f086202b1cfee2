package core

import (
	"math"
	"net"
	"regexp"
	"strings"

	corev1 "k8s.io/api/core/v1"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
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

// legacyVolumes are the sources that storage plugins have replaced, by name; they
// are stored for compatibility, and checked for what they cannot do without.
func legacyVolumes(src *corev1.VolumeSource) map[string]volumeKind {
	kinds := map[string]volumeKind{}
	add := func(name string, check func(*field.Path) field.ErrorList) {
		kinds[name] = volumeKind{name, true, check}
	}
	if v := src.GitRepo; v != nil {
		add("gitRepo", func(at *field.Path) field.ErrorList {
			errs := requireString(v.Repository, at.Child("repository"))
			return append(errs, validateDescendingPath(v.Directory, at.Child("directory"))...)
		})
	}
	if v := src.GCEPersistentDisk; v != nil {
		add("gcePersistentDisk", func(at *field.Path) field.ErrorList { return validateGCEDisk(v, at) })
	}
	if v := src.AWSElasticBlockStore; v != nil {
		add("awsElasticBlockStore", func(at *field.Path) field.ErrorList { return validateAWSDisk(v, at) })
	}
	if v := src.ISCSI; v != nil {
		add("iscsi", func(at *field.Path) field.ErrorList {
			return iscsi{v.TargetPortal, v.IQN, v.Lun, v.DiscoveryCHAPAuth || v.SessionCHAPAuth, v.SecretRef != nil, v.InitiatorName}.
				validate(" starting with iqn, eui, or naa", at)
		})
	}
	if v := src.Glusterfs; v != nil {
		add("glusterfs", needs("endpoints", v.EndpointsName, "path", v.Path))
	}
	if v := src.Flocker; v != nil {
		add("flocker", func(at *field.Path) field.ErrorList { return validateFlocker(v, at) })
	}
	if v := src.RBD; v != nil {
		add("rbd", func(at *field.Path) field.ErrorList { return validateRBD(v.CephMonitors, v.RBDImage, at) })
	}
	if v := src.CephFS; v != nil {
		add("cephfs", func(at *field.Path) field.ErrorList { return validateMonitors(v.Monitors, at) })
	}
	if v := src.FC; v != nil {
		add("fc", func(at *field.Path) field.ErrorList { return validateFC(v, at) })
	}
	if v := src.Cinder; v != nil {
		add("cinder", func(at *field.Path) field.ErrorList {
			return append(requireString(v.VolumeID, at.Child("volumeID")), requireLocalSecret(v.SecretRef, at)...)
		})
	}
	if v := src.Quobyte; v != nil {
		add("quobyte", func(at *field.Path) field.ErrorList { return validateQuobyte(v, at) })
	}
	if v := src.FlexVolume; v != nil {
		add("flexVolume", func(at *field.Path) field.ErrorList { return validateFlex(v.Driver, v.Options, at) })
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
		add("azureDisk", func(at *field.Path) field.ErrorList { return validateAzureDisk(v, at) })
	}
	if v := src.StorageOS; v != nil {
		add("storageos", func(at *field.Path) field.ErrorList {
			return append(validateStorageOS(v.VolumeName, v.VolumeNamespace, at), requireLocalSecret(v.SecretRef, at)...)
		})
	}
	if v := src.ScaleIO; v != nil {
		add("scaleIO", needs("gateway", v.Gateway, "system", v.System, "volumeName", v.VolumeName))
	}
	return kinds
}

func requireLocalSecret(r *corev1.LocalObjectReference, at *field.Path) field.ErrorList {
	if r == nil {
		return nil
	}
	return requireString(r.Name, at.Child("secretRef", "name"))
}

// validatePartition takes 0, which stands for the whole disk, in spite of what the
// message says.
func validatePartition(partition int32, at *field.Path) field.ErrorList {
	if partition < 0 || partition > math.MaxUint8 {
		return field.ErrorList{field.Invalid(at.Child("partition"), partition, utilvalidation.InclusiveRangeError(1, math.MaxUint8))}
	}
	return nil
}

func validateGCEDisk(v *corev1.GCEPersistentDiskVolumeSource, at *field.Path) field.ErrorList {
	return append(requireString(v.PDName, at.Child("pdName")), validatePartition(v.Partition, at)...)
}

func validateAWSDisk(v *corev1.AWSElasticBlockStoreVolumeSource, at *field.Path) field.ErrorList {
	return append(requireString(v.VolumeID, at.Child("volumeID")), validatePartition(v.Partition, at)...)
}

func validateFC(v *corev1.FCVolumeSource, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if len(v.TargetWWNs) == 0 && len(v.WWIDs) == 0 {
		errs = append(errs, field.Required(at.Child("targetWWNs"), "must specify either targetWWNs or wwids, but not both"))
	}
	if len(v.TargetWWNs) > 0 && len(v.WWIDs) > 0 {
		errs = append(errs, field.Invalid(at.Child("targetWWNs"), v.TargetWWNs, "targetWWNs and wwids can not be specified simultaneously"))
	}
	switch {
	case len(v.TargetWWNs) == 0:
	case v.Lun == nil:
		errs = append(errs, field.Required(at.Child("lun"), "lun is required if targetWWNs is specified"))
	default:
		errs = append(errs, validateLUN(*v.Lun, at.Child("lun"))...)
	}
	return errs
}

func validateFlocker(v *corev1.FlockerVolumeSource, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if v.DatasetName == "" && v.DatasetUUID == "" {
		errs = append(errs, field.Required(at, "one of datasetName and datasetUUID is required"))
	}
	if v.DatasetName != "" && v.DatasetUUID != "" {
		errs = append(errs, field.Invalid(at, "resource", "datasetName and datasetUUID can not be specified simultaneously"))
	}
	if strings.Contains(v.DatasetName, "/") {
		errs = append(errs, field.Invalid(at.Child("datasetName"), v.DatasetName, "must not contain '/'"))
	}
	return errs
}

func validateMonitors(monitors []string, at *field.Path) field.ErrorList {
	if len(monitors) == 0 {
		return field.ErrorList{field.Required(at.Child("monitors"), "")}
	}
	return nil
}

func validateRBD(monitors []string, image string, at *field.Path) field.ErrorList {
	return append(validateMonitors(monitors, at), requireString(image, at.Child("image"))...)
}

func validateQuobyte(v *corev1.QuobyteVolumeSource, at *field.Path) field.ErrorList {
	const pairs = "must be a host:port pair or multiple pairs separated by commas"
	var errs field.ErrorList
	switch {
	case v.Registry == "":
		errs = append(errs, field.Required(at.Child("registry"), pairs))
	case len(v.Tenant) >= 65:
		errs = append(errs, field.Required(at.Child("tenant"), "must be a UUID and may not exceed a length of 64 characters"))
	default:
		for _, pair := range strings.Split(v.Registry, ",") {
			if _, _, err := net.SplitHostPort(pair); err != nil {
				errs = append(errs, field.Invalid(at.Child("registry"), v.Registry, pairs))
			}
		}
	}
	return append(errs, requireString(v.Volume, at.Child("volume"))...)
}

func validateFlex(driver string, options map[string]string, at *field.Path) field.ErrorList {
	errs := requireString(driver, at.Child("driver"))
	for key := range options {
		namespace, _, _ := strings.Cut(key, "/")
		namespace = "." + strings.ToLower(namespace)
		if strings.HasSuffix(namespace, ".kubernetes.io") || strings.HasSuffix(namespace, ".k8s.io") {
			errs = append(errs, field.Invalid(at.Child("options").Key(key), key, "kubernetes.io and k8s.io namespaces are reserved"))
		}
	}
	return errs
}

func validateAzureDisk(v *corev1.AzureDiskVolumeSource, at *field.Path) field.ErrorList {
	errs := needs("diskName", v.DiskName, "diskURI", v.DataDiskURI)(at)
	if m := v.CachingMode; m != nil {
		errs = append(errs, supported(*m, at.Child("cachingMode"), corev1.AzureDataDiskCachingNone, corev1.AzureDataDiskCachingReadOnly, corev1.AzureDataDiskCachingReadWrite)...)
	}
	if v.Kind == nil {
		return errs
	}
	errs = append(errs, supported(*v.Kind, at.Child("kind"), corev1.AzureDedicatedBlobDisk, corev1.AzureManagedDisk, corev1.AzureSharedBlobDisk)...)
	prefix, form := "https://", "https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd"
	if *v.Kind == corev1.AzureManagedDisk {
		prefix, form = "/subscriptions/", "/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}"
	}
	if !strings.HasPrefix(v.DataDiskURI, prefix) {
		errs = append(errs, field.NotSupported(at.Child("diskURI"), v.DataDiskURI, []string{form}))
	}
	return errs
}

func validateStorageOS(name, namespace string, at *field.Path) field.ErrorList {
	errs := requireString(name, at.Child("volumeName"))
	if name != "" {
		errs = append(errs, ValidateDNS1123Label(name, at.Child("volumeName"))...)
	}
	if namespace != "" {
		errs = append(errs, ValidateDNS1123Label(namespace, at.Child("volumeNamespace"))...)
	}
	return errs
}

const (
	maxISCSIName  = 64
	longISCSIName = "Total length of <volume name>:<iscsi.targetPortal> must be under 64 characters if iscsi.initiatorName is specified."
)

// iscsiNames are the three forms of iSCSI names by their prefix (RFC 3720).
var iscsiNames = []struct {
	prefix string
	form   *regexp.Regexp
}{
	{"iqn", regexp.MustCompile(`iqn\.\d{4}-\d{2}\.([[:alnum:]-.]+)(:[^,;*&$|\s]+)$`)},
	{"eui", regexp.MustCompile(`^eui.[[:alnum:]]{16}$`)},
	{"naa", regexp.MustCompile(`^naa.[[:alnum:]]{32}$`)},
}

// iscsi is what volumes of pods and persistent volumes have in common.
type iscsi struct {
	portal, iqn  string
	lun          int32
	chap, secret bool
	initiator    *string
}

// validate checks the target; unknown completes the message about a name of no
// known form.
func (v iscsi) validate(unknown string, at *field.Path) field.ErrorList {
	errs := requireString(v.portal, at.Child("targetPortal"))
	if v.iqn == "" {
		errs = append(errs, field.Required(at.Child("iqn"), ""))
	} else {
		errs = append(errs, validateISCSIName(v.iqn, unknown, at.Child("iqn"))...)
	}
	errs = append(errs, validateLUN(v.lun, at.Child("lun"))...)
	if v.chap && !v.secret {
		errs = append(errs, field.Required(at.Child("secretRef"), ""))
	}
	if v.initiator != nil {
		errs = append(errs, validateISCSIName(*v.initiator, unknown, at.Child("initiatorname"))...)
	}
	return errs
}

func validateISCSIName(name, unknown string, at *field.Path) field.ErrorList {
	for _, n := range iscsiNames {
		if !strings.HasPrefix(name, n.prefix) {
			continue
		}
		if n.form.MatchString(name) {
			return nil
		}
		return field.ErrorList{field.Invalid(at, name, "must be valid format")}
	}
	return field.ErrorList{field.Invalid(at, name, "must be valid format"+unknown)}
}
