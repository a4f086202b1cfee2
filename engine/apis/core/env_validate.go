package core

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// Fields of the pod, and of the container, that may be passed down into it.
var (
	envFields = []string{
		"metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName",
		"status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs",
	}
	fileFields         = []string{"metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid"}
	containerResources = []string{
		"limits.cpu", "limits.ephemeral-storage", "limits.memory", "requests.cpu", "requests.ephemeral-storage", "requests.memory",
	}
)

func validateEnv(vars []corev1.EnvVar, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i := range vars {
		v, varAt := &vars[i], at.Index(i)
		if v.Name == "" {
			errs = append(errs, field.Required(varAt.Child("name"), ""))
		} else {
			errs = append(errs, invalidEach(varAt.Child("name"), v.Name, utilvalidation.IsRelaxedEnvVarName(v.Name))...)
		}
		if v.ValueFrom != nil {
			errs = append(errs, validateEnvSource(v, varAt.Child("valueFrom"))...)
		}
	}
	return errs
}

func validateEnvSource(v *corev1.EnvVar, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	src, sources := v.ValueFrom, 0
	if r := src.FieldRef; r != nil {
		sources++
		errs = append(errs, validateFieldRef(r, envFields, at.Child("fieldRef"))...)
	}
	if r := src.ResourceFieldRef; r != nil {
		sources++
		errs = append(errs, validateResourceFieldRef(r, false, at.Child("resourceFieldRef"))...)
	}
	if r := src.ConfigMapKeyRef; r != nil {
		sources++
		errs = append(errs, validateKeyRef(r.Name, r.Key, at.Child("configMapKeyRef"))...)
	}
	if r := src.SecretKeyRef; r != nil {
		sources++
		errs = append(errs, validateKeyRef(r.Name, r.Key, at.Child("secretKeyRef"))...)
	}
	if r := src.FileKeyRef; r != nil {
		sources++
		errs = append(errs, validateFileKeyRef(r, at.Child("fileKeyRef"))...)
	}
	switch {
	case sources == 0:
		errs = append(errs, field.Invalid(at, "", "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`"))
	case v.Value != "":
		errs = append(errs, field.Invalid(at, "", "may not be specified when `value` is not empty"))
	case sources > 1:
		errs = append(errs, field.Invalid(at, "", "may not have more than one field specified at a time"))
	}
	return errs
}

func validateFileKeyRef(r *corev1.FileKeySelector, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if r.VolumeName == "" {
		errs = append(errs, field.Required(at.Child("volumeName"), ""))
	}
	if r.Key == "" {
		errs = append(errs, field.Required(at.Child("key"), ""))
	} else {
		errs = append(errs, invalidEach(at.Child("key"), r.Key, utilvalidation.IsRelaxedEnvVarName(r.Key))...)
	}
	if r.Path == "" {
		return append(errs, field.Required(at.Child("path"), ""))
	}
	return append(errs, validateFilePath(r.Path, at.Child("path"))...)
}

func validateKeyRef(name, key string, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if name == "" {
		errs = append(errs, field.Required(at.Child("name"), ""))
	}
	if key == "" {
		return append(errs, field.Required(at.Child("key"), ""))
	}
	return append(errs, invalidEach(at.Child("key"), key, utilvalidation.IsConfigMapKey(key))...)
}

// validateFieldRef takes the fields listed, and single labels and annotations.
func validateFieldRef(r *corev1.ObjectFieldSelector, known []string, at *field.Path) field.ErrorList {
	if r.APIVersion == "" {
		return field.ErrorList{field.Required(at.Child("apiVersion"), "")}
	}
	pathAt := at.Child("fieldPath")
	if r.FieldPath == "" {
		return field.ErrorList{field.Required(pathAt, "")}
	}
	path, key, keyed := splitSubscript(r.FieldPath)
	if keyed {
		switch path {
		case "metadata.annotations":
			return invalidEach(pathAt, strings.ToLower(key), utilvalidation.IsQualifiedName(strings.ToLower(key)))
		case "metadata.labels":
			return metavalidation.ValidateLabelName(key, pathAt)
		}
		return field.ErrorList{field.Invalid(pathAt, r.FieldPath, "does not support subscript")}
	}
	if !slices.Contains(known, path) {
		return field.ErrorList{field.NotSupported(pathAt, path, known)}
	}
	return nil
}

// splitSubscript splits "path['key']".
func splitSubscript(text string) (path, key string, ok bool) {
	rest, found := strings.CutSuffix(text, "']")
	if !found {
		return text, "", false
	}
	path, key, found = strings.Cut(rest, "['")
	if !found || path == "" {
		return text, "", false
	}
	return path, key, true
}

func validateResourceFieldRef(r *corev1.ResourceFieldSelector, volume bool, at *field.Path) field.ErrorList {
	if volume && r.ContainerName == "" {
		return field.ErrorList{field.Required(at.Child("containerName"), "")}
	}
	if r.Resource == "" {
		return field.ErrorList{field.Required(at.Child("resource"), "")}
	}
	huge := strings.HasPrefix(r.Resource, "limits.hugepages-") || strings.HasPrefix(r.Resource, "requests.hugepages-")
	if !huge && !slices.Contains(containerResources, r.Resource) {
		return field.ErrorList{field.NotSupported(at.Child("resource"), r.Resource, containerResources)}
	}
	return validateDivisor(r, at.Child("divisor"))
}

func validateDivisor(r *corev1.ResourceFieldSelector, at *field.Path) field.ErrorList {
	if r.Divisor.IsZero() {
		return nil
	}
	allowed := []string{"1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei"}
	what := "memory"
	switch {
	case strings.HasSuffix(r.Resource, ".cpu"):
		allowed, what = []string{"1m", "1"}, "cpu"
	case strings.HasSuffix(r.Resource, ".ephemeral-storage"):
		what = "local ephemeral storage"
	case strings.Contains(r.Resource, ".hugepages-"):
		what = "hugepages"
	}
	for _, text := range allowed {
		if r.Divisor.Cmp(resource.MustParse(text)) == 0 {
			return nil
		}
	}
	list := strings.Join(allowed, ", ")
	if what == "cpu" {
		list = "1m and 1"
	}
	return field.ErrorList{field.Invalid(at, r.Divisor.String(), "only divisor's values "+list+" are supported with the "+what+" resource")}
}

func validateEnvFrom(sources []corev1.EnvFromSource, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i := range sources {
		src, srcAt := &sources[i], at.Index(i)
		if src.Prefix != "" {
			errs = append(errs, invalidEach(srcAt.Child("prefix"), src.Prefix, utilvalidation.IsRelaxedEnvVarName(src.Prefix))...)
		}
		count := 0
		if r := src.ConfigMapRef; r != nil {
			count++
			if r.Name == "" {
				errs = append(errs, field.Required(srcAt.Child("configMapRef", "name"), ""))
			}
		}
		if r := src.SecretRef; r != nil {
			count++
			if r.Name == "" {
				errs = append(errs, field.Required(srcAt.Child("secretRef", "name"), ""))
			}
		}
		switch {
		case count == 0:
			errs = append(errs, field.Invalid(at, "", "must specify one of: `configMapRef` or `secretRef`"))
		case count > 1:
			errs = append(errs, field.Invalid(at, "", "may not have more than one field specified at a time"))
		}
	}
	return errs
}
