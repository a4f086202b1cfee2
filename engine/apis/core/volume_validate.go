package core

import (
	"fmt"
	"math"
	"path"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/validation"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/sets"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

const fileModeMessage = "must be a number between 0 and 0777 (octal), both inclusive"

// validateVolumes also gathers the volumes for the checks of mounts.
func (s *specScope) validateVolumes(at *field.Path) field.ErrorList {
	var errs field.ErrorList
	s.volumes = make(map[string]*corev1.VolumeSource, len(s.spec.Volumes))
	for i := range s.spec.Volumes {
		v, volumeAt := &s.spec.Volumes[i], at.Index(i)
		errs = append(errs, s.validateVolumeSource(&v.VolumeSource, volumeAt)...)
		nameAt := volumeAt.Child("name")
		switch _, dup := s.volumes[v.Name]; {
		case v.Name == "":
			errs = append(errs, field.Required(nameAt, ""))
			continue
		case dup:
			errs = append(errs, field.Duplicate(nameAt, v.Name))
		default:
			errs = append(errs, ValidateDNS1123Label(v.Name, nameAt)...)
		}
		s.volumes[v.Name] = &v.VolumeSource
	}
	return errs
}

// volumeKind is one of the sources a volume can have: how to tell and to check it.
type volumeKind struct {
	name  string
	set   bool
	check func(at *field.Path) field.ErrorList
}

func validateOneSource(kinds []volumeKind, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	count := 0
	for _, k := range kinds {
		switch {
		case !k.set:
		case count > 0:
			errs = append(errs, field.Forbidden(at.Child(k.name), "may not specify more than 1 volume type"))
		default:
			count++
			if k.check != nil {
				errs = append(errs, k.check(at.Child(k.name))...)
			}
		}
	}
	if count == 0 {
		errs = append(errs, field.Required(at, "must specify a volume type"))
	}
	return errs
}

func (s *specScope) validateVolumeSource(src *corev1.VolumeSource, at *field.Path) field.ErrorList {
	kinds := []volumeKind{
		{"emptyDir", src.EmptyDir != nil, func(at *field.Path) field.ErrorList {
			if l := src.EmptyDir.SizeLimit; l != nil && l.Sign() < 0 {
				return field.ErrorList{field.Forbidden(at.Child("sizeLimit"), "SizeLimit field must be a valid resource quantity")}
			}
			return nil
		}},
		{"hostPath", src.HostPath != nil, func(at *field.Path) field.ErrorList { return validateHostPath(src.HostPath, at) }},
		{"secret", src.Secret != nil, func(at *field.Path) field.ErrorList {
			errs := requireString(src.Secret.SecretName, at.Child("secretName"))
			return append(errs, validateFiles(src.Secret.Items, src.Secret.DefaultMode, at)...)
		}},
		{"nfs", src.NFS != nil, func(at *field.Path) field.ErrorList { return validateNFS(src.NFS, at) }},
		{"persistentVolumeClaim", src.PersistentVolumeClaim != nil, func(at *field.Path) field.ErrorList {
			return requireString(src.PersistentVolumeClaim.ClaimName, at.Child("claimName"))
		}},
		{"configMap", src.ConfigMap != nil, func(at *field.Path) field.ErrorList {
			errs := requireString(src.ConfigMap.Name, at.Child("name"))
			return append(errs, validateFiles(src.ConfigMap.Items, src.ConfigMap.DefaultMode, at)...)
		}},
		{"downwardAPI", src.DownwardAPI != nil, func(at *field.Path) field.ErrorList {
			errs := validateMode(src.DownwardAPI.DefaultMode, at.Child("defaultMode"))
			for i := range src.DownwardAPI.Items {
				errs = append(errs, validateDownwardFile(&src.DownwardAPI.Items[i], at)...)
			}
			return errs
		}},
		{"projected", src.Projected != nil, func(at *field.Path) field.ErrorList { return s.validateProjected(src.Projected, at) }},
		{"csi", src.CSI != nil, func(at *field.Path) field.ErrorList {
			errs := ValidateCSIDriverName(src.CSI.Driver, at.Child("driver"))
			if r := src.CSI.NodePublishSecretRef; r != nil && r.Name == "" {
				errs = append(errs, field.Required(at.Child("nodePublishSecretRef", "name"), ""))
			}
			return errs
		}},
		{"ephemeral", src.Ephemeral != nil, func(at *field.Path) field.ErrorList { return validateEphemeralVolume(src.Ephemeral, at) }},
		{"image", src.Image != nil, func(at *field.Path) field.ErrorList {
			var errs field.ErrorList
			if s.pod && src.Image.Reference == "" {
				errs = append(errs, field.Required(at.Child("reference"), ""))
			}
			if p := src.Image.PullPolicy; p != "" {
				errs = append(errs, oneOf(p, at.Child("pullPolicy"), corev1.PullAlways, corev1.PullIfNotPresent, corev1.PullNever)...)
			}
			return errs
		}},
	}
	return validateOneSource(append(kinds, legacyVolumes(src)...), at)
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

func (s *specScope) validateProjected(p *corev1.ProjectedVolumeSource, at *field.Path) field.ErrorList {
	errs := validateMode(p.DefaultMode, at.Child("defaultMode"))
	paths := sets.New[string]()
	unique := func(p string, at *field.Path) {
		if p == "" {
			return
		}
		if paths.Has(p) {
			errs = append(errs, field.Invalid(at, p, "conflicting duplicate paths"))
		}
		paths.Insert(p)
	}
	for i := range p.Sources {
		src, srcAt := &p.Sources[i], at.Child("sources").Index(i)
		errs = append(errs, s.validateProjection(src, srcAt)...)
		switch {
		case src.Secret != nil:
			for _, item := range src.Secret.Items {
				unique(item.Path, srcAt.Child("secret"))
			}
		case src.ConfigMap != nil:
			for _, item := range src.ConfigMap.Items {
				unique(item.Path, srcAt.Child("configMap"))
			}
		case src.DownwardAPI != nil:
			for _, item := range src.DownwardAPI.Items {
				unique(item.Path, srcAt.Child("downwardAPI"))
			}
		case src.ServiceAccountToken != nil:
			unique(src.ServiceAccountToken.Path, srcAt.Child("serviceAccountToken"))
		case src.ClusterTrustBundle != nil:
			unique(src.ClusterTrustBundle.Path, srcAt.Child("clusterTrustBundle"))
		}
	}
	return errs
}

func (s *specScope) validateProjection(src *corev1.VolumeProjection, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	count := 0
	kind := func(set bool, name string, check func(*field.Path) field.ErrorList) {
		switch {
		case !set:
		case count > 0:
			errs = append(errs, field.Forbidden(at.Child(name), "may not specify more than 1 volume type"))
		default:
			count++
			errs = append(errs, check(at.Child(name))...)
		}
	}
	kind(src.Secret != nil, "secret", func(at *field.Path) field.ErrorList {
		return append(requireString(src.Secret.Name, at.Child("name")), validateFiles(src.Secret.Items, nil, at)...)
	})
	kind(src.ConfigMap != nil, "configMap", func(at *field.Path) field.ErrorList {
		return append(requireString(src.ConfigMap.Name, at.Child("name")), validateFiles(src.ConfigMap.Items, nil, at)...)
	})
	kind(src.DownwardAPI != nil, "downwardAPI", func(at *field.Path) field.ErrorList {
		var errs field.ErrorList
		for i := range src.DownwardAPI.Items {
			errs = append(errs, validateDownwardFile(&src.DownwardAPI.Items[i], at)...)
		}
		return errs
	})
	kind(src.ServiceAccountToken != nil, "serviceAccountToken", func(at *field.Path) field.ErrorList {
		return s.validateTokenProjection(src.ServiceAccountToken, at)
	})
	kind(src.ClusterTrustBundle != nil, "clusterTrustBundle", func(at *field.Path) field.ErrorList {
		return validateTrustProjection(src.ClusterTrustBundle, at)
	})
	kind(src.PodCertificate != nil, "podCertificate", func(at *field.Path) field.ErrorList {
		return validateCertificateProjection(src.PodCertificate, at)
	})
	return errs
}

func (s *specScope) validateTokenProjection(t *corev1.ServiceAccountTokenProjection, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if e := t.ExpirationSeconds; e != nil {
		if *e < 10*60 {
			errs = append(errs, field.Invalid(at.Child("expirationSeconds"), *e, "may not specify a duration less than 10 minutes"))
		}
		if *e > 1<<32 {
			errs = append(errs, field.Invalid(at.Child("expirationSeconds"), *e, "may not specify a duration larger than 2^32 seconds"))
		}
	}
	if s.pod && s.spec.ServiceAccountName == "" {
		errs = append(errs, field.Forbidden(at, "must not be specified when serviceAccountName is not set"))
	}
	if t.Path == "" {
		return append(errs, field.Required(at.Child("path"), ""))
	}
	return append(errs, validateFilePath(t.Path, at.Child("path"))...)
}

func validateTrustProjection(t *corev1.ClusterTrustBundleProjection, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	switch {
	case t.Name != nil && t.SignerName != nil:
		errs = append(errs, field.Invalid(at, t, "only one of name and signerName may be used"))
	case t.Name == nil && t.SignerName == nil:
		errs = append(errs, field.Required(at, "either name or signerName must be specified"))
	case t.Name != nil && t.LabelSelector != nil:
		errs = append(errs, field.Invalid(at.Child("labelSelector"), t.LabelSelector, "labelSelector must be unset if name is specified"))
	default:
		errs = append(errs, metavalidation.ValidateLabelSelector(t.LabelSelector, metavalidation.LabelSelectorValidationOptions{}, at.Child("labelSelector"))...)
	}
	if t.Path == "" {
		return append(errs, field.Required(at.Child("path"), ""))
	}
	return append(errs, validateFilePath(t.Path, at.Child("path"))...)
}

var keyTypes = []string{"ECDSAP256", "ECDSAP384", "ECDSAP521", "ED25519", "RSA3072", "RSA4096"}

func validateCertificateProjection(c *corev1.PodCertificateProjection, at *field.Path) field.ErrorList {
	errs := requireString(c.SignerName, at.Child("signerName"))
	if !slices.Contains(keyTypes, c.KeyType) {
		errs = append(errs, field.NotSupported(at.Child("keyType"), c.KeyType, keyTypes))
	}
	if m := c.MaxExpirationSeconds; m != nil {
		const least = 3600
		most := int32(91 * 24 * 3600)
		if domain, _, _ := strings.Cut(c.SignerName, "/"); domain == "kubernetes.io" || strings.HasSuffix(domain, ".kubernetes.io") {
			most = 24 * 3600
		}
		switch {
		case *m < least:
			errs = append(errs, field.Invalid(at.Child("maxExpirationSeconds"), *m, fmt.Sprintf("if provided, maxExpirationSeconds must be >= %d", least)))
		case *m > most:
			errs = append(errs, field.Invalid(at.Child("maxExpirationSeconds"), *m, fmt.Sprintf("if provided, maxExpirationSeconds must be <= %d", most)))
		}
	}
	if c.CredentialBundlePath == "" && c.KeyPath == "" && c.CertificateChainPath == "" {
		errs = append(errs, field.Required(at, "specify at least one of credentialBundlePath, keyPath, and certificateChainPath"))
	}
	return errs
}

func validateEphemeralVolume(e *corev1.EphemeralVolumeSource, at *field.Path) field.ErrorList {
	t := e.VolumeClaimTemplate
	if t == nil {
		return field.ErrorList{field.Required(at.Child("volumeClaimTemplate"), "")}
	}
	templateAt := at.Child("volumeClaimTemplate")
	errs := metavalidation.ValidateLabels(t.Labels, templateAt.Child("metadata", "labels"))
	errs = append(errs, validation.ValidateAnnotations(t.Annotations, templateAt.Child("metadata", "annotations"))...)
	return append(errs, ValidateClaimSpec(&t.Spec, templateAt.Child("spec"))...)
}

const maxDriverName = 63

// ValidateCSIDriverName checks the name of a storage driver.
func ValidateCSIDriverName(name string, at *field.Path) field.ErrorList {
	if name == "" {
		return field.ErrorList{field.Required(at, "")}
	}
	var errs field.ErrorList
	if len(name) > maxDriverName {
		errs = append(errs, field.TooLong(at, name, maxDriverName))
	}
	return append(errs, invalidEach(at, name, utilvalidation.IsDNS1123Subdomain(strings.ToLower(name)))...)
}

func validateLUN(lun int32, at *field.Path) field.ErrorList {
	if lun < 0 || lun > math.MaxUint8 {
		return field.ErrorList{field.Invalid(at, lun, fmt.Sprintf("must be between 0 and %d, inclusive", math.MaxUint8))}
	}
	return nil
}
