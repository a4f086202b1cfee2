package core

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/validation"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/sets"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// projection checks the sources of one projected volume; no two may write the
// same path.
type projection struct {
	at    *field.Path
	paths sets.Set[string]
	errs  field.ErrorList
}

func validateProjected(p *corev1.ProjectedVolumeSource, at *field.Path) field.ErrorList {
	v := &projection{at: at, paths: sets.New[string]()}
	v.errs = validateMode(p.DefaultMode, at.Child("defaultMode"))
	for i := range p.Sources {
		v.source(&p.Sources[i], at.Child("sources").Index(i))
	}
	return v.errs
}

func (v *projection) add(errs ...*field.Error) { v.errs = append(v.errs, errs...) }

// claim notes that a path is written; value is what the error of a conflict shows.
func (v *projection) claim(path, value string) {
	if v.paths.Has(path) {
		v.add(field.Invalid(v.at, value, "conflicting duplicate paths"))
	}
	v.paths.Insert(path)
}

func (v *projection) source(src *corev1.VolumeProjection, at *field.Path) {
	count := 0
	if s := src.Secret; s != nil {
		count++
		v.keys(s.Name, s.Items, at.Child("secret"))
	}
	if s := src.ConfigMap; s != nil {
		count++
		v.keys(s.Name, s.Items, at.Child("configMap"))
	}
	if s := src.DownwardAPI; s != nil {
		count++
		for i := range s.Items {
			v.add(validateDownwardFile(&s.Items[i], at.Child("downwardAPI"))...)
			if p := s.Items[i].Path; p != "" {
				v.claim(p, p)
			}
		}
	}
	if s := src.ServiceAccountToken; s != nil {
		count++
		v.token(s, at.Child("serviceAccountToken"))
	}
	if s := src.ClusterTrustBundle; s != nil {
		count++
		v.bundle(s, at.Child("clusterTrustBundle"))
	}
	if s := src.PodCertificate; s != nil {
		count++
		v.certificate(s, at.Child("podCertificate"))
	}
	if count > 1 {
		v.add(field.Forbidden(at, "may not specify more than 1 volume type per source"))
	}
}

func (v *projection) keys(name string, items []corev1.KeyToPath, at *field.Path) {
	v.add(requireString(name, at.Child("name"))...)
	for i := range items {
		v.add(validateKeyToPath(&items[i], at.Child("items").Index(i))...)
		if p := items[i].Path; p != "" {
			v.claim(p, name)
		}
	}
}

func (v *projection) token(t *corev1.ServiceAccountTokenProjection, at *field.Path) {
	switch e := t.ExpirationSeconds; {
	case e == nil:
		v.add(field.Required(at.Child("expirationSeconds"), ""))
	case *e < 10*60:
		v.add(field.Invalid(at.Child("expirationSeconds"), *e, "may not specify a duration less than 10 minutes"))
	case *e > 1<<32:
		v.add(field.Invalid(at.Child("expirationSeconds"), *e, "may not specify a duration larger than 2^32 seconds"))
	}
	// The path is reported on the volume, as upstream does.
	if t.Path == "" {
		v.add(field.Required(v.at.Child("path"), ""))
		return
	}
	v.add(validateFilePath(t.Path, v.at.Child("path"))...)
}

func (v *projection) bundle(b *corev1.ClusterTrustBundleProjection, at *field.Path) {
	switch {
	case b.Name != nil && b.SignerName != nil:
		v.add(field.Invalid(at, b, "only one of name and signerName may be used"))
	case b.Name != nil:
		name := *b.Name
		if name == "" {
			v.add(field.Required(at.Child("name"), "must be a valid object name"))
		}
		for _, msg := range TrustBundleName(signerOfBundle(name))(name, false) {
			v.add(field.Invalid(at.Child("name"), name, "not a valid clustertrustbundlename: "+msg))
		}
		if b.LabelSelector != nil {
			v.add(field.Invalid(at.Child("labelSelector"), b.LabelSelector, "labelSelector must be unset if name is specified"))
		}
	case b.SignerName != nil:
		if *b.SignerName == "" {
			v.add(field.Required(at.Child("signerName"), "must be a valid signer name"))
		}
		v.add(ValidateSignerName(*b.SignerName, at.Child("signerName"))...)
		v.add(metavalidation.ValidateLabelSelector(b.LabelSelector, metavalidation.LabelSelectorValidationOptions{}, at.Child("labelSelector"))...)
	default:
		v.add(field.Required(at, "either name or signerName must be specified"))
	}
	v.add(requireString(b.Path, at.Child("path"))...)
	v.add(validateFilePath(b.Path, at.Child("path"))...)
	v.claim(b.Path, b.Path)
}

var keyTypes = []string{"RSA3072", "RSA4096", "ECDSAP256", "ECDSAP384", "ECDSAP521", "ED25519"}

const (
	minCertificateSeconds       = 3600
	maxCertificateSeconds       = 91 * 24 * 3600
	maxSystemCertificateSeconds = 24 * 3600
)

func (v *projection) certificate(c *corev1.PodCertificateProjection, at *field.Path) {
	v.add(ValidateSignerName(c.SignerName, at.Child("signerName"))...)
	v.add(ValidateUserAnnotations(c.UserAnnotations, at.Child("userAnnotations"))...)
	if !slices.Contains(keyTypes, c.KeyType) {
		v.add(field.NotSupported(at.Child("keyType"), c.KeyType, keyTypes))
	}
	if m := c.MaxExpirationSeconds; m != nil {
		most := int32(maxCertificateSeconds)
		if IsKubernetesSigner(c.SignerName) {
			most = maxSystemCertificateSeconds
		}
		if *m < minCertificateSeconds {
			v.add(field.Invalid(at.Child("maxExpirationSeconds"), *m, fmt.Sprintf("if provided, maxExpirationSeconds must be >= %d", minCertificateSeconds)))
		}
		if *m > most {
			v.add(field.Invalid(at.Child("maxExpirationSeconds"), *m, fmt.Sprintf("if provided, maxExpirationSeconds must be <= %d", most)))
		}
	}
	files := 0
	for _, f := range []struct{ name, path string }{
		{"credentialBundlePath", c.CredentialBundlePath}, {"keyPath", c.KeyPath}, {"certificateChainPath", c.CertificateChainPath},
	} {
		if f.path == "" {
			continue
		}
		files++
		v.add(validateFilePath(f.path, at.Child(f.name))...)
		v.claim(f.path, f.path)
	}
	if files == 0 {
		v.add(field.Required(at, "specify at least one of credentialBundlePath, keyPath, and certificateChainPath"))
	}
}

// ValidateUserAnnotations checks what a workload tells a signer about itself.
func ValidateUserAnnotations(annotations map[string]string, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	for key := range annotations {
		errs = append(errs, utilvalidation.IsDomainPrefixedKey(at, strings.ToLower(key))...)
	}
	if validation.ValidateAnnotationsSize(annotations) != nil {
		errs = append(errs, field.TooLong(at, "", validation.TotalAnnotationSizeLimitB))
	}
	return errs
}
