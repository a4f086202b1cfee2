package core

import (
	"fmt"
	"regexp"
	"strings"

	corev1 "k8s.io/api/core/v1"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"
)

// eachContainer visits the containers of every sort, with their paths.
func eachContainer(spec *corev1.PodSpec, at *field.Path, visit func(c *corev1.Container, at *field.Path)) {
	for i := range spec.InitContainers {
		visit(&spec.InitContainers[i], at.Child("initContainers").Index(i))
	}
	for i := range spec.Containers {
		visit(&spec.Containers[i], at.Child("containers").Index(i))
	}
	for i := range spec.EphemeralContainers {
		visit((*corev1.Container)(&spec.EphemeralContainers[i].EphemeralContainerCommon), at.Child("ephemeralContainers").Index(i))
	}
}

// validateOS refuses the fields of one operating system in a pod of the other.
func (s *specScope) validateOS(at *field.Path) field.ErrorList {
	if s.spec.OS == nil {
		return nil
	}
	switch s.spec.OS.Name {
	case "":
		return field.ErrorList{field.Required(at.Child("os", "name"), "")}
	case corev1.Linux:
		return s.validateLinux(at)
	case corev1.Windows:
		return s.validateWindows(at)
	}
	return supported(s.spec.OS.Name, at.Child("os"), corev1.Linux, corev1.Windows)
}

func (s *specScope) validateLinux(at *field.Path) field.ErrorList {
	const refused = "windows options cannot be set for a linux pod"
	var errs field.ErrorList
	if sc := s.spec.SecurityContext; sc != nil && sc.WindowsOptions != nil {
		errs = append(errs, field.Forbidden(at.Child("securityContext", "windowsOptions"), refused))
	}
	eachContainer(s.spec, at, func(c *corev1.Container, at *field.Path) {
		if c.SecurityContext != nil && c.SecurityContext.WindowsOptions != nil {
			errs = append(errs, field.Forbidden(at.Child("securityContext", "windowsOptions"), refused))
		}
	})
	return errs
}

// setField is a field and whether it is set.
type setField struct {
	name string
	set  bool
}

func notForWindows(fields []setField, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, f := range fields {
		if f.set {
			errs = append(errs, field.Forbidden(at.Child(f.name), "cannot be set for a windows pod"))
		}
	}
	return errs
}

func (s *specScope) validateWindows(at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if sc := s.spec.SecurityContext; sc != nil {
		errs = append(errs, notForWindows([]setField{
			{"appArmorProfile", sc.AppArmorProfile != nil}, {"seLinuxOptions", sc.SELinuxOptions != nil},
			{"seccompProfile", sc.SeccompProfile != nil}, {"fsGroup", sc.FSGroup != nil},
			{"fsGroupChangePolicy", sc.FSGroupChangePolicy != nil}, {"sysctls", len(sc.Sysctls) > 0},
			{"runAsUser", sc.RunAsUser != nil}, {"runAsGroup", sc.RunAsGroup != nil},
			{"supplementalGroups", sc.SupplementalGroups != nil}, {"supplementalGroupsPolicy", sc.SupplementalGroupsPolicy != nil},
			{"seLinuxChangePolicy", sc.SELinuxChangePolicy != nil},
		}, at.Child("securityContext"))...)
	}
	errs = append(errs, notForWindows([]setField{
		{"hostUsers", s.spec.HostUsers != nil}, {"hostPID", s.spec.HostPID}, {"hostIPC", s.spec.HostIPC},
		{"shareProcessNamespace", s.spec.ShareProcessNamespace != nil},
	}, at)...)
	eachContainer(s.spec, at, func(c *corev1.Container, at *field.Path) {
		if sc := c.SecurityContext; sc != nil {
			errs = append(errs, notForWindows([]setField{
				{"appArmorProfile", sc.AppArmorProfile != nil}, {"seLinuxOptions", sc.SELinuxOptions != nil},
				{"seccompProfile", sc.SeccompProfile != nil}, {"capabilities", sc.Capabilities != nil},
				{"readOnlyRootFilesystem", sc.ReadOnlyRootFilesystem != nil}, {"privileged", sc.Privileged != nil},
				{"allowPrivilegeEscalation", sc.AllowPrivilegeEscalation != nil}, {"procMount", sc.ProcMount != nil},
				{"runAsUser", sc.RunAsUser != nil}, {"runAsGroup", sc.RunAsGroup != nil},
			}, at.Child("securityContext"))...)
		}
	})
	return errs
}

// validateHostProcesses: either all containers of a pod are processes of a Windows
// host, or none is.
func (s *specScope) validateHostProcesses(at *field.Path) field.ErrorList {
	var errs field.ErrorList
	var whole *bool
	if sc := s.spec.SecurityContext; sc != nil && sc.WindowsOptions != nil {
		whole = sc.WindowsOptions.HostProcess
	}
	all, onHost := 0, 0
	eachContainer(s.spec, at, func(c *corev1.Container, at *field.Path) {
		all++
		var own *bool
		if c.SecurityContext != nil && c.SecurityContext.WindowsOptions != nil {
			own = c.SecurityContext.WindowsOptions.HostProcess
		}
		if whole != nil && own != nil && *whole != *own {
			errs = append(errs, field.Invalid(at.Child("securityContext", "windowsOptions", "hostProcess"), *own,
				fmt.Sprintf("pod hostProcess value must be identical if both are specified, was %v", *whole)))
		}
		if ptr.Deref(own, ptr.Deref(whole, false)) {
			onHost++
		}
	})
	if onHost == 0 {
		return errs
	}
	if onHost != all {
		errs = append(errs, field.Invalid(at, "", "If pod contains any hostProcess containers then all containers must be HostProcess containers"))
	}
	if !s.spec.HostNetwork {
		errs = append(errs, field.Invalid(at.Child("hostNetwork"), false, "hostNetwork must be true if pod contains any hostProcess containers"))
	}
	return errs
}

const (
	maxCredentialKiB = 64
	maxUserDomain    = 256
	maxUserName      = 104
	badUserRunes     = `"/\:;|=,+*?<>@[]`
)

// Names of users and domains as Windows has them.
var (
	controlRunes  = regexp.MustCompile(`[[:cntrl:]]+`)
	netBIOSDomain = regexp.MustCompile(`^[^\\/:\*\?"<>|\.][^\\/:\*\?"<>|]{0,14}$`)
	dnsDomain     = regexp.MustCompile(`^[a-zA-Z0-9](?:[a-zA-Z0-9\-]{0,61}[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9\-]{0,61}[a-zA-Z0-9])?)*$`)
	dotsAndSpaces = regexp.MustCompile(`^[\. ]+$`)
)

func validateWindowsOptions(o *corev1.WindowsSecurityContextOptions, at *field.Path) field.ErrorList {
	if o == nil {
		return nil
	}
	var errs field.ErrorList
	if n := o.GMSACredentialSpecName; n != nil {
		errs = append(errs, invalidEach(at.Child("gmsaCredentialSpecName"), *n, utilvalidation.IsDNS1123Subdomain(*n))...)
	}
	if c := o.GMSACredentialSpec; c != nil {
		switch {
		case *c == "":
			errs = append(errs, field.Invalid(at.Child("gmsaCredentialSpec"), *c, "gmsaCredentialSpec cannot be an empty string"))
		case len(*c) > maxCredentialKiB<<10:
			errs = append(errs, field.Invalid(at.Child("gmsaCredentialSpec"), *c, fmt.Sprintf("gmsaCredentialSpec size must be under %d KiB", maxCredentialKiB)))
		}
	}
	if o.RunAsUserName != nil {
		errs = append(errs, invalidEach(at.Child("runAsUserName"), *o.RunAsUserName, windowsUserMessages(*o.RunAsUserName))...)
	}
	return errs
}

func windowsUserMessages(name string) []string {
	domain, user, hasDomain := strings.Cut(name, `\`)
	if !hasDomain {
		domain, user = "", name
	}
	switch {
	case name == "":
		return []string{"runAsUserName cannot be an empty string"}
	case controlRunes.MatchString(name):
		return []string{"runAsUserName cannot contain control characters"}
	case strings.Contains(user, `\`):
		return []string{"runAsUserName cannot contain more than one backslash"}
	}
	var out []string
	if len(domain) >= maxUserDomain {
		out = append(out, fmt.Sprintf("runAsUserName's Domain length must be under %d characters", maxUserDomain))
	}
	if hasDomain && !netBIOSDomain.MatchString(domain) && !dnsDomain.MatchString(domain) {
		out = append(out, "runAsUserName's Domain doesn't match the NetBios nor the DNS format")
	}
	if user == "" {
		out = append(out, "runAsUserName's User cannot be empty")
	} else if len(user) > maxUserName {
		out = append(out, fmt.Sprintf("runAsUserName's User length must not be longer than %d characters", maxUserName))
	}
	if dotsAndSpaces.MatchString(user) {
		out = append(out, "runAsUserName's User cannot contain only periods or spaces")
	}
	if strings.ContainsAny(user, badUserRunes) {
		out = append(out, "runAsUserName's User cannot contain the following characters: "+badUserRunes)
	}
	return out
}
