package served

import (
	"strings"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	resourcev1 "k8s.io/api/resource/v1"
	storagemigrationv1 "k8s.io/api/storagemigration/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/pintle-io/pintle/engine/apis"
)

// flags of a generic row.
const (
	cluster = 1 << iota // not namespaced
	status              // has the status subresource
)

type genericRow struct {
	new, newList runtime.Object
	kind         string
	plural       string
	short        string // comma separated
	flags        int
}

// genericRows describes the kinds that have no group package of their own yet:
// only the rules every object obeys apply to them.
func genericRows() []apis.Resource {
	var rows []apis.Resource
	for _, g := range genericGroups {
		for _, k := range g.kinds {
			rows = append(rows, k.resource(g.gv))
		}
	}
	return rows
}

func (k genericRow) resource(gv schema.GroupVersion) apis.Resource {
	row := apis.Resource{
		GVK: gv.WithKind(k.kind), Plural: k.plural, Singular: strings.ToLower(k.kind),
		Namespaced: k.flags&cluster == 0, HasStatus: k.flags&status != 0,
		New: k.new.DeepCopyObject, NewList: k.newList.DeepCopyObject,
	}
	if k.short != "" {
		row.ShortNames = strings.Split(k.short, ",")
	}
	return row
}

var genericGroups = []struct {
	gv    schema.GroupVersion
	kinds []genericRow
}{
	{admissionregistrationv1.SchemeGroupVersion, []genericRow{
		{&admissionregistrationv1.ValidatingWebhookConfiguration{}, &admissionregistrationv1.ValidatingWebhookConfigurationList{}, "ValidatingWebhookConfiguration", "validatingwebhookconfigurations", "", cluster},
		{&admissionregistrationv1.MutatingWebhookConfiguration{}, &admissionregistrationv1.MutatingWebhookConfigurationList{}, "MutatingWebhookConfiguration", "mutatingwebhookconfigurations", "", cluster},
		{&admissionregistrationv1.ValidatingAdmissionPolicy{}, &admissionregistrationv1.ValidatingAdmissionPolicyList{}, "ValidatingAdmissionPolicy", "validatingadmissionpolicies", "", cluster | status},
		{&admissionregistrationv1.ValidatingAdmissionPolicyBinding{}, &admissionregistrationv1.ValidatingAdmissionPolicyBindingList{}, "ValidatingAdmissionPolicyBinding", "validatingadmissionpolicybindings", "", cluster},
		{&admissionregistrationv1.MutatingAdmissionPolicy{}, &admissionregistrationv1.MutatingAdmissionPolicyList{}, "MutatingAdmissionPolicy", "mutatingadmissionpolicies", "", cluster},
		{&admissionregistrationv1.MutatingAdmissionPolicyBinding{}, &admissionregistrationv1.MutatingAdmissionPolicyBindingList{}, "MutatingAdmissionPolicyBinding", "mutatingadmissionpolicybindings", "", cluster},
	}},
	{flowcontrolv1.SchemeGroupVersion, []genericRow{
		{&flowcontrolv1.FlowSchema{}, &flowcontrolv1.FlowSchemaList{}, "FlowSchema", "flowschemas", "", cluster | status},
		{&flowcontrolv1.PriorityLevelConfiguration{}, &flowcontrolv1.PriorityLevelConfigurationList{}, "PriorityLevelConfiguration", "prioritylevelconfigurations", "", cluster | status},
	}},
	{resourcev1.SchemeGroupVersion, []genericRow{
		{&resourcev1.DeviceClass{}, &resourcev1.DeviceClassList{}, "DeviceClass", "deviceclasses", "", cluster},
		{&resourcev1.ResourceClaim{}, &resourcev1.ResourceClaimList{}, "ResourceClaim", "resourceclaims", "", status},
		{&resourcev1.ResourceClaimTemplate{}, &resourcev1.ResourceClaimTemplateList{}, "ResourceClaimTemplate", "resourceclaimtemplates", "", 0},
		{&resourcev1.ResourceSlice{}, &resourcev1.ResourceSliceList{}, "ResourceSlice", "resourceslices", "", cluster},
		{&resourcev1.DeviceTaintRule{}, &resourcev1.DeviceTaintRuleList{}, "DeviceTaintRule", "devicetaintrules", "", cluster | status},
	}},
	{storagemigrationv1.SchemeGroupVersion, []genericRow{
		{&storagemigrationv1.StorageVersionMigration{}, &storagemigrationv1.StorageVersionMigrationList{}, "StorageVersionMigration", "storageversionmigrations", "", cluster | status},
	}},
}
