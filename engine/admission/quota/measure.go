package quota

import (
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/selection"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/quota/v1/generic"
	podresource "k8s.io/component-helpers/resource"
)

const (
	requestsPrefix = "requests."
	limitsPrefix   = "limits."
	classSuffix    = ".storageclass.storage.k8s.io/"
)

var one = *resource.NewQuantity(1, resource.DecimalSI)

func counted(kind schema.GroupResource, names ...corev1.ResourceName) corev1.ResourceList {
	out := corev1.ResourceList{generic.ObjectCountQuotaResourceNameFor(kind): one}
	for _, name := range names {
		out[name] = one
	}
	return out
}

func on(operations ...admission.Operation) func(admission.Attributes) bool {
	return func(a admission.Attributes) bool {
		return a.GetSubresource() == "" && slices.Contains(operations, a.GetOperation())
	}
}

var services = measure{
	resource: corev1.Resource("services"),
	handles:  on(admission.Create, admission.Update),
	tracks: func(name corev1.ResourceName) bool {
		return slices.Contains([]corev1.ResourceName{corev1.ResourceServices, corev1.ResourceServicesNodePorts, corev1.ResourceServicesLoadBalancers}, name)
	},
	usage: func(obj runtime.Object) (corev1.ResourceList, error) {
		svc, ok := obj.(*corev1.Service)
		if !ok {
			return nil, fmt.Errorf("expected a Service, got %T", obj)
		}
		out := counted(corev1.Resource("services"), corev1.ResourceServices)
		nodePorts := int64(len(svc.Spec.Ports))
		switch svc.Spec.Type {
		case corev1.ServiceTypeNodePort:
		case corev1.ServiceTypeLoadBalancer:
			out[corev1.ResourceServicesLoadBalancers] = one
			if allocate := svc.Spec.AllocateLoadBalancerNodePorts; allocate != nil && !*allocate {
				nodePorts = 0
				for i := range svc.Spec.Ports {
					if svc.Spec.Ports[i].NodePort != 0 {
						nodePorts++
					}
				}
			}
		default:
			nodePorts = 0
		}
		if nodePorts > 0 {
			out[corev1.ResourceServicesNodePorts] = *resource.NewQuantity(nodePorts, resource.DecimalSI)
		}
		return out, nil
	},
}

var claims = measure{
	resource: corev1.Resource("persistentvolumeclaims"),
	handles:  on(admission.Create, admission.Update),
	tracks: func(name corev1.ResourceName) bool {
		return name == corev1.ResourcePersistentVolumeClaims || name == corev1.ResourceRequestsStorage || strings.Contains(string(name), classSuffix)
	},
	usage: func(obj runtime.Object) (corev1.ResourceList, error) {
		claim, ok := obj.(*corev1.PersistentVolumeClaim)
		if !ok {
			return nil, fmt.Errorf("expected a PersistentVolumeClaim, got %T", obj)
		}
		out := counted(corev1.Resource("persistentvolumeclaims"), corev1.ResourcePersistentVolumeClaims)
		class := claim.Annotations[corev1.BetaStorageClassAnnotation]
		if class == "" && claim.Spec.StorageClassName != nil {
			class = *claim.Spec.StorageClassName
		}
		ofClass := func(name corev1.ResourceName) corev1.ResourceName {
			return corev1.ResourceName(class) + classSuffix + name
		}
		if class != "" {
			out[ofClass(corev1.ResourcePersistentVolumeClaims)] = one
		}
		if size, ok := claim.Spec.Resources.Requests[corev1.ResourceStorage]; ok {
			out[corev1.ResourceRequestsStorage] = size
			if class != "" {
				out[ofClass(corev1.ResourceRequestsStorage)] = size
			}
		}
		return out, nil
	},
	inScope: func(s corev1.ScopedResourceSelectorRequirement, obj runtime.Object) (bool, error) {
		claim, ok := obj.(*corev1.PersistentVolumeClaim)
		if !ok {
			return false, fmt.Errorf("expected a PersistentVolumeClaim, got %T", obj)
		}
		if s.ScopeName != corev1.ResourceQuotaScopeVolumeAttributesClass {
			return false, nil
		}
		return classMatches(s, attributesClasses(claim)...)
	},
}

// attributesClasses are the VolumeAttributesClasses a claim asks for, has, or is
// being given.
func attributesClasses(claim *corev1.PersistentVolumeClaim) []string {
	var out []string
	for _, name := range []*string{claim.Spec.VolumeAttributesClassName, claim.Status.CurrentVolumeAttributesClassName} {
		if name != nil && *name != "" {
			out = append(out, *name)
		}
	}
	if m := claim.Status.ModifyVolumeStatus; m != nil && m.TargetVolumeAttributesClassName != "" {
		out = append(out, m.TargetVolumeAttributesClassName)
	}
	return out
}

// computed are the quota resources that follow from what containers ask for.
var computed = []corev1.ResourceName{
	corev1.ResourceCPU, corev1.ResourceMemory, corev1.ResourceEphemeralStorage,
	corev1.ResourceRequestsCPU, corev1.ResourceRequestsMemory, corev1.ResourceRequestsEphemeralStorage,
	corev1.ResourceLimitsCPU, corev1.ResourceLimitsMemory, corev1.ResourceLimitsEphemeralStorage,
}

var pods = measure{
	resource: corev1.Resource("pods"),
	handles: func(a admission.Attributes) bool {
		return on(admission.Create)(a) || a.GetOperation() == admission.Update && a.GetSubresource() == "resize"
	},
	tracks: func(name corev1.ResourceName) bool {
		return name == corev1.ResourcePods || slices.Contains(computed, name) || isExtended(name)
	},
	usage:   podUsage,
	inScope: podInScope,
	states:  podStates,
}

// isExtended recognises requests.EXAMPLE.COM/THING and huge pages.
func isExtended(name corev1.ResourceName) bool {
	inner, ok := strings.CutPrefix(string(name), requestsPrefix)
	return strings.HasPrefix(inner, corev1.ResourceHugePagesPrefix) || ok && strings.Contains(inner, "/")
}

func asPod(obj runtime.Object) (*corev1.Pod, error) {
	pod, ok := obj.(*corev1.Pod)
	if !ok {
		return nil, fmt.Errorf("expected a Pod, got %T", obj)
	}
	return pod, nil
}

// podUsage counts a pod until it has ended; then it is merely an object.
func podUsage(obj runtime.Object) (corev1.ResourceList, error) {
	pod, err := asPod(obj)
	if err != nil {
		return nil, err
	}
	if Ended(pod, time.Now()) {
		return counted(corev1.Resource("pods")), nil
	}
	out := counted(corev1.Resource("pods"), corev1.ResourcePods)
	for name, quantity := range podresource.PodRequests(pod, podresource.PodResourcesOptions{UseStatusResources: true}) {
		out[requestsPrefix+name] = quantity
		if name == corev1.ResourceCPU || name == corev1.ResourceMemory || name == corev1.ResourceEphemeralStorage ||
			strings.HasPrefix(string(name), corev1.ResourceHugePagesPrefix) {
			out[name] = quantity
		}
	}
	for name, quantity := range podresource.PodLimits(pod, podresource.PodResourcesOptions{UseStatusResources: true}) {
		out[limitsPrefix+name] = quantity
	}
	return out, nil
}

// Ended pods use nothing but an object: they are done, or being deleted for longer
// than they were given.
func Ended(pod *corev1.Pod, now time.Time) bool {
	if pod.Status.Phase == corev1.PodFailed || pod.Status.Phase == corev1.PodSucceeded {
		return true
	}
	if pod.DeletionTimestamp == nil || pod.DeletionGracePeriodSeconds == nil {
		return false
	}
	return now.After(pod.DeletionTimestamp.Add(time.Duration(*pod.DeletionGracePeriodSeconds) * time.Second))
}

func podInScope(s corev1.ScopedResourceSelectorRequirement, obj runtime.Object) (bool, error) {
	pod, err := asPod(obj)
	if err != nil {
		return false, err
	}
	terminating := pod.Spec.ActiveDeadlineSeconds != nil && *pod.Spec.ActiveDeadlineSeconds >= 0
	switch s.ScopeName {
	case corev1.ResourceQuotaScopeTerminating:
		return terminating, nil
	case corev1.ResourceQuotaScopeNotTerminating:
		return !terminating, nil
	case corev1.ResourceQuotaScopeBestEffort:
		return bestEffort(pod), nil
	case corev1.ResourceQuotaScopeNotBestEffort:
		return !bestEffort(pod), nil
	case corev1.ResourceQuotaScopePriorityClass:
		if pod.Spec.PriorityClassName == "" {
			return classMatches(s)
		}
		return classMatches(s, pod.Spec.PriorityClassName)
	case corev1.ResourceQuotaScopeCrossNamespacePodAffinity:
		return crossesNamespaces(pod.Spec.Affinity), nil
	}
	return false, nil
}

// classMatches reports whether one of an object's classes matches a scope; an object
// without any matches what asks for none.
func classMatches(s corev1.ScopedResourceSelectorRequirement, classes ...string) (bool, error) {
	operators := map[corev1.ScopeSelectorOperator]selection.Operator{
		corev1.ScopeSelectorOpIn: selection.In, corev1.ScopeSelectorOpNotIn: selection.NotIn,
		corev1.ScopeSelectorOpExists: selection.Exists, corev1.ScopeSelectorOpDoesNotExist: selection.DoesNotExist,
	}
	operator, ok := operators[s.Operator]
	if !ok {
		return false, fmt.Errorf("%q is not a valid scope selector operator", s.Operator)
	}
	requirement, err := labels.NewRequirement(string(s.ScopeName), operator, s.Values)
	if err != nil {
		return false, err
	}
	if len(classes) == 0 {
		return requirement.Matches(labels.Set{}), nil
	}
	return slices.ContainsFunc(classes, func(class string) bool {
		return requirement.Matches(labels.Set{string(s.ScopeName): class})
	}), nil
}

// bestEffort: nothing asks for CPU or memory.
func bestEffort(pod *corev1.Pod) bool {
	asks := func(l corev1.ResourceList) bool { return !l.Cpu().IsZero() || !l.Memory().IsZero() }
	for _, list := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for i := range list {
			if asks(list[i].Resources.Requests) || asks(list[i].Resources.Limits) {
				return false
			}
		}
	}
	return pod.Spec.Resources == nil || !asks(pod.Spec.Resources.Requests) && !asks(pod.Spec.Resources.Limits)
}

func crossesNamespaces(a *corev1.Affinity) bool {
	if a == nil {
		return false
	}
	var terms []corev1.PodAffinityTerm
	gather := func(required []corev1.PodAffinityTerm, preferred []corev1.WeightedPodAffinityTerm) {
		terms = append(terms, required...)
		for i := range preferred {
			terms = append(terms, preferred[i].PodAffinityTerm)
		}
	}
	if p := a.PodAffinity; p != nil {
		gather(p.RequiredDuringSchedulingIgnoredDuringExecution, p.PreferredDuringSchedulingIgnoredDuringExecution)
	}
	if p := a.PodAntiAffinity; p != nil {
		gather(p.RequiredDuringSchedulingIgnoredDuringExecution, p.PreferredDuringSchedulingIgnoredDuringExecution)
	}
	return slices.ContainsFunc(terms, func(t corev1.PodAffinityTerm) bool { return len(t.Namespaces) > 0 || t.NamespaceSelector != nil })
}

// podStates demands that every container states what the quota counts.
func podStates(required []corev1.ResourceName, obj runtime.Object) error {
	pod, err := asPod(obj)
	if err != nil {
		return err
	}
	missing := map[corev1.ResourceName][]string{}
	for _, list := range [][]corev1.Container{pod.Spec.Containers, pod.Spec.InitContainers} {
		for i := range list {
			c := &list[i]
			for _, name := range required {
				if slices.Contains(computed, name) && !statesOne(c, name) {
					missing[name] = append(missing[name], c.Name)
				}
			}
		}
	}
	if len(missing) == 0 {
		return nil
	}
	var parts []string
	for name, containers := range missing {
		slices.Sort(containers)
		parts = append(parts, fmt.Sprintf("%s for: %s", name, strings.Join(containers, ",")))
	}
	slices.Sort(parts)
	return fmt.Errorf("must specify %s", strings.Join(parts, "; "))
}

func statesOne(c *corev1.Container, name corev1.ResourceName) bool {
	from := c.Resources.Requests
	inner := strings.TrimPrefix(string(name), requestsPrefix)
	if limit, ok := strings.CutPrefix(string(name), limitsPrefix); ok {
		from, inner = c.Resources.Limits, limit
	}
	_, ok := from[corev1.ResourceName(inner)]
	return ok
}
