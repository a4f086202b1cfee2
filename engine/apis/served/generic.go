package served

import (
	"strings"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	certificatesv1 "k8s.io/api/certificates/v1"
	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	nodev1 "k8s.io/api/node/v1"
	policyv1 "k8s.io/api/policy/v1"
	resourcev1 "k8s.io/api/resource/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	storagev1 "k8s.io/api/storage/v1"
	storagemigrationv1 "k8s.io/api/storagemigration/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/pintle-io/pintle/engine/apis"
)

// flags of a generic row.
const (
	cluster = 1 << iota // not namespaced
	status              // has the status subresource
	all                 // in category "all"
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
	if k.flags&all != 0 {
		row.Categories = []string{"all"}
	}
	if k.kind == "HorizontalPodAutoscaler" {
		row.OtherVersions = []schema.GroupVersionKind{autoscalingv1.SchemeGroupVersion.WithKind(k.kind)}
	}
	return row
}

var genericGroups = []struct {
	gv    schema.GroupVersion
	kinds []genericRow
}{
	{autoscalingv2.SchemeGroupVersion, []genericRow{
		{&autoscalingv2.HorizontalPodAutoscaler{}, &autoscalingv2.HorizontalPodAutoscalerList{}, "HorizontalPodAutoscaler", "horizontalpodautoscalers", "hpa", status | all},
	}},
	{policyv1.SchemeGroupVersion, []genericRow{
		{&policyv1.PodDisruptionBudget{}, &policyv1.PodDisruptionBudgetList{}, "PodDisruptionBudget", "poddisruptionbudgets", "pdb", status},
	}},
	{certificatesv1.SchemeGroupVersion, []genericRow{
		{&certificatesv1.ClusterTrustBundle{}, &certificatesv1.ClusterTrustBundleList{}, "ClusterTrustBundle", "clustertrustbundles", "", cluster},
		{&certificatesv1.PodCertificateRequest{}, &certificatesv1.PodCertificateRequestList{}, "PodCertificateRequest", "podcertificaterequests", "", status},
	}},
	{nodev1.SchemeGroupVersion, []genericRow{
		{&nodev1.RuntimeClass{}, &nodev1.RuntimeClassList{}, "RuntimeClass", "runtimeclasses", "", cluster},
	}},
	{storagev1.SchemeGroupVersion, []genericRow{
		{&storagev1.StorageClass{}, &storagev1.StorageClassList{}, "StorageClass", "storageclasses", "sc", cluster},
		{&storagev1.VolumeAttachment{}, &storagev1.VolumeAttachmentList{}, "VolumeAttachment", "volumeattachments", "", cluster | status},
		{&storagev1.CSINode{}, &storagev1.CSINodeList{}, "CSINode", "csinodes", "", cluster},
		{&storagev1.CSIDriver{}, &storagev1.CSIDriverList{}, "CSIDriver", "csidrivers", "", cluster},
		{&storagev1.CSIStorageCapacity{}, &storagev1.CSIStorageCapacityList{}, "CSIStorageCapacity", "csistoragecapacities", "", 0},
		{&storagev1.VolumeAttributesClass{}, &storagev1.VolumeAttributesClassList{}, "VolumeAttributesClass", "volumeattributesclasses", "vac", cluster},
	}},
	{schedulingv1.SchemeGroupVersion, []genericRow{
		{&schedulingv1.PriorityClass{}, &schedulingv1.PriorityClassList{}, "PriorityClass", "priorityclasses", "pc", cluster},
	}},
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
