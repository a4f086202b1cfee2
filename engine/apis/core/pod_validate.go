package core

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/validation"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/pintle-io/pintle/engine/apis"
)

var specPath = field.NewPath("spec")

// ValidatePod checks a pod as its creation does, and so again on every update.
func ValidatePod(pod *corev1.Pod) field.ErrorList {
	errs := apis.ValidateMeta(&pod.ObjectMeta, true, validation.NameIsDNSSubdomain, metadata)
	errs = append(errs, validatePodSpec(&pod.Spec, &specScope{pod: true, podName: pod.Name}, specPath)...)
	if pod.Spec.ServiceAccountName == "" {
		errs = append(errs, tokensWithoutAccount(pod.Spec.Volumes, specPath.Child("volumes"))...)
	}
	if g := pod.Spec.TerminationGracePeriodSeconds; g != nil {
		errs = append(errs, validateNotNegative(*g, specPath.Child("terminationGracePeriodSeconds"))...)
	}
	for i := range pod.Spec.Containers {
		errs = append(errs, validateImageSpace(&pod.Spec.Containers[i], specPath.Child("containers").Index(i))...)
	}
	for i := range pod.Spec.InitContainers {
		errs = append(errs, validateImageSpace(&pod.Spec.InitContainers[i], specPath.Child("initContainers").Index(i))...)
	}
	return errs
}

func tokensWithoutAccount(volumes []corev1.Volume, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i := range volumes {
		if volumes[i].Projected == nil {
			continue
		}
		for j, src := range volumes[i].Projected.Sources {
			if src.ServiceAccountToken != nil {
				errs = append(errs, field.Forbidden(at.Index(i).Child("projected", "sources").Index(j).Child("serviceAccountToken"),
					"must not be specified when serviceAccountName is not set"))
			}
		}
	}
	return errs
}

func validatePodCreate(_ context.Context, pod *corev1.Pod) field.ErrorList {
	errs := ValidatePod(pod)
	if len(pod.Spec.EphemeralContainers) > 0 {
		errs = append(errs, field.Forbidden(specPath.Child("ephemeralContainers"), "cannot be set on create"))
	}
	if pod.Spec.NodeName != "" && len(pod.Spec.SchedulingGates) > 0 {
		errs = append(errs, field.Forbidden(specPath.Child("nodeName"), "cannot be set until all schedulingGates have been cleared"))
	}
	return errs
}

func validatePodStatusUpdate(_ context.Context, pod, old *corev1.Pod) field.ErrorList {
	errs := apis.ValidateMetaUpdate(&pod.ObjectMeta, &old.ObjectMeta, metadata)
	at := field.NewPath("status")
	errs = append(errs, validatePodConditions(pod.Status.Conditions, at.Child("conditions"))...)
	if pod.Spec.NodeName != old.Spec.NodeName {
		errs = append(errs, field.Forbidden(at.Child("nodeName"), "may not be changed directly"))
	}
	if n := pod.Status.NominatedNodeName; n != "" && n != old.Status.NominatedNodeName {
		errs = append(errs, invalidEach(at.Child("nominatedNodeName"), n, validation.NameIsDNSSubdomain(n, false))...)
	}
	if g := pod.Status.ObservedGeneration; g < 0 {
		errs = append(errs, field.Invalid(at.Child("observedGeneration"), g, notNegativeInteger))
	}
	if pod.Status.QOSClass != old.Status.QOSClass {
		errs = append(errs, field.Invalid(at.Child("qosClass"), pod.Status.QOSClass, immutable))
	}
	// Where containers are not restarted, one that ended stays ended.
	if old.Spec.RestartPolicy != corev1.RestartPolicyAlways {
		errs = append(errs, notRevived(pod.Status.ContainerStatuses, old.Status.ContainerStatuses, &old.Spec, at.Child("containerStatuses"))...)
	}
	errs = append(errs, validateClaimStatuses(pod, at)...)
	errs = append(errs, validateStatusIPs(&pod.Status, at)...)
	return append(errs, validateContainerStatuses(pod, at)...)
}

// validateAddresses takes at most one address of each family.
func validateAddresses[T any](list []T, address func(T) string, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	var four, six int
	for i := range list {
		ip := address(list[i])
		if bad := utilvalidation.IsValidIPForLegacyField(at.Index(i), ip, false, nil); len(bad) > 0 {
			errs = append(errs, bad...)
		} else if isIPv6(ip) {
			six++
		} else {
			four++
		}
	}
	if four > 1 || six > 1 {
		errs = append(errs, field.Invalid(at, list, "may specify no more than one IP for each IP family"))
	}
	return errs
}

// notRevived refuses a container that ended to be reported as running again,
// under a restart policy that would not have started it.
func notRevived(now, before []corev1.ContainerStatus, spec *corev1.PodSpec, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	for i := range before {
		old := &before[i]
		t := old.State.Terminated
		if t == nil || spec.RestartPolicy == corev1.RestartPolicyOnFailure && t.ExitCode != 0 || ownRestartRules(spec, old.Name) {
			continue
		}
		for j := range now {
			if now[j].Name == old.Name && now[j].State.Terminated == nil {
				errs = append(errs, field.Forbidden(at.Index(j).Child("state"), "may not be transitioned to non-terminated state"))
			}
		}
	}
	return errs
}

func ownRestartRules(spec *corev1.PodSpec, name string) bool {
	for i := range spec.Containers {
		if c := &spec.Containers[i]; c.Name == name {
			return c.RestartPolicy != nil || len(c.RestartPolicyRules) > 0
		}
	}
	return false
}
