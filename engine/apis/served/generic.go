package served

import (
	"strings"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	certificatesv1 "k8s.io/api/certificates/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	eventsv1 "k8s.io/api/events/v1"
	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	networkingv1 "k8s.io/api/networking/v1"
	nodev1 "k8s.io/api/node/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
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
	switch k.kind {
	case "Event":
		row.OtherVersions = []schema.GroupVersionKind{eventsv1.SchemeGroupVersion.WithKind("Event")}
	case "HorizontalPodAutoscaler":
		row.OtherVersions = []schema.GroupVersionKind{autoscalingv1.SchemeGroupVersion.WithKind(k.kind)}
	}
	return row
}

var genericGroups = []struct {
	gv    schema.GroupVersion
	kinds []genericRow
}{
	{corev1.SchemeGroupVersion, []genericRow{
		{&corev1.Namespace{}, &corev1.NamespaceList{}, "Namespace", "namespaces", "ns", cluster | status},
		{&corev1.Pod{}, &corev1.PodList{}, "Pod", "pods", "po", status | all},
		{&corev1.PodTemplate{}, &corev1.PodTemplateList{}, "PodTemplate", "podtemplates", "", 0},
		{&corev1.ReplicationController{}, &corev1.ReplicationControllerList{}, "ReplicationController", "replicationcontrollers", "rc", status | all},
		{&corev1.Service{}, &corev1.ServiceList{}, "Service", "services", "svc", status | all},
		{&corev1.Endpoints{}, &corev1.EndpointsList{}, "Endpoints", "endpoints", "ep", 0},
		{&corev1.Node{}, &corev1.NodeList{}, "Node", "nodes", "no", cluster | status},
		{&corev1.Event{}, &corev1.EventList{}, "Event", "events", "ev", 0},
		{&corev1.LimitRange{}, &corev1.LimitRangeList{}, "LimitRange", "limitranges", "limits", 0},
		{&corev1.ResourceQuota{}, &corev1.ResourceQuotaList{}, "ResourceQuota", "resourcequotas", "quota", status},
		{&corev1.Secret{}, &corev1.SecretList{}, "Secret", "secrets", "", 0},
		{&corev1.ConfigMap{}, &corev1.ConfigMapList{}, "ConfigMap", "configmaps", "cm", 0},
		{&corev1.ServiceAccount{}, &corev1.ServiceAccountList{}, "ServiceAccount", "serviceaccounts", "sa", 0},
		{&corev1.PersistentVolume{}, &corev1.PersistentVolumeList{}, "PersistentVolume", "persistentvolumes", "pv", cluster | status},
		{&corev1.PersistentVolumeClaim{}, &corev1.PersistentVolumeClaimList{}, "PersistentVolumeClaim", "persistentvolumeclaims", "pvc", status},
	}},
	{appsv1.SchemeGroupVersion, []genericRow{
		{&appsv1.Deployment{}, &appsv1.DeploymentList{}, "Deployment", "deployments", "deploy", status | all},
		{&appsv1.StatefulSet{}, &appsv1.StatefulSetList{}, "StatefulSet", "statefulsets", "sts", status | all},
		{&appsv1.DaemonSet{}, &appsv1.DaemonSetList{}, "DaemonSet", "daemonsets", "ds", status | all},
		{&appsv1.ReplicaSet{}, &appsv1.ReplicaSetList{}, "ReplicaSet", "replicasets", "rs", status | all},
		{&appsv1.ControllerRevision{}, &appsv1.ControllerRevisionList{}, "ControllerRevision", "controllerrevisions", "", 0},
	}},
	{batchv1.SchemeGroupVersion, []genericRow{
		{&batchv1.Job{}, &batchv1.JobList{}, "Job", "jobs", "", status | all},
		{&batchv1.CronJob{}, &batchv1.CronJobList{}, "CronJob", "cronjobs", "cj", status | all},
	}},
	{autoscalingv2.SchemeGroupVersion, []genericRow{
		{&autoscalingv2.HorizontalPodAutoscaler{}, &autoscalingv2.HorizontalPodAutoscalerList{}, "HorizontalPodAutoscaler", "horizontalpodautoscalers", "hpa", status | all},
	}},
	{policyv1.SchemeGroupVersion, []genericRow{
		{&policyv1.PodDisruptionBudget{}, &policyv1.PodDisruptionBudgetList{}, "PodDisruptionBudget", "poddisruptionbudgets", "pdb", status},
	}},
	{networkingv1.SchemeGroupVersion, []genericRow{
		{&networkingv1.Ingress{}, &networkingv1.IngressList{}, "Ingress", "ingresses", "ing", status},
		{&networkingv1.IngressClass{}, &networkingv1.IngressClassList{}, "IngressClass", "ingressclasses", "", cluster},
		{&networkingv1.NetworkPolicy{}, &networkingv1.NetworkPolicyList{}, "NetworkPolicy", "networkpolicies", "netpol", 0},
		{&networkingv1.IPAddress{}, &networkingv1.IPAddressList{}, "IPAddress", "ipaddresses", "ip", cluster},
		{&networkingv1.ServiceCIDR{}, &networkingv1.ServiceCIDRList{}, "ServiceCIDR", "servicecidrs", "", cluster | status},
	}},
	{discoveryv1.SchemeGroupVersion, []genericRow{
		{&discoveryv1.EndpointSlice{}, &discoveryv1.EndpointSliceList{}, "EndpointSlice", "endpointslices", "", 0},
	}},
	{rbacv1.SchemeGroupVersion, []genericRow{
		{&rbacv1.Role{}, &rbacv1.RoleList{}, "Role", "roles", "", 0},
		{&rbacv1.RoleBinding{}, &rbacv1.RoleBindingList{}, "RoleBinding", "rolebindings", "", 0},
		{&rbacv1.ClusterRole{}, &rbacv1.ClusterRoleList{}, "ClusterRole", "clusterroles", "", cluster},
		{&rbacv1.ClusterRoleBinding{}, &rbacv1.ClusterRoleBindingList{}, "ClusterRoleBinding", "clusterrolebindings", "", cluster},
	}},
	{certificatesv1.SchemeGroupVersion, []genericRow{
		{&certificatesv1.CertificateSigningRequest{}, &certificatesv1.CertificateSigningRequestList{}, "CertificateSigningRequest", "certificatesigningrequests", "csr", cluster | status},
		{&certificatesv1.ClusterTrustBundle{}, &certificatesv1.ClusterTrustBundleList{}, "ClusterTrustBundle", "clustertrustbundles", "", cluster},
		{&certificatesv1.PodCertificateRequest{}, &certificatesv1.PodCertificateRequestList{}, "PodCertificateRequest", "podcertificaterequests", "", status},
	}},
	{coordinationv1.SchemeGroupVersion, []genericRow{
		{&coordinationv1.Lease{}, &coordinationv1.LeaseList{}, "Lease", "leases", "", 0},
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
