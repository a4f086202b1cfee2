package agent

import (
	"path/filepath"

	corev1 "k8s.io/api/core/v1"

	"github.com/pintle-io/pintle/runtime/container"
)

// security is a container's security context with the pod's defaults applied.
type security struct {
	container.Security
	nonRoot bool
}

// effective merges the pod's and the container's security contexts.
func effective(pod *corev1.Pod, c *corev1.Container) security {
	var s security
	if p := pod.Spec.SecurityContext; p != nil {
		s.RunAsUser, s.RunAsGroup = p.RunAsUser, p.RunAsGroup
		s.nonRoot = p.RunAsNonRoot != nil && *p.RunAsNonRoot
		s.SupplementalGroups = append(s.SupplementalGroups, p.SupplementalGroups...)
		if p.FSGroup != nil {
			s.SupplementalGroups = append(s.SupplementalGroups, *p.FSGroup)
		}
		s.StrictGroups = p.SupplementalGroupsPolicy != nil && *p.SupplementalGroupsPolicy == corev1.SupplementalGroupsPolicyStrict
		s.Seccomp = seccompOf(p.SeccompProfile)
	}
	sc := c.SecurityContext
	if sc == nil {
		return s
	}
	is := func(b *bool) bool { return b != nil && *b }
	if sc.RunAsUser != nil {
		s.RunAsUser = sc.RunAsUser
	}
	if sc.RunAsGroup != nil {
		s.RunAsGroup = sc.RunAsGroup
	}
	if sc.RunAsNonRoot != nil {
		s.nonRoot = *sc.RunAsNonRoot
	}
	s.Privileged = is(sc.Privileged)
	s.ReadOnlyRoot = is(sc.ReadOnlyRootFilesystem)
	s.NoNewPrivileges = sc.AllowPrivilegeEscalation != nil && !*sc.AllowPrivilegeEscalation
	s.UnmaskedProc = sc.ProcMount != nil && *sc.ProcMount == corev1.UnmaskedProcMount
	if sc.SeccompProfile != nil {
		s.Seccomp = seccompOf(sc.SeccompProfile)
	}
	if sc.Capabilities != nil {
		for _, x := range sc.Capabilities.Add {
			s.AddCaps = append(s.AddCaps, string(x))
		}
		for _, x := range sc.Capabilities.Drop {
			s.DropCaps = append(s.DropCaps, string(x))
		}
	}
	return s
}

// seccompRoot is where localhost profiles are looked for.
const seccompRoot = "/var/lib/kubelet/seccomp"

func seccompOf(p *corev1.SeccompProfile) string {
	switch {
	case p == nil:
		return ""
	case p.Type == corev1.SeccompProfileTypeRuntimeDefault:
		return "runtime/default"
	case p.Type == corev1.SeccompProfileTypeLocalhost && p.LocalhostProfile != nil:
		return filepath.Join(seccompRoot, filepath.Clean("/"+*p.LocalhostProfile))
	}
	return ""
}
