package core

import (
	"fmt"
	"math"
	"path"
	"reflect"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/sets"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

const fileModeMessage = "must be a number between 0 and 0777 (octal), both inclusive"

// validateVolumes also gathers the valid volumes for the checks of mounts.
func (s *specScope) validateVolumes(at *field.Path) field.ErrorList {
	var errs field.ErrorList
	made := s.claimsMade()
	s.volumes = make(map[string]*corev1.VolumeSource, len(s.spec.Volumes))
	for i := range s.spec.Volumes {
		v, volumeAt := &s.spec.Volumes[i], at.Index(i)
		bad := s.validateVolumeSource(v, volumeAt)
		nameAt := volumeAt.Child("name")
		if v.Name == "" {
			bad = append(bad, field.Required(nameAt, ""))
		} else {
			bad = append(bad, ValidateDNS1123Label(v.Name, nameAt)...)
		}
		if _, dup := s.volumes[v.Name]; dup {
			bad = append(bad, field.Duplicate(nameAt, v.Name))
		}
		if len(bad) == 0 {
			s.volumes[v.Name] = &v.VolumeSource
		}
		errs = append(errs, bad...)
		if c := v.PersistentVolumeClaim; c != nil && made.Has(c.ClaimName) {
			errs = append(errs, field.Invalid(volumeAt.Child("persistentVolumeClaim", "claimName"), c.ClaimName,
				"must not reference a PVC that gets created for an ephemeral volume"))
		}
	}
	return errs
}

// claimsMade names the claims that the ephemeral volumes of a pod will create.
func (s *specScope) claimsMade() sets.Set[string] {
	made := sets.New[string]()
	for i := range s.spec.Volumes {
		if v := &s.spec.Volumes[i]; v.Ephemeral != nil && s.podName != "" {
			made.Insert(s.podName + "-" + v.Name)
		}
	}
	return made
}

// volumeKind is one of the sources a volume can have: how to tell and to check it.
type volumeKind struct {
	name  string
	set   bool
	check func(at *field.Path) field.ErrorList
}

// spelled gives the name under which a second source is refused, where upstream
// spells it in its own way.
var spelled = map[string]string{"cephfs": "cephFS", "downwardAPI": "downwarAPI"}

// checkedAs is the path under which a source is checked, where it is not its name.
var checkedAs = map[string]string{"gcePersistentDisk": "persistentDisk"}

func validateOneSource(kinds []volumeKind, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	count := 0
	for _, k := range kinds {
		switch {
		case !k.set:
		case count > 0:
			errs = append(errs, field.Forbidden(at.Child(alias(spelled, k.name)), "may not specify more than 1 volume type"))
		default:
			count++
			errs = append(errs, k.check(at.Child(alias(checkedAs, k.name)))...)
		}
	}
	if count == 0 {
		errs = append(errs, field.Required(at, "must specify a volume type"))
	}
	return errs
}

func alias(names map[string]string, name string) string {
	if other, ok := names[name]; ok {
		return other
	}
	return name
}

func (s *specScope) validateVolumeSource(v *corev1.Volume, at *field.Path) field.ErrorList {
	src := &v.VolumeSource
	legacy := legacyVolumes(src)
	kinds := []volumeKind{
		{"emptyDir", src.EmptyDir != nil, func(at *field.Path) field.ErrorList {
			if l := src.EmptyDir.SizeLimit; l != nil && l.Sign() < 0 {
				return field.ErrorList{field.Forbidden(at.Child("sizeLimit"), "SizeLimit field must be a valid resource quantity")}
			}
			return nil
		}},
		{"hostPath", src.HostPath != nil, func(at *field.Path) field.ErrorList { return validateHostPath(src.HostPath, at) }},
		legacy["gitRepo"], legacy["gcePersistentDisk"], legacy["awsElasticBlockStore"],
		{"secret", src.Secret != nil, func(at *field.Path) field.ErrorList {
			errs := requireString(src.Secret.SecretName, at.Child("secretName"))
			return append(errs, validateFiles(src.Secret.Items, src.Secret.DefaultMode, at)...)
		}},
		{"nfs", src.NFS != nil, func(at *field.Path) field.ErrorList { return validateNFS(src.NFS, at) }},
		legacy["iscsi"], legacy["glusterfs"], legacy["flocker"],
		{"persistentVolumeClaim", src.PersistentVolumeClaim != nil, func(at *field.Path) field.ErrorList {
			return requireString(src.PersistentVolumeClaim.ClaimName, at.Child("claimName"))
		}},
		legacy["rbd"], legacy["cinder"], legacy["cephfs"], legacy["quobyte"],
		{"downwardAPI", src.DownwardAPI != nil, func(at *field.Path) field.ErrorList {
			errs := validateMode(src.DownwardAPI.DefaultMode, at.Child("defaultMode"))
			for i := range src.DownwardAPI.Items {
				errs = append(errs, validateDownwardFile(&src.DownwardAPI.Items[i], at)...)
			}
			return errs
		}},
		legacy["fc"], legacy["flexVolume"],
		{"configMap", src.ConfigMap != nil, func(at *field.Path) field.ErrorList {
			errs := requireString(src.ConfigMap.Name, at.Child("name"))
			return append(errs, validateFiles(src.ConfigMap.Items, src.ConfigMap.DefaultMode, at)...)
		}},
		legacy["azureFile"], legacy["vsphereVolume"], legacy["photonPersistentDisk"], legacy["portworxVolume"], legacy["azureDisk"], legacy["storageos"],
		{"projected", src.Projected != nil, func(at *field.Path) field.ErrorList { return validateProjected(src.Projected, at) }},
		legacy["scaleIO"],
		{"csi", src.CSI != nil, func(at *field.Path) field.ErrorList { return validateCSIVolume(src.CSI, at) }},
		{"ephemeral", src.Ephemeral != nil, func(sourceAt *field.Path) field.ErrorList {
			errs := validateEphemeralVolume(src.Ephemeral, sourceAt)
			if s.podName == "" || v.Name == "" {
				return errs
			}
			claim := s.podName + "-" + v.Name
			for _, msg := range validation.NameIsDNSSubdomain(claim, false) {
				errs = append(errs, field.Invalid(at.Child("name"), v.Name, fmt.Sprintf("PVC name %q: %v", claim, msg)))
			}
			return errs
		}},
		{"image", src.Image != nil, func(at *field.Path) field.ErrorList {
			var errs field.ErrorList
			if s.pod && src.Image.Reference == "" {
				errs = append(errs, field.Required(at.Child("reference"), ""))
			}
			return append(errs, validatePullPolicy(src.Image.PullPolicy, at.Child("pullPolicy"))...)
		}},
	}
	errs := validateOneSource(kinds, at)
	if i := src.ISCSI; i != nil && i.InitiatorName != nil && len(v.Name+":"+i.TargetPortal) > maxISCSIName {
		errs = append(errs, field.Invalid(at.Child("name"), v.Name, longISCSIName))
	}
	return errs
}

func validatePullPolicy(p corev1.PullPolicy, at *field.Path) field.ErrorList {
	return oneOf(p, at, corev1.PullAlways, corev1.PullIfNotPresent, corev1.PullNever)
}

func validateCSIVolume(c *corev1.CSIVolumeSource, at *field.Path) field.ErrorList {
	errs := ValidateCSIDriverName(c.Driver, at.Child("driver"))
	if r := c.NodePublishSecretRef; r != nil {
		if r.Name == "" {
			errs = append(errs, field.Required(at.Child("nodePublishSecretRef", "name"), ""))
		} else {
			errs = append(errs, invalidEach(at.Child("name"), r.Name, validation.NameIsDNSSubdomain(r.Name, false))...)
		}
	}
	return errs
}

func requireString(value string, at *field.Path) field.ErrorList {
	if value == "" {
		return field.ErrorList{field.Required(at, "")}
	}
	return nil
}

var hostPathTypes = []corev1.HostPathType{
	corev1.HostPathUnset, corev1.HostPathBlockDev, corev1.HostPathCharDev, corev1.HostPathDirectory, corev1.HostPathDirectoryOrCreate,
	corev1.HostPathFile, corev1.HostPathFileOrCreate, corev1.HostPathSocket,
}

func validateHostPath(h *corev1.HostPathVolumeSource, at *field.Path) field.ErrorList {
	if h.Path == "" {
		return field.ErrorList{field.Required(at.Child("path"), "")}
	}
	errs := validateNoBacksteps(h.Path, at.Child("path"))
	if h.Type != nil && !slices.Contains(hostPathTypes, *h.Type) {
		errs = append(errs, field.NotSupported(at.Child("type"), *h.Type, hostPathTypes))
	}
	return errs
}

func validateNFS(n *corev1.NFSVolumeSource, at *field.Path) field.ErrorList {
	errs := requireString(n.Server, at.Child("server"))
	errs = append(errs, requireString(n.Path, at.Child("path"))...)
	if !path.IsAbs(n.Path) {
		errs = append(errs, field.Invalid(at.Child("path"), n.Path, "must be an absolute path"))
	}
	return errs
}

func validateMode(mode *int32, at *field.Path) field.ErrorList {
	if mode != nil && (*mode < 0 || *mode > 0o777) {
		return field.ErrorList{field.Invalid(at, *mode, fileModeMessage)}
	}
	return nil
}

func validateFiles(items []corev1.KeyToPath, mode *int32, at *field.Path) field.ErrorList {
	errs := validateMode(mode, at.Child("defaultMode"))
	for i := range items {
		errs = append(errs, validateKeyToPath(&items[i], at.Child("items").Index(i))...)
	}
	return errs
}

func validateKeyToPath(k *corev1.KeyToPath, at *field.Path) field.ErrorList {
	errs := requireString(k.Key, at.Child("key"))
	if k.Path == "" {
		errs = append(errs, field.Required(at.Child("path"), ""))
	}
	errs = append(errs, validateFilePath(k.Path, at.Child("path"))...)
	return append(errs, validateMode(k.Mode, at.Child("mode"))...)
}

func validateDownwardFile(f *corev1.DownwardAPIVolumeFile, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if f.Path == "" {
		errs = append(errs, field.Required(at.Child("path"), ""))
	}
	errs = append(errs, validateFilePath(f.Path, at.Child("path"))...)
	switch {
	case f.FieldRef != nil:
		errs = append(errs, validateFieldRef(f.FieldRef, fileFields, at.Child("fieldRef"))...)
		if f.ResourceFieldRef != nil {
			errs = append(errs, field.Invalid(at, "resource", "fieldRef and resourceFieldRef can not be specified simultaneously"))
		}
	case f.ResourceFieldRef != nil:
		errs = append(errs, validateResourceFieldRef(f.ResourceFieldRef, true, at.Child("resourceFieldRef"))...)
	default:
		errs = append(errs, field.Required(at, "one of fieldRef and resourceFieldRef is required"))
	}
	return append(errs, validateMode(f.Mode, at.Child("mode"))...)
}

func validateEphemeralVolume(e *corev1.EphemeralVolumeSource, at *field.Path) field.ErrorList {
	t := e.VolumeClaimTemplate
	if t == nil {
		return field.ErrorList{field.Required(at.Child("volumeClaimTemplate"), "")}
	}
	return ValidateClaimTemplate(t, at.Child("volumeClaimTemplate"))
}

// ValidateClaimTemplate takes labels and annotations, and no other metadata.
func ValidateClaimTemplate(t *corev1.PersistentVolumeClaimTemplate, at *field.Path) field.ErrorList {
	metaAt := at.Child("metadata")
	errs := validation.ValidateAnnotations(t.Annotations, metaAt.Child("annotations"))
	errs = append(errs, metavalidation.ValidateLabels(t.Labels, metaAt.Child("labels"))...)
	errs = append(errs, ValidateTemplateMeta(&t.ObjectMeta, metaAt)...)
	return append(errs, ValidateClaimSpec(&t.Spec, at.Child("spec"))...)
}

// ValidateTemplateMeta refuses everything but labels and annotations, in the order
// in which the type declares it.
func ValidateTemplateMeta(m *metav1.ObjectMeta, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	v := reflect.ValueOf(*m)
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if f.Name == "Labels" || f.Name == "Annotations" || v.Field(i).IsZero() {
			continue
		}
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		errs = append(errs, field.Forbidden(at.Child(name), "cannot be set"))
	}
	return errs
}

const maxDriverName = 63

// ValidateCSIDriverName checks the name of a storage driver.
func ValidateCSIDriverName(name string, at *field.Path) field.ErrorList {
	if name == "" {
		return field.ErrorList{field.Required(at, "")}
	}
	var errs field.ErrorList
	if len(name) > maxDriverName {
		errs = append(errs, field.TooLong(at, "", maxDriverName))
	}
	return append(errs, invalidEach(at, name, utilvalidation.IsDNS1123Subdomain(strings.ToLower(name)))...)
}

func validateLUN(lun int32, at *field.Path) field.ErrorList {
	if lun < 0 || lun > math.MaxUint8 {
		return field.ErrorList{field.Invalid(at, lun, fmt.Sprintf("must be between 0 and %d, inclusive", math.MaxUint8))}
	}
	return nil
}
