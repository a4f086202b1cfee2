package quota

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	quota "k8s.io/apiserver/pkg/quota/v1"
)

func list(pairs ...string) corev1.ResourceList {
	out := corev1.ResourceList{}
	for i := 0; i < len(pairs); i += 2 {
		out[corev1.ResourceName(pairs[i])] = resource.MustParse(pairs[i+1])
	}
	return out
}

func pod(change ...func(*corev1.Pod)) *corev1.Pod {
	p := &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Resources: corev1.ResourceRequirements{
		Requests: list("cpu", "100m", "example.com/gpu", "1"), Limits: list("memory", "1Gi")}}}}}
	for _, f := range change {
		f(p)
	}
	return p
}

func TestUsage(t *testing.T) {
	no, class := false, "fast"
	port := []corev1.ServicePort{{}, {NodePort: 30000}}
	for name, tc := range map[string]struct {
		measure measure
		obj     runtime.Object
		want    corev1.ResourceList
	}{
		"pod": {pods, pod(), list("count/pods", "1", "pods", "1", "cpu", "100m", "requests.cpu", "100m",
			"requests.example.com/gpu", "1", "limits.memory", "1Gi")},
		"pod that ended": {pods, pod(func(p *corev1.Pod) { p.Status.Phase = corev1.PodSucceeded }), list("count/pods", "1")},
		"pod long deleted": {pods, pod(func(p *corev1.Pod) {
			grace := int64(1)
			p.DeletionTimestamp, p.DeletionGracePeriodSeconds = &metav1.Time{Time: time.Unix(1e9, 0)}, &grace
		}), list("count/pods", "1")},
		"cluster service": {services, &corev1.Service{Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeClusterIP, Ports: port}}, list("count/services", "1", "services", "1")},
		"node port":       {services, &corev1.Service{Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeNodePort, Ports: port}}, list("count/services", "1", "services", "1", "services.nodeports", "2")},
		"load balancer": {services, &corev1.Service{Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer, Ports: port, AllocateLoadBalancerNodePorts: &no}},
			list("count/services", "1", "services", "1", "services.nodeports", "1", "services.loadbalancers", "1")},
		"claim": {claims, &corev1.PersistentVolumeClaim{Spec: corev1.PersistentVolumeClaimSpec{StorageClassName: &class, Resources: corev1.VolumeResourceRequirements{Requests: list("storage", "1Gi")}}},
			list("count/persistentvolumeclaims", "1", "persistentvolumeclaims", "1", "requests.storage", "1Gi",
				"fast.storageclass.storage.k8s.io/persistentvolumeclaims", "1", "fast.storageclass.storage.k8s.io/requests.storage", "1Gi")},
	} {
		got, err := tc.measure.usage(tc.obj)
		if err != nil || !quota.Equals(got, tc.want) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

func TestScopes(t *testing.T) {
	seconds := int64(5)
	limited := pod(func(p *corev1.Pod) { p.Spec.ActiveDeadlineSeconds, p.Spec.PriorityClassName = &seconds, "high" })
	plain := &corev1.Pod{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c"}}, Affinity: &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{
		RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{{Namespaces: []string{"x"}}}}}}}
	scope := func(name corev1.ResourceQuotaScope, op corev1.ScopeSelectorOperator, values ...string) corev1.ScopedResourceSelectorRequirement {
		return corev1.ScopedResourceSelectorRequirement{ScopeName: name, Operator: op, Values: values}
	}
	for _, tc := range []struct {
		scope          corev1.ScopedResourceSelectorRequirement
		limited, plain bool
	}{
		{scope(corev1.ResourceQuotaScopeTerminating, corev1.ScopeSelectorOpExists), true, false},
		{scope(corev1.ResourceQuotaScopeNotTerminating, corev1.ScopeSelectorOpExists), false, true},
		{scope(corev1.ResourceQuotaScopeBestEffort, corev1.ScopeSelectorOpExists), false, true},
		{scope(corev1.ResourceQuotaScopeNotBestEffort, corev1.ScopeSelectorOpExists), true, false},
		{scope(corev1.ResourceQuotaScopePriorityClass, corev1.ScopeSelectorOpExists), true, false},
		{scope(corev1.ResourceQuotaScopePriorityClass, corev1.ScopeSelectorOpIn, "high"), true, false},
		{scope(corev1.ResourceQuotaScopePriorityClass, corev1.ScopeSelectorOpNotIn, "high"), false, true},
		{scope(corev1.ResourceQuotaScopePriorityClass, corev1.ScopeSelectorOpDoesNotExist), false, true},
		{scope(corev1.ResourceQuotaScopeCrossNamespacePodAffinity, corev1.ScopeSelectorOpExists), false, true},
	} {
		for obj, want := range map[*corev1.Pod]bool{limited: tc.limited, plain: tc.plain} {
			if got, err := podInScope(tc.scope, obj); got != want || err != nil {
				t.Errorf("%v: %v, want %v (%v)", tc.scope, got, want, err)
			}
		}
	}
}

func TestPodsMustState(t *testing.T) {
	for _, tc := range []struct {
		required []corev1.ResourceName
		want     string
	}{
		{[]corev1.ResourceName{"pods", "requests.cpu", "cpu", "limits.memory", "requests.example.com/other"}, ""},
		{[]corev1.ResourceName{"limits.cpu", "memory"}, "must specify limits.cpu for: c; memory for: c"},
	} {
		err := podStates(tc.required, pod())
		if got := errorText(err); got != tc.want {
			t.Errorf("%v: %q, want %q", tc.required, got, tc.want)
		}
	}
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestDevicesByClass(t *testing.T) {
	sub := func(class string, n int64) resourcev1.DeviceSubRequest {
		return resourcev1.DeviceSubRequest{DeviceClassName: class, AllocationMode: resourcev1.DeviceAllocationModeExactCount, Count: n}
	}
	used, err := deviceClaims.usage(&resourcev1.ResourceClaim{Spec: resourcev1.ResourceClaimSpec{Devices: resourcev1.DeviceClaim{Requests: []resourcev1.DeviceRequest{
		{Exactly: &resourcev1.ExactDeviceRequest{DeviceClassName: "gpu", AllocationMode: resourcev1.DeviceAllocationModeExactCount, Count: 2}},
		{FirstAvailable: []resourcev1.DeviceSubRequest{sub("gpu", 1), sub("gpu", 3), sub("nic", 1)}},
		{Exactly: &resourcev1.ExactDeviceRequest{DeviceClassName: "disk", AllocationMode: resourcev1.DeviceAllocationModeAll}},
	}}}})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[corev1.ResourceName]int64{
		"gpu.deviceclass.resource.k8s.io/devices": 5, "nic.deviceclass.resource.k8s.io/devices": 1,
		"disk.deviceclass.resource.k8s.io/devices": 32, "count/resourceclaims.resource.k8s.io": 1,
	} {
		if got := used[name]; got.Value() != want {
			t.Errorf("%s: %v, want %d", name, &got, want)
		}
	}
}

func TestAttributesClassScope(t *testing.T) {
	gold := "gold"
	requirement := corev1.ScopedResourceSelectorRequirement{
		ScopeName: corev1.ResourceQuotaScopeVolumeAttributesClass, Operator: corev1.ScopeSelectorOpIn, Values: []string{"gold"},
	}
	for name, tc := range map[string]struct {
		claim *corev1.PersistentVolumeClaim
		want  bool
	}{
		"none":   {&corev1.PersistentVolumeClaim{}, false},
		"asked":  {&corev1.PersistentVolumeClaim{Spec: corev1.PersistentVolumeClaimSpec{VolumeAttributesClassName: &gold}}, true},
		"has":    {&corev1.PersistentVolumeClaim{Status: corev1.PersistentVolumeClaimStatus{CurrentVolumeAttributesClassName: &gold}}, true},
		"coming": {&corev1.PersistentVolumeClaim{Status: corev1.PersistentVolumeClaimStatus{ModifyVolumeStatus: &corev1.ModifyVolumeStatus{TargetVolumeAttributesClassName: gold}}}, true},
	} {
		if got, err := claims.inScope(requirement, tc.claim); got != tc.want || err != nil {
			t.Errorf("%s: %v, want %v (%v)", name, got, tc.want, err)
		}
	}
}
