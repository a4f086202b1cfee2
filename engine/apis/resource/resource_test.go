package resource

import (
	"strings"
	"testing"

	v1 "k8s.io/api/resource/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/pintle-io/pintle/engine/apis/apistest"
)

func validClaim() *v1.ResourceClaim {
	return &v1.ResourceClaim{
		ObjectMeta: metav1.ObjectMeta{Name: "c", Namespace: "n", ResourceVersion: "1"},
		Spec: v1.ResourceClaimSpec{Devices: v1.DeviceClaim{
			Requests: []v1.DeviceRequest{
				{Name: "one", Exactly: &v1.ExactDeviceRequest{DeviceClassName: "gpu", Selectors: []v1.DeviceSelector{{CEL: &v1.CELDeviceSelector{Expression: `device.driver == "d"`}}}}},
				{Name: "any", FirstAvailable: []v1.DeviceSubRequest{{Name: "big", DeviceClassName: "gpu"}}},
			},
			Constraints: []v1.DeviceConstraint{{Requests: []string{"one", "any/big"}, MatchAttribute: ptr.To(v1.FullyQualifiedName("d/a"))}},
			Config:      []v1.DeviceClaimConfiguration{{Requests: []string{"one"}, DeviceConfiguration: opaque(`{"a":1}`)}},
		}},
	}
}

func opaque(text string) v1.DeviceConfiguration {
	return v1.DeviceConfiguration{Opaque: &v1.OpaqueDeviceConfiguration{Driver: "d", Parameters: runtime.RawExtension{Raw: []byte(text)}}}
}

func TestClaim(t *testing.T) {
	type claim = apistest.Case[*v1.ResourceClaim]
	expression := func(text string) func(*v1.ResourceClaim) {
		return func(c *v1.ResourceClaim) { c.Spec.Devices.Requests[0].Exactly.Selectors[0].CEL.Expression = text }
	}
	const selector = "spec.devices.requests[0].exactly.selectors[0].cel"
	apistest.RunCreate(t, claims(), validClaim, map[string]claim{
		"no such name":  {Change: expression("zz"), Want: []string{selector + ".expression: Invalid value"}},
		"not a verdict": {Change: expression("1"), Want: []string{selector + ".expression: Invalid value"}},
		"too long":      {Change: expression(strings.Repeat("a", 20000)), Want: []string{selector + ".expression: Too long"}},
		"no expression": {Change: func(c *v1.ResourceClaim) { c.Spec.Devices.Requests[0].Exactly.Selectors[0].CEL = nil }, Want: []string{selector + ": Required value"}},
		"request name":  {Change: func(c *v1.ResourceClaim) { c.Spec.Devices.Requests[1].Name = "A" }, Want: []string{"spec.devices.requests[1].name: Invalid value", "spec.devices.constraints[0].requests[1]: Invalid value"}},
		"both ways":     {Change: func(c *v1.ResourceClaim) { c.Spec.Devices.Requests[1].Exactly = c.Spec.Devices.Requests[0].Exactly }, Want: []string{"spec.devices.requests[1]: Invalid value"}},
		"neither way":   {Change: func(c *v1.ResourceClaim) { c.Spec.Devices.Requests[1].FirstAvailable = nil }, Want: []string{"spec.devices.requests[1]: Required value", "spec.devices.constraints[0].requests[1]: Invalid value"}},
		"class":         {Change: func(c *v1.ResourceClaim) { c.Spec.Devices.Requests[0].Exactly.DeviceClassName = "A" }, Want: []string{"spec.devices.requests[0].exactly.deviceClassName: Invalid value"}},
		"all, and a count": {Change: func(c *v1.ResourceClaim) {
			r := c.Spec.Devices.Requests[0].Exactly
			r.AllocationMode, r.Count = v1.DeviceAllocationModeAll, 2
		}, Want: []string{"spec.devices.requests[0].exactly.count: Invalid value"}},
		"negative":        {Change: func(c *v1.ResourceClaim) { c.Spec.Devices.Requests[0].Exactly.Count = -1 }, Want: []string{"spec.devices.requests[0].exactly.count: Invalid value"}},
		"unknown request": {Change: func(c *v1.ResourceClaim) { c.Spec.Devices.Config[0].Requests[0] = "zz" }, Want: []string{"spec.devices.config[0].requests[0]: Invalid value"}},
		"three parts":     {Change: func(c *v1.ResourceClaim) { c.Spec.Devices.Constraints[0].Requests[0] = "a/b/c" }, Want: []string{"spec.devices.constraints[0].requests[0]: Invalid value"}},
		"no attribute":    {Change: func(c *v1.ResourceClaim) { c.Spec.Devices.Constraints[0].MatchAttribute = nil }, Want: []string{"spec.devices.constraints[0]: Required value"}},
		"not JSON":        {Change: func(c *v1.ResourceClaim) { c.Spec.Devices.Config[0].DeviceConfiguration = opaque("{") }, Want: []string{"spec.devices.config[0].opaque.parameters: Invalid value"}},
		"not an object":   {Change: func(c *v1.ResourceClaim) { c.Spec.Devices.Config[0].DeviceConfiguration = opaque("[]") }, Want: []string{"spec.devices.config[0].opaque.parameters: Invalid value"}},
		"null":            {Change: func(c *v1.ResourceClaim) { c.Spec.Devices.Config[0].DeviceConfiguration = opaque("null") }, Want: []string{"spec.devices.config[0].opaque.parameters: Required value"}},
		"no config":       {Change: func(c *v1.ResourceClaim) { c.Spec.Devices.Config[0].Opaque = nil }, Want: []string{"spec.devices.config[0].opaque: Required value"}},
		"toleration": {Change: func(c *v1.ResourceClaim) {
			c.Spec.Devices.Requests[0].Exactly.Tolerations = []v1.DeviceToleration{{Key: "k", Operator: v1.DeviceTolerationOpExists, Value: "v"}}
		}, Want: []string{"spec.devices.requests[0].exactly.tolerations[0].value: Invalid value"}},
		"alpha": {Change: func(c *v1.ResourceClaim) {
			c.Spec.Devices.Requests[0].Exactly.DerivedAttributes = []v1.DeviceDerivedAttribute{{Name: "zz"}}
		}},
	})
	template := func() *v1.ResourceClaimTemplate {
		return &v1.ResourceClaimTemplate{ObjectMeta: validClaim().ObjectMeta, Spec: v1.ResourceClaimTemplateSpec{Spec: validClaim().Spec}}
	}
	apistest.RunCreate(t, claimTemplates(), template, map[string]apistest.Case[*v1.ResourceClaimTemplate]{
		"owner":   {Change: func(c *v1.ResourceClaimTemplate) { c.Spec.OwnerReferences = []metav1.OwnerReference{{Name: "x"}} }, Want: []string{"spec.metadata.ownerReferences: Forbidden"}},
		"request": {Change: func(c *v1.ResourceClaimTemplate) { c.Spec.Spec.Devices.Requests[0].Name = "A" }, Want: []string{"spec.spec.devices.requests[0].name: Invalid value", "spec.spec.devices.constraints[0].requests[0]: Invalid value", "spec.spec.devices.config[0].requests[0]: Invalid value"}},
	})
}

func TestClaimStatus(t *testing.T) {
	allocate := func(c *v1.ResourceClaim) {
		c.Status.Allocation = &v1.AllocationResult{Devices: v1.DeviceAllocationResult{Results: []v1.DeviceRequestAllocationResult{{Request: "one", Driver: "d", Pool: "p", Device: "x"}}}}
	}
	user := v1.ResourceClaimConsumerReference{Resource: "pods", Name: "p", UID: types.UID("u")}
	apistest.RunStatus(t, claims(), validClaim, map[string]apistest.Case[*v1.ResourceClaim]{
		"allocated": {Change: allocate},
		"unknown request": {Change: func(c *v1.ResourceClaim) {
			allocate(c)
			c.Status.Allocation.Devices.Results[0].Request = "zz"
		}, Want: []string{"status.allocation.devices.results[0].request: Invalid value"}},
		"device": {Change: func(c *v1.ResourceClaim) {
			allocate(c)
			c.Status.Allocation.Devices.Results[0].Device = "A"
		}, Want: []string{"status.allocation.devices.results[0].device: Invalid value"}},
		"conditions of one kind": {Change: func(c *v1.ResourceClaim) {
			allocate(c)
			c.Status.Allocation.Devices.Results[0].BindingConditions = []string{"a", "a"}
		}, Want: []string{"status.allocation.devices.results[0].bindingConditions[1]: Duplicate value", "status.allocation.devices.results[0].bindingFailureConditions: Invalid value"}},
		"reserved": {Change: func(c *v1.ResourceClaim) {
			allocate(c)
			c.Status.ReservedFor = []v1.ResourceClaimConsumerReference{user, {}}
		}, Want: []string{"status.reservedFor[1].resource: Required value", "status.reservedFor[1].name: Required value", "status.reservedFor[1].uid: Required value"}},
		"reserved, not allocated": {Change: func(c *v1.ResourceClaim) { c.Status.ReservedFor = []v1.ResourceClaimConsumerReference{user} }, Want: []string{"status.reservedFor: Forbidden"}},
		"reported": {Change: func(c *v1.ResourceClaim) {
			allocate(c)
			c.Status.Devices = []v1.AllocatedDeviceStatus{{Driver: "d", Pool: "p", Device: "x"}}
		}},
		"not allocated": {Change: func(c *v1.ResourceClaim) {
			c.Status.Devices = []v1.AllocatedDeviceStatus{{Driver: "d", Pool: "P", Device: "x", Data: &runtime.RawExtension{Raw: []byte("1")}}}
		}, Want: []string{"status.devices[0].pool: Invalid value", "status.devices[0]: Invalid value", "status.devices[0].data: Invalid value"}},
	})
}

func validSlice() *v1.ResourceSlice {
	return &v1.ResourceSlice{
		ObjectMeta: metav1.ObjectMeta{Name: "s", ResourceVersion: "1"},
		Spec: v1.ResourceSliceSpec{
			Driver: "d.io", Pool: v1.ResourcePool{Name: "p", ResourceSliceCount: 1}, NodeName: ptr.To("n"),
			Devices: []v1.Device{{
				Name: "x", AllowMultipleAllocations: ptr.To(true),
				Attributes: map[v1.QualifiedName]v1.DeviceAttribute{"a": {StringValue: ptr.To("v")}},
				Capacity:   map[v1.QualifiedName]v1.DeviceCapacity{"mem": {Value: resource.MustParse("10")}},
			}},
		},
	}
}

func TestSlice(t *testing.T) {
	device := func(f func(d *v1.Device)) func(*v1.ResourceSlice) {
		return func(s *v1.ResourceSlice) { f(&s.Spec.Devices[0]) }
	}
	policy := func(p v1.CapacityRequestPolicy) func(*v1.ResourceSlice) {
		return device(func(d *v1.Device) {
			d.Capacity["mem"] = v1.DeviceCapacity{Value: resource.MustParse("10"), RequestPolicy: &p}
		})
	}
	q := func(text string) *resource.Quantity { return ptr.To(resource.MustParse(text)) }
	within := func(low, high, step string) *v1.CapacityRequestPolicyRange {
		return &v1.CapacityRequestPolicyRange{Min: q(low), Max: q(high), Step: q(step)}
	}
	const mem = "spec.devices[0].capacity[mem].requestPolicy"
	apistest.RunCreate(t, slices(), validSlice, map[string]apistest.Case[*v1.ResourceSlice]{
		"driver":         {Change: func(s *v1.ResourceSlice) { s.Spec.Driver = "" }, Want: []string{"spec.driver: Required value"}},
		"pool":           {Change: func(s *v1.ResourceSlice) { s.Spec.Pool = v1.ResourcePool{Name: "a/B", Generation: -1} }, Want: []string{"spec.pool.name: Invalid value", "spec.pool.resourceSliceCount: Invalid value", "spec.pool.generation: Invalid value"}},
		"no place":       {Change: func(s *v1.ResourceSlice) { s.Spec.NodeName = nil }, Want: []string{"spec: Required value"}},
		"two places":     {Change: func(s *v1.ResourceSlice) { s.Spec.AllNodes = ptr.To(true) }, Want: []string{"spec: Invalid value"}},
		"not all nodes":  {Change: func(s *v1.ResourceSlice) { s.Spec.AllNodes = ptr.To(false) }, Want: []string{"spec.allNodes: Invalid value"}},
		"empty node":     {Change: func(s *v1.ResourceSlice) { s.Spec.NodeName = ptr.To("") }, Want: []string{"spec.nodeName: Invalid value", "spec: Required value"}},
		"device name":    {Change: device(func(d *v1.Device) { d.Name = "A" }), Want: []string{"spec.devices[0].name: Invalid value"}},
		"twice":          {Change: func(s *v1.ResourceSlice) { s.Spec.Devices = append(s.Spec.Devices, s.Spec.Devices[0]) }, Want: []string{"spec.devices[1]: Duplicate value"}},
		"too many":       {Change: func(s *v1.ResourceSlice) { s.Spec.Devices = make([]v1.Device, 129) }, Want: []string{"spec.devices: Too many"}},
		"attribute name": {Change: device(func(d *v1.Device) { d.Attributes["/b-c"] = v1.DeviceAttribute{BoolValue: ptr.To(true)} }), Want: []string{"spec.devices[0].attributes: Invalid value", "spec.devices[0].attributes: Invalid value"}},
		"version":        {Change: device(func(d *v1.Device) { d.Attributes["b"] = v1.DeviceAttribute{VersionValue: ptr.To("1.2")} }), Want: []string{"spec.devices[0].attributes[b].version: Invalid value"}},
		"long text": {Change: device(func(d *v1.Device) {
			d.Attributes["b"] = v1.DeviceAttribute{StringValue: ptr.To(strings.Repeat("a", 65))}
		}), Want: []string{"spec.devices[0].attributes[b].string: Too long"}},
		"taint": {Change: device(func(d *v1.Device) {
			d.Taints = []v1.DeviceTaint{{Key: "-", Value: "-", Effect: v1.DeviceTaintEffectNone}}
		}), Want: []string{"spec.devices[0].taints[0].key: Invalid value", "spec.devices[0].taints[0].value: Invalid value"}},
		"device's place": {Change: device(func(d *v1.Device) { d.AllNodes = ptr.To(true) }), Want: []string{"spec.devices[0]: Invalid value"}},
		"each device's":  {Change: func(s *v1.ResourceSlice) { s.Spec.NodeName, s.Spec.PerDeviceNodeSelection = nil, ptr.To(true) }, Want: []string{"spec.devices[0]: Required value"}},
		"both":           {Change: device(func(d *v1.Device) { d.BindingConditions, d.BindingFailureConditions = []string{"a"}, []string{"a"} }), Want: []string{"spec.devices[0].bindingFailureConditions[0]: Invalid value"}},
		"options":        {Change: policy(v1.CapacityRequestPolicy{Default: q("2"), ValidValues: []resource.Quantity{*q("1"), *q("2")}})},
		"no default":     {Change: policy(v1.CapacityRequestPolicy{ValidValues: []resource.Quantity{*q("1")}}), Want: []string{mem + ".default: Required value"}},
		"wrong options":  {Change: policy(v1.CapacityRequestPolicy{Default: q("3"), ValidValues: []resource.Quantity{*q("20"), *q("1")}}), Want: []string{mem + ".validValues[1]: Invalid value", mem + ".validValues[0]: Invalid value", mem + ".validValues: Invalid value"}},
		"range":          {Change: policy(v1.CapacityRequestPolicy{Default: q("2"), ValidRange: within("1", "9", "1")})},
		"fractions":      {Change: policy(v1.CapacityRequestPolicy{Default: q("1500m"), ValidRange: within("500m", "9500m", "500m")})},
		"wrong step":     {Change: policy(v1.CapacityRequestPolicy{Default: q("4"), ValidRange: within("1", "8", "2")}), Want: []string{mem + ".validRange.step: Invalid value", mem + ".validRange.step: Invalid value"}},
		"no step":        {Change: policy(v1.CapacityRequestPolicy{Default: q("4"), ValidRange: within("1", "8", "0")}), Want: []string{mem + ".validRange.step: Invalid value"}},
		"outside":        {Change: policy(v1.CapacityRequestPolicy{Default: q("0"), ValidRange: within("1", "11", "1")}), Want: []string{mem + ".validRange.default: Invalid value", mem + ".validRange.max: Invalid value"}},
		"step of 2^64":   {Change: policy(v1.CapacityRequestPolicy{Default: q("1"), ValidRange: within("1", "2", "18446744073709551616")}), Want: []string{mem + ".validRange.step: Invalid value", mem + ".validRange.step: Invalid value"}},
		"not shared": {Change: device(func(d *v1.Device) {
			d.AllowMultipleAllocations = nil
			d.Capacity["mem"] = v1.DeviceCapacity{Value: *q("1"), RequestPolicy: &v1.CapacityRequestPolicy{}}
		}), Want: []string{mem + ": Forbidden"}},
	})
	apistest.RunUpdate(t, slices(), validSlice, map[string]apistest.Case[*v1.ResourceSlice]{
		"pool":   {Change: func(s *v1.ResourceSlice) { s.Spec.Pool.Name = "q" }, Want: []string{"spec.pool.name: Invalid value"}},
		"driver": {Change: func(s *v1.ResourceSlice) { s.Spec.Driver = "e.io" }, Want: []string{"spec.driver: Invalid value"}},
		"node":   {Change: func(s *v1.ResourceSlice) { s.Spec.NodeName = ptr.To("m") }, Want: []string{"spec.nodeName: Invalid value"}},
	})
}

func TestClassAndTaintRule(t *testing.T) {
	class := func() *v1.DeviceClass {
		return &v1.DeviceClass{
			ObjectMeta: metav1.ObjectMeta{Name: "c", ResourceVersion: "1"},
			Spec:       v1.DeviceClassSpec{Selectors: []v1.DeviceSelector{{CEL: &v1.CELDeviceSelector{Expression: "true"}}}},
		}
	}
	apistest.RunCreate(t, deviceClasses(), class, map[string]apistest.Case[*v1.DeviceClass]{
		"expression": {Change: func(c *v1.DeviceClass) { c.Spec.Selectors[0].CEL.Expression = "zz" }, Want: []string{"spec.selectors[0].cel.expression: Invalid value"}},
		"config":     {Change: func(c *v1.DeviceClass) { c.Spec.Config = make([]v1.DeviceClassConfiguration, 1) }, Want: []string{"spec.config[0].opaque: Required value"}},
	})
	rule := func() *v1.DeviceTaintRule {
		return &v1.DeviceTaintRule{ObjectMeta: metav1.ObjectMeta{Name: "r", ResourceVersion: "1"}, Spec: v1.DeviceTaintRuleSpec{Taint: v1.DeviceTaint{Key: "k", Effect: v1.DeviceTaintEffectNoSchedule}}}
	}
	apistest.RunCreate(t, deviceTaintRules(), rule, map[string]apistest.Case[*v1.DeviceTaintRule]{
		"selector": {Change: func(r *v1.DeviceTaintRule) {
			r.Spec.DeviceSelector = &v1.DeviceTaintSelector{Driver: ptr.To(""), Pool: ptr.To("A"), Device: ptr.To("A")}
		}, Want: []string{"spec.deviceSelector.driver: Required value", "spec.deviceSelector.pool: Invalid value", "spec.deviceSelector.device: Invalid value"}},
		"key": {Change: func(r *v1.DeviceTaintRule) { r.Spec.Taint.Key = "" }, Want: []string{"spec.taint.key: Invalid value", "spec.taint.key: Invalid value"}},
	})
	apistest.RunStatus(t, deviceTaintRules(), rule, map[string]apistest.Case[*v1.DeviceTaintRule]{
		"condition": {Change: func(r *v1.DeviceTaintRule) { r.Status.Conditions = make([]metav1.Condition, 1) }, Want: []string{
			"status.conditions[0].type: Required value", "status.conditions[0].status: Required value",
			"status.conditions[0].lastTransitionTime: Required value", "status.conditions[0].reason: Required value",
		}},
	})
}
