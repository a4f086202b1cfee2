package quota

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/admission"
)

// deviceClaims count devices by their class. Of a choice of requests, the most of
// each class counts; "all devices" counts as the most that can be allocated.
var deviceClaims = measure{
	resource: resourcev1.Resource("resourceclaims"),
	handles:  on(admission.Create, admission.Update),
	tracks: func(name corev1.ResourceName) bool {
		return strings.HasSuffix(string(name), corev1.ResourceClaimsPerClass)
	},
	usage: func(obj runtime.Object) (corev1.ResourceList, error) {
		claim, ok := obj.(*resourcev1.ResourceClaim)
		if !ok {
			return nil, fmt.Errorf("expected a ResourceClaim, got %T", obj)
		}
		total := map[string]int64{}
		for i := range claim.Spec.Devices.Requests {
			for class, n := range devices(&claim.Spec.Devices.Requests[i]) {
				total[class] += n
			}
		}
		out := counted(resourcev1.Resource("resourceclaims"))
		for class, n := range total {
			out[corev1.ResourceName(class+corev1.ResourceClaimsPerClass)] = *resource.NewQuantity(n, resource.DecimalSI)
		}
		return out, nil
	},
}

// devices is the most that one request may be given, by class.
func devices(r *resourcev1.DeviceRequest) map[string]int64 {
	out := map[string]int64{}
	if r.Exactly != nil {
		out[r.Exactly.DeviceClassName] = number(r.Exactly.AllocationMode, r.Exactly.Count)
	}
	for i := range r.FirstAvailable {
		sub := &r.FirstAvailable[i]
		out[sub.DeviceClassName] = max(out[sub.DeviceClassName], number(sub.AllocationMode, sub.Count))
	}
	return out
}

func number(mode resourcev1.DeviceAllocationMode, count int64) int64 {
	switch mode {
	case resourcev1.DeviceAllocationModeExactCount:
		return count
	case resourcev1.DeviceAllocationModeAll:
		return resourcev1.AllocationResultsMaxSize
	}
	return 0
}
