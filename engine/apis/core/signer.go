package core

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/api/validation"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

const (
	maxSignerDomain = utilvalidation.DNS1123SubdomainMaxLength
	// maxSigner leaves room for a namespace and the name of an object in the path.
	maxSigner = maxSignerDomain + 1 + utilvalidation.DNS1123SubdomainMaxLength + utilvalidation.DNS1123LabelMaxLength + 1
)

// ValidateSignerName wants a domain of two labels or more, a slash, and a path of
// names separated by dots.
func ValidateSignerName(name string, at *field.Path) field.ErrorList {
	if name == "" {
		return field.ErrorList{field.Required(at, "")}
	}
	domain, path, ok := strings.Cut(name, "/")
	if !ok || strings.Contains(path, "/") {
		return field.ErrorList{field.Invalid(at, name, "must be a fully qualified domain and path of the form 'example.com/signer-name'")}
	}
	var errs field.ErrorList
	if len(domain) > maxSignerDomain {
		errs = append(errs, field.TooLong(at, "", maxSignerDomain))
	}
	errs = append(errs, firstBadPart(domain, utilvalidation.IsDNS1123Label, at)...)
	if !strings.Contains(domain, ".") {
		errs = append(errs, field.Invalid(at, domain, "should be a domain with at least two segments separated by dots"))
	}
	errs = append(errs, firstBadPart(path, utilvalidation.IsDNS1123Subdomain, at)...)
	if len(name) > maxSigner {
		errs = append(errs, field.TooLong(at, "", maxSigner))
	}
	return errs
}

func firstBadPart(name string, check func(string) []string, at *field.Path) field.ErrorList {
	for _, part := range strings.Split(name, ".") {
		if bad := check(part); len(bad) > 0 {
			var errs field.ErrorList
			for _, msg := range bad {
				errs = append(errs, field.Invalid(at, name, fmt.Sprintf("validating label %q: %s", part, msg)))
			}
			return errs
		}
	}
	return nil
}

// IsKubernetesSigner reports whether a signer is one of Kubernetes' own.
func IsKubernetesSigner(name string) bool {
	domain, _, _ := strings.Cut(name, "/")
	return domain == "kubernetes.io" || strings.HasSuffix(domain, ".kubernetes.io")
}

// TrustBundleName gives the rule for names of the trust bundles of a signer, or of
// those without one.
func TrustBundleName(signer string) validation.ValidateNameFunc {
	return func(name string, prefix bool) []string {
		if signer == "" {
			if strings.Contains(name, ":") {
				return []string{`ClusterTrustBundle without signer name must not have ":" in its name`}
			}
			return validation.NameIsDNSSubdomain(name, prefix)
		}
		want := strings.ReplaceAll(signer, "/", ":") + ":"
		rest, ok := strings.CutPrefix(name, want)
		if !ok {
			return []string{fmt.Sprintf("ClusterTrustBundle for signerName %s must be named with prefix %s", signer, want)}
		}
		return validation.NameIsDNSSubdomain(rest, prefix)
	}
}

// signerOfBundle tells the signer from the name of a bundle.
func signerOfBundle(name string) string {
	if i := strings.LastIndex(name, ":"); i >= 0 {
		return strings.ReplaceAll(name[:i], ":", "/")
	}
	return ""
}
