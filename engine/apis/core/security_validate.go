package core

import (
	"regexp"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"
)

// sysctlName is the form of a kernel parameter, its parts separated by dots or slashes.
var sysctlName = regexp.MustCompile(`^[a-z0-9]([-_a-z0-9]*[a-z0-9])?([\./][a-z0-9]([-_a-z0-9]*[a-z0-9])?)*$`)

const (
	sysctlMessage   = `must have at most 253 characters and match regex ^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$`
	maxSysctlLength = 253
)

func (s *specScope) validateSecurity(at *field.Path) field.ErrorList {
	sc := s.spec.SecurityContext
	if sc == nil {
		return nil
	}
	scAt := at.Child("securityContext")
	var errs field.ErrorList
	if g := sc.FSGroup; g != nil {
		errs = append(errs, invalidEach(scAt.Child("fsGroup"), *g, utilvalidation.IsValidGroupID(*g))...)
	}
	errs = append(errs, validateIDs(sc.RunAsUser, sc.RunAsGroup, scAt)...)
	for i, group := range sc.SupplementalGroups {
		errs = append(errs, invalidEach(scAt.Child("supplementalGroups").Index(i), group, utilvalidation.IsValidGroupID(group))...)
	}
	errs = append(errs, validateSysctls(sc.Sysctls, s.spec, scAt.Child("sysctls"))...)
	if p := sc.FSGroupChangePolicy; p != nil {
		errs = append(errs, supported(*p, scAt.Child("fsGroupChangePolicy"), corev1.FSGroupChangeAlways, corev1.FSGroupChangeOnRootMismatch)...)
	}
	errs = append(errs, validateSeccomp(sc.SeccompProfile, scAt.Child("seccompProfile"))...)
	errs = append(errs, validateWindowsOptions(sc.WindowsOptions, scAt.Child("windowsOptions"))...)
	errs = append(errs, validateAppArmor(sc.AppArmorProfile, scAt.Child("appArmorProfile"))...)
	if p := sc.SupplementalGroupsPolicy; p != nil {
		errs = append(errs, supported(*p, scAt.Child("supplementalGroupsPolicy"), corev1.SupplementalGroupsPolicyMerge, corev1.SupplementalGroupsPolicyStrict)...)
	}
	if p := sc.SELinuxChangePolicy; p != nil {
		errs = append(errs, supported(*p, scAt.Child("seLinuxChangePolicy"), corev1.SELinuxChangePolicyMountOption, corev1.SELinuxChangePolicyRecursive)...)
	}
	return errs
}

func validateIDs(user, group *int64, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if user != nil {
		errs = append(errs, invalidEach(at.Child("runAsUser"), *user, utilvalidation.IsValidUserID(*user))...)
	}
	if group != nil {
		errs = append(errs, invalidEach(at.Child("runAsGroup"), *group, utilvalidation.IsValidGroupID(*group))...)
	}
	return errs
}

func validateSysctls(list []corev1.Sysctl, spec *corev1.PodSpec, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	seen := sets.New[string]()
	for i, sysctl := range list {
		nameAt := at.Index(i).Child("name")
		switch {
		case sysctl.Name == "":
			errs = append(errs, field.Required(nameAt, ""))
		case len(sysctl.Name) > maxSysctlLength || !sysctlName.MatchString(sysctl.Name):
			errs = append(errs, field.Invalid(nameAt, sysctl.Name, sysctlMessage))
		case seen.Has(sysctl.Name):
			errs = append(errs, field.Duplicate(nameAt, sysctl.Name))
		}
		seen.Insert(sysctl.Name)
		errs = append(errs, hostSysctl(sysctl.Name, spec, nameAt)...)
	}
	return errs
}

// hostSysctl refuses parameters of a namespace that the pod shares with the host.
func hostSysctl(name string, spec *corev1.PodSpec, at *field.Path) field.ErrorList {
	namespaced := func(prefix string) bool {
		return len(name) > len(prefix) && name[:len(prefix)] == prefix
	}
	switch {
	case spec.HostNetwork && namespaced("net."):
		return field.ErrorList{field.Invalid(at, name, "may not be specified when 'hostNetwork' is true")}
	case spec.HostIPC && (namespaced("kernel.shm") || namespaced("kernel.msg") || namespaced("fs.mqueue.") || name == "kernel.sem"):
		return field.ErrorList{field.Invalid(at, name, "may not be specified when 'hostIPC' is true")}
	}
	return nil
}

func validateSeccomp(p *corev1.SeccompProfile, at *field.Path) field.ErrorList {
	if p == nil {
		return nil
	}
	var errs field.ErrorList
	if p.Type == "" {
		errs = append(errs, field.Required(at.Child("type"), "type is required when seccompProfile is set"))
	} else {
		errs = append(errs, supported(p.Type, at.Child("type"),
			corev1.SeccompProfileTypeLocalhost, corev1.SeccompProfileTypeRuntimeDefault, corev1.SeccompProfileTypeUnconfined)...)
	}
	fileAt := at.Child("localhostProfile")
	switch {
	case p.Type == corev1.SeccompProfileTypeLocalhost && p.LocalhostProfile == nil:
		errs = append(errs, field.Required(fileAt, "must be set when seccomp type is Localhost"))
	case p.Type == corev1.SeccompProfileTypeLocalhost:
		errs = append(errs, validateDescendingPath(*p.LocalhostProfile, fileAt)...)
	case p.LocalhostProfile != nil:
		errs = append(errs, field.Invalid(fileAt, p, "can only be set when seccomp type is Localhost"))
	}
	return errs
}

func validateAppArmor(p *corev1.AppArmorProfile, at *field.Path) field.ErrorList {
	if p == nil {
		return nil
	}
	const maxProfile = 4095
	fileAt := at.Child("localhostProfile")
	var errs field.ErrorList
	switch p.Type {
	case corev1.AppArmorProfileTypeLocalhost:
		name := ptr.Deref(p.LocalhostProfile, "")
		switch trimmed := strings.TrimSpace(name); {
		case trimmed != name:
			errs = append(errs, field.Invalid(fileAt, name, "must not be padded with whitespace"))
		case name == "":
			errs = append(errs, field.Required(fileAt, "must be set when AppArmor type is Localhost"))
		}
		if len(name) > maxProfile {
			errs = append(errs, field.TooLong(fileAt, "", maxProfile))
		}
	case corev1.AppArmorProfileTypeRuntimeDefault, corev1.AppArmorProfileTypeUnconfined:
		if p.LocalhostProfile != nil {
			errs = append(errs, field.Invalid(fileAt, *p.LocalhostProfile, "can only be set when AppArmor type is Localhost"))
		}
	case "":
		errs = append(errs, field.Required(at.Child("type"), "type is required when appArmorProfile is set"))
	default:
		errs = append(errs, field.NotSupported(at.Child("type"), p.Type, []corev1.AppArmorProfileType{
			corev1.AppArmorProfileTypeLocalhost, corev1.AppArmorProfileTypeRuntimeDefault, corev1.AppArmorProfileTypeUnconfined,
		}))
	}
	return errs
}

func (s *specScope) validateContainerSecurity(sc *corev1.SecurityContext, at *field.Path) field.ErrorList {
	if sc == nil {
		return nil
	}
	errs := validateIDs(sc.RunAsUser, sc.RunAsGroup, at)
	errs = append(errs, validateProcMount(sc.ProcMount, s.spec.HostUsers, at.Child("procMount"))...)
	errs = append(errs, validateSeccomp(sc.SeccompProfile, at.Child("seccompProfile"))...)
	if !ptr.Deref(sc.AllowPrivilegeEscalation, true) {
		if ptr.Deref(sc.Privileged, false) {
			errs = append(errs, field.Invalid(at, sc, "cannot set `allowPrivilegeEscalation` to false and `privileged` to true"))
		}
		if sc.Capabilities != nil {
			for _, c := range sc.Capabilities.Add {
				if c == "CAP_SYS_ADMIN" {
					errs = append(errs, field.Invalid(at, sc, "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN"))
				}
			}
		}
	}
	errs = append(errs, validateWindowsOptions(sc.WindowsOptions, at.Child("windowsOptions"))...)
	return append(errs, validateAppArmor(sc.AppArmorProfile, at.Child("appArmorProfile"))...)
}

func validateProcMount(p *corev1.ProcMountType, hostUsers *bool, at *field.Path) field.ErrorList {
	if p == nil {
		return nil
	}
	errs := supported(*p, at, corev1.DefaultProcMount, corev1.UnmaskedProcMount)
	if *p == corev1.UnmaskedProcMount && ptr.Deref(hostUsers, true) {
		errs = append(errs, field.Invalid(at, *p, "`hostUsers` must be false to use `Unmasked`"))
	}
	return errs
}

func (s *specScope) validateSharedProcesses(at *field.Path) field.ErrorList {
	if s.spec.HostPID && ptr.Deref(s.spec.ShareProcessNamespace, false) {
		return field.ErrorList{field.Invalid(at.Child("shareProcessNamespace"), true, "ShareProcessNamespace and HostPID cannot both be enabled")}
	}
	return nil
}

// validateHostUsers refuses user namespaces together with namespaces of the host.
func (s *specScope) validateHostUsers(at *field.Path) field.ErrorList {
	if ptr.Deref(s.spec.HostUsers, true) {
		return nil
	}
	const refused = "when `hostUsers` is false"
	var errs field.ErrorList
	if s.spec.HostNetwork {
		errs = append(errs, field.Forbidden(at.Child("hostNetwork"), refused))
	}
	if s.spec.HostPID {
		errs = append(errs, field.Forbidden(at.Child("HostPID"), refused))
	}
	if s.spec.HostIPC {
		errs = append(errs, field.Forbidden(at.Child("HostIPC"), refused))
	}
	eachContainer(s.spec, at, func(c *corev1.Container, at *field.Path) {
		if len(c.VolumeDevices) > 0 {
			errs = append(errs, field.Forbidden(at.Child("volumeDevices"), refused))
		}
	})
	return errs
}
