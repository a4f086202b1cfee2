package core

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/validation"
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
	if r.Key == "" {
		errs = append(errs, field.Required(at.Child("key"), ""))
	} else {
		errs = append(errs, invalidEach(at.Child("key"), r.Key, utilvalidation.IsRelaxedEnvVarName(r.Key))...)
	}
	if r.VolumeName == "" {
		errs = append(errs, field.Required(at.Child("volumeName"), ""))
	} else {
		errs = append(errs, ValidateDNS1123Label(r.VolumeName, at.Child("volumeName"))...)
	}
	if r.Path == "" {
		return append(errs, field.Required(at.Child("path"), ""))
	}
	return append(errs, validateNoBacksteps(r.Path, at.Child("path"))...)
}

func validateKeyRef(name, key string, at *field.Path) field.ErrorList {
	errs := invalidEach(at.Child("name"), name, validation.NameIsDNSSubdomain(name, false))
	if key == "" {
		return append(errs, field.Required(at.Child("key"), ""))
	}
	return append(errs, invalidEach(at.Child("key"), key, utilvalidation.IsConfigMapKey(key))...)
}

// downwardFields are the fields of a pod that have a name in the downward API.
var downwardFields = []string{
	"metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName",
	"spec.restartPolicy", "spec.serviceAccountName", "spec.schedulerName", "status.phase", "status.hostIP", "status.hostIPs",
	"status.podIP", "status.podIPs",
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
	keyable := path == "metadata.annotations" || path == "metadata.labels"
	unknown := ""
	switch {
	case r.APIVersion != "v1":
		unknown = "unsupported pod version: " + r.APIVersion
	case keyed && !keyable:
		unknown = "field label does not support subscript: " + r.FieldPath
	case path == "spec.host":
		path = "spec.nodeName"
	case !slices.Contains(downwardFields, path):
		unknown = "field label not supported: " + r.FieldPath
	}
	switch {
	case unknown != "":
		return field.ErrorList{field.Invalid(pathAt, r.FieldPath, "error converting fieldPath: "+unknown)}
	case keyed && path == "metadata.annotations":
		return ValidateQualifiedName(strings.ToLower(key), at)
	case keyed:
		return ValidateQualifiedName(key, at)
	case !slices.Contains(known, path):
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
	var errs field.ErrorList
	huge := strings.HasPrefix(r.Resource, "limits.hugepages-") || strings.HasPrefix(r.Resource, "requests.hugepages-")
	switch {
	case volume && r.ContainerName == "":
		errs = append(errs, field.Required(at.Child("containerName"), ""))
	case r.Resource == "":
		errs = append(errs, field.Required(at.Child("resource"), ""))
	case !huge && !slices.Contains(containerResources, r.Resource):
		errs = append(errs, field.NotSupported(at.Child("resource"), r.Resource, containerResources))
	}
	return append(errs, validateDivisor(r, at.Child("divisor"))...)
}

// divisors of amounts of bytes, and of processors.
var (
	byteDivisors = []string{"1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei"}
	cpuDivisors  = []string{"1m", "1"}
)

func validateDivisor(r *corev1.ResourceFieldSelector, at *field.Path) field.ErrorList {
	if r.Divisor.IsZero() {
		return nil
	}
	allowed, list, what := byteDivisors, strings.Join(byteDivisors, ", "), ""
	_, kind, _ := strings.Cut(r.Resource, ".")
	switch {
	case kind == "cpu":
		allowed, list, what = cpuDivisors, "1m and 1", "cpu"
	case kind == "memory":
		what = "memory"
	case kind == "ephemeral-storage":
		what = "local ephemeral storage"
	case strings.HasPrefix(kind, "hugepages-"):
		what = "hugepages"
	default:
		return nil
	}
	if slices.Contains(allowed, r.Divisor.String()) {
		return nil
	}
	return field.ErrorList{field.Invalid(at, r.Resource, "only divisor's values "+list+" are supported with the "+what+" resource")}
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
			errs = append(errs, validateReference(r.Name, srcAt.Child("configMapRef", "name"))...)
		}
		if r := src.SecretRef; r != nil {
			count++
			errs = append(errs, validateReference(r.Name, srcAt.Child("secretRef", "name"))...)
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

// validateReference checks the name of an object whose variables are taken over.
func validateReference(name string, at *field.Path) field.ErrorList {
	if name == "" {
		return field.ErrorList{field.Required(at, "")}
	}
	return invalidEach(at, name, validation.NameIsDNSSubdomain(name, true))
}
