package core

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

func (s *specScope) validateContainers(at *field.Path) field.ErrorList {
	containers := s.spec.Containers
	if len(containers) == 0 {
		return field.ErrorList{field.Required(at, "")}
	}
	var errs field.ErrorList
	names := sets.New[string]()
	for i := range containers {
		c, containerAt := &containers[i], at.Index(i)
		errs = append(errs, s.validateContainer(c, containerAt)...)
		if names.Has(c.Name) {
			errs = append(errs, field.Duplicate(containerAt.Child("name"), c.Name))
		}
		names.Insert(c.Name)
		errs = append(errs, s.validateLifecycle(c.Lifecycle, containerAt.Child("lifecycle"))...)
		errs = append(errs, s.validateProbes(c, containerAt)...)
		errs = append(errs, validateRestartRules(c, containerAt)...)
	}
	return append(errs, hostPortConflicts(containers, at)...)
}

// validateInitContainers also keeps init containers that end apart from those
// that restart (sidecars): only the latter may have probes and hooks.
func (s *specScope) validateInitContainers(at *field.Path) field.ErrorList {
	var errs field.ErrorList
	names := sets.New[string]()
	for i := range s.spec.Containers {
		names.Insert(s.spec.Containers[i].Name)
	}
	for i := range s.spec.InitContainers {
		c, containerAt := &s.spec.InitContainers[i], at.Index(i)
		errs = append(errs, s.validateContainer(c, containerAt)...)
		if c.RestartPolicy == nil && len(c.RestartPolicyRules) > 0 {
			errs = append(errs, needsRestartPolicy(containerAt))
		} else if c.RestartPolicy != nil {
			errs = append(errs, validateRestartRules(c, containerAt)...)
		}
		if names.Has(c.Name) {
			errs = append(errs, field.Duplicate(containerAt.Child("name"), c.Name))
		} else if c.Name != "" {
			names.Insert(c.Name)
		}
		errs = append(errs, hostPortConflicts(s.spec.InitContainers[i:i+1], at)...)
		if isSidecar(c) {
			errs = append(errs, s.validateLifecycle(c.Lifecycle, containerAt.Child("lifecycle"))...)
			errs = append(errs, s.validateProbes(c, containerAt)...)
			continue
		}
		errs = append(errs, notForInit(c, containerAt)...)
	}
	return errs
}

// notForInit refuses what an init container that ends may not set.
func notForInit(c *corev1.Container, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, f := range []struct {
		name string
		set  bool
	}{{"lifecycle", c.Lifecycle != nil}, {"livenessProbe", c.LivenessProbe != nil}, {"readinessProbe", c.ReadinessProbe != nil}, {"startupProbe", c.StartupProbe != nil}} {
		if f.set {
			errs = append(errs, field.Forbidden(at.Child(f.name), "may not be set for init containers without restartPolicy=Always"))
		}
	}
	for i, p := range c.ResizePolicy {
		if p.RestartPolicy == corev1.RestartContainer {
			errs = append(errs, field.Invalid(at.Child("resizePolicy").Index(i).Child("restartPolicy"), p.RestartPolicy,
				"must not be set to 'RestartContainer' for non-sidecar initContainers"))
		}
	}
	return errs
}

func (s *specScope) validateEphemeralContainers(at *field.Path) field.ErrorList {
	var errs field.ErrorList
	names, targets := sets.New[string](), sets.New[string]()
	for _, list := range [][]corev1.Container{s.spec.Containers, s.spec.InitContainers} {
		for i := range list {
			names.Insert(list[i].Name)
			targets.Insert(list[i].Name)
		}
	}
	for i := range s.spec.EphemeralContainers {
		e, containerAt := &s.spec.EphemeralContainers[i], at.Index(i)
		c := (*corev1.Container)(&e.EphemeralContainerCommon)
		errs = append(errs, s.validateContainer(c, containerAt)...)
		errs = append(errs, validateImageSpace(c, containerAt)...)
		if names.Has(c.Name) {
			errs = append(errs, field.Duplicate(containerAt.Child("name"), c.Name))
		}
		names.Insert(c.Name)
		if e.TargetContainerName != "" && !targets.Has(e.TargetContainerName) {
			errs = append(errs, field.NotFound(containerAt.Child("targetContainerName"), e.TargetContainerName))
		}
		errs = append(errs, notForEphemeral(c, containerAt)...)
	}
	return errs
}

// notForEphemeral refuses what an ephemeral container may not set.
func notForEphemeral(c *corev1.Container, at *field.Path) field.ErrorList {
	const refused = "cannot be set for an Ephemeral Container"
	var errs field.ErrorList
	for _, f := range []struct {
		name string
		set  bool
	}{
		{"ports", c.Ports != nil},
		{"resources", c.Resources.Limits != nil || c.Resources.Requests != nil || c.Resources.Claims != nil},
		{"resizePolicy", c.ResizePolicy != nil},
		{"restartPolicy", c.RestartPolicy != nil},
		{"restartPolicyRules", c.RestartPolicyRules != nil},
		{"livenessProbe", c.LivenessProbe != nil},
		{"readinessProbe", c.ReadinessProbe != nil},
		{"startupProbe", c.StartupProbe != nil},
		{"lifecycle", c.Lifecycle != nil},
	} {
		if f.set {
			errs = append(errs, field.Forbidden(at.Child(f.name), refused))
		}
	}
	for i, m := range c.VolumeMounts {
		if m.SubPath != "" {
			errs = append(errs, field.Forbidden(at.Child("volumeMounts").Index(i).Child("subPath"), refused))
		}
		if m.SubPathExpr != "" {
			errs = append(errs, field.Forbidden(at.Child("volumeMounts").Index(i).Child("subPathExpr"), refused))
		}
	}
	return errs
}

// validateContainer checks what containers of all sorts have in common.
func (s *specScope) validateContainer(c *corev1.Container, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if c.Name == "" {
		errs = append(errs, field.Required(at.Child("name"), ""))
	} else {
		errs = append(errs, ValidateDNS1123Label(c.Name, at.Child("name"))...)
	}
	if c.Image == "" {
		errs = append(errs, field.Required(at.Child("image"), ""))
	}
	errs = append(errs, oneOf(c.TerminationMessagePolicy, at.Child("terminationMessagePolicy"), corev1.TerminationMessageReadFile, corev1.TerminationMessageFallbackToLogsOnError)...)
	errs = append(errs, s.validatePorts(c.Ports, at.Child("ports"))...)
	errs = append(errs, validateEnv(c.Env, at.Child("env"))...)
	errs = append(errs, validateEnvFrom(c.EnvFrom, at.Child("envFrom"))...)
	errs = append(errs, s.validateMounts(c, at)...)
	errs = append(errs, s.validateDevices(c, at.Child("volumeDevices"))...)
	errs = append(errs, validatePullPolicy(c.ImagePullPolicy, at.Child("imagePullPolicy"))...)
	errs = append(errs, s.validateResources(&c.Resources, at.Child("resources"))...)
	errs = append(errs, s.validateResizePolicy(c.ResizePolicy, at.Child("resizePolicy"))...)
	return append(errs, s.validateContainerSecurity(c.SecurityContext, at.Child("securityContext"))...)
}

func (s *specScope) validatePorts(ports []corev1.ContainerPort, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	names := sets.New[string]()
	for i := range ports {
		p, portAt := &ports[i], at.Index(i)
		if p.Name != "" {
			if bad := utilvalidation.IsValidPortName(p.Name); len(bad) > 0 {
				errs = append(errs, invalidEach(portAt.Child("name"), p.Name, bad)...)
			} else if names.Has(p.Name) {
				errs = append(errs, field.Duplicate(portAt.Child("name"), p.Name))
			} else {
				names.Insert(p.Name)
			}
		}
		if p.ContainerPort == 0 {
			errs = append(errs, field.Required(portAt.Child("containerPort"), ""))
		} else {
			errs = append(errs, validatePort(p.ContainerPort, portAt.Child("containerPort"))...)
		}
		if p.HostPort != 0 {
			errs = append(errs, validatePort(p.HostPort, portAt.Child("hostPort"))...)
		}
		errs = append(errs, oneOf(p.Protocol, portAt.Child("protocol"), Protocols...)...)
	}
	return errs
}

// validateHostNetworkPorts: on the host's network a port is the host's.
func (s *specScope) validateHostNetworkPorts(at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if !s.spec.HostNetwork {
		return nil
	}
	for i := range s.spec.Containers {
		for j, p := range s.spec.Containers[i].Ports {
			if (s.pod || p.HostPort != 0) && p.HostPort != p.ContainerPort {
				errs = append(errs, field.Invalid(at.Index(i).Child("ports").Index(j).Child("hostPort"), p.HostPort, "must match `containerPort` when `hostNetwork` is true"))
			}
		}
	}
	return errs
}

func validateImageSpace(c *corev1.Container, at *field.Path) field.ErrorList {
	if strings.TrimSpace(c.Image) != c.Image {
		return field.ErrorList{field.Invalid(at.Child("image"), c.Image, "must not have leading or trailing whitespace")}
	}
	return nil
}

func hostPortConflicts(containers []corev1.Container, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	seen := sets.New[string]()
	for i := range containers {
		for j, p := range containers[i].Ports {
			if p.HostPort == 0 {
				continue
			}
			key := fmt.Sprintf("%s/%s/%d", p.Protocol, p.HostIP, p.HostPort)
			if seen.Has(key) {
				errs = append(errs, field.Duplicate(at.Index(i).Child("ports").Index(j).Child("hostPort"), key))
			}
			seen.Insert(key)
		}
	}
	return errs
}

func needsRestartPolicy(at *field.Path) *field.Error {
	return field.Required(at.Child("restartPolicy"), "must specify restartPolicy when restart rules are used")
}

// validateRestartRules checks the restart policy of one container and its
// exceptions by exit code.
func validateRestartRules(c *corev1.Container, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	rulesAt := at.Child("restartPolicyRules")
	switch p := c.RestartPolicy; {
	case p != nil:
		errs = append(errs, supported(*p, at.Child("restartPolicy"),
			corev1.ContainerRestartPolicyAlways, corev1.ContainerRestartPolicyNever, corev1.ContainerRestartPolicyOnFailure)...)
	case len(c.RestartPolicyRules) > 0:
		errs = append(errs, needsRestartPolicy(at))
	}
	if n := len(c.RestartPolicyRules); n > 20 {
		errs = append(errs, field.TooMany(rulesAt, n, 20))
	}
	for i := range c.RestartPolicyRules {
		r, ruleAt := &c.RestartPolicyRules[i], rulesAt.Index(i)
		errs = append(errs, supported(r.Action, ruleAt.Child("action"), corev1.ContainerRestartRuleActionRestart, corev1.ContainerRestartRuleActionRestartAllContainers)...)
		if r.ExitCodes == nil {
			errs = append(errs, field.Required(ruleAt.Child("exitCodes"), "must be specified"))
			continue
		}
		errs = append(errs, supported(r.ExitCodes.Operator, ruleAt.Child("exitCodes", "operator"),
			corev1.ContainerRestartRuleOnExitCodesOpIn, corev1.ContainerRestartRuleOnExitCodesOpNotIn)...)
		if n := len(r.ExitCodes.Values); n > 255 {
			errs = append(errs, field.TooMany(ruleAt.Child("exitCodes", "values"), n, 255))
		}
	}
	return errs
}

var resizable = []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory}

func (s *specScope) validateResizePolicy(policies []corev1.ContainerResizePolicy, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	seen := sets.New[corev1.ResourceName]()
	for i, p := range policies {
		if seen.Has(p.ResourceName) {
			errs = append(errs, field.Duplicate(at.Index(i), p.ResourceName))
		}
		seen.Insert(p.ResourceName)
		switch {
		case p.ResourceName == "":
			errs = append(errs, field.Required(at, ""))
		case !slices.Contains(resizable, p.ResourceName):
			errs = append(errs, field.NotSupported(at, p.ResourceName, resizable))
		}
		errs = append(errs, oneOf(p.RestartPolicy, at, corev1.NotRequired, corev1.RestartContainer)...)
		if s.spec.RestartPolicy == corev1.RestartPolicyNever && p.RestartPolicy != corev1.NotRequired {
			errs = append(errs, field.Invalid(at, p.RestartPolicy, "must be 'NotRequired' when pod `restartPolicy` is 'Never'"))
		}
	}
	return errs
}
