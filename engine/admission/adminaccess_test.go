package admission

import (
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/client-go/kubernetes/fake"
)

// Devices that others use are for namespaces that were labelled for it.
func TestAdminAccess(t *testing.T) {
	space := func(name, label string) *corev1.Namespace {
		return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{resourcev1.DRAAdminNamespaceLabelKey: label}}}
	}
	client := fake.NewClientset(space("admin", "true"), space("user", "false"))
	p := newAdminAccess(&builder{Config: Config{Client: client}})
	claims := resourcev1.SchemeGroupVersion.WithResource("resourceclaims")
	templates := resourcev1.SchemeGroupVersion.WithResource("resourceclaimtemplates")
	spec := func(admin *bool) resourcev1.ResourceClaimSpec {
		return resourcev1.ResourceClaimSpec{Devices: resourcev1.DeviceClaim{Requests: []resourcev1.DeviceRequest{
			{Name: "a", FirstAvailable: []resourcev1.DeviceSubRequest{{Name: "b"}}},
			{Name: "c", Exactly: &resourcev1.ExactDeviceRequest{DeviceClassName: "gpu", AdminAccess: admin}},
		}}}
	}
	claim := func(namespace string, admin *bool) *resourcev1.ResourceClaim {
		return &resourcev1.ResourceClaim{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "c"}, Spec: spec(admin)}
	}
	allocated := func(namespace string, admin *bool) *resourcev1.ResourceClaim {
		c := claim(namespace, nil)
		c.Status.Allocation = &resourcev1.AllocationResult{Devices: resourcev1.DeviceAllocationResult{Results: []resourcev1.DeviceRequestAllocationResult{{AdminAccess: admin}}}}
		return c
	}
	yes, no := true, false
	const refused = "admin access to devices requires the `resource.kubernetes.io/admin-access: true` label on the containing namespace"
	for name, tc := range map[string]struct {
		request
		want string
	}{
		"a claim":                    {request{obj: claim("user", &yes), resource: claims}, "spec.devices.requests[1].adminAccess: Forbidden: " + refused},
		"a claim that says no":       {request{obj: claim("user", &no), resource: claims}, ""},
		"a claim that says nothing":  {request{obj: claim("user", nil), resource: claims}, ""},
		"a claim of administrators":  {request{obj: claim("admin", &yes), resource: claims}, ""},
		"a claim of nowhere":         {request{obj: claim("gone", &yes), resource: claims}, "could not retrieve namespace to verify admin access"},
		"a template":                 {request{obj: &resourcev1.ResourceClaimTemplate{ObjectMeta: metav1.ObjectMeta{Namespace: "user", Name: "t"}, Spec: resourcev1.ResourceClaimTemplateSpec{Spec: spec(&yes)}}, resource: templates}, refused},
		"an allocation":              {request{obj: allocated("user", &yes), old: claim("user", nil), resource: claims, subresource: "status", op: admission.Update}, "status.allocation.devices.results[0].adminAccess: Forbidden: " + refused},
		"what was allocated before":  {request{obj: allocated("user", &yes), old: allocated("user", &yes), resource: claims, subresource: "status", op: admission.Update}, ""},
		"administrators' allocation": {request{obj: allocated("admin", &yes), old: claim("admin", nil), resource: claims, subresource: "status", op: admission.Update}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			err := run(p, tc.request)
			if tc.want == "" && err != nil || tc.want != "" && (!apierrors.IsInvalid(err) || !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("error %v, want one with %q", err, tc.want)
			}
		})
	}
}
