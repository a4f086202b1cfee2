package served

import (
	"fmt"
	"sync"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
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
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"

	"github.com/pintle-io/pintle/engine/apis"
)

// versions are the external group versions whose types the scheme knows.
var versions = []struct {
	gv  schema.GroupVersion
	add func(*runtime.Scheme) error
}{
	{corev1.SchemeGroupVersion, corev1.AddToScheme},
	{appsv1.SchemeGroupVersion, appsv1.AddToScheme},
	{batchv1.SchemeGroupVersion, batchv1.AddToScheme},
	{autoscalingv2.SchemeGroupVersion, autoscalingv2.AddToScheme},
	{autoscalingv1.SchemeGroupVersion, autoscalingv1.AddToScheme},
	{policyv1.SchemeGroupVersion, policyv1.AddToScheme},
	{networkingv1.SchemeGroupVersion, networkingv1.AddToScheme},
	{discoveryv1.SchemeGroupVersion, discoveryv1.AddToScheme},
	{eventsv1.SchemeGroupVersion, eventsv1.AddToScheme},
	{rbacv1.SchemeGroupVersion, rbacv1.AddToScheme},
	{authenticationv1.SchemeGroupVersion, authenticationv1.AddToScheme},
	{authorizationv1.SchemeGroupVersion, authorizationv1.AddToScheme},
	{certificatesv1.SchemeGroupVersion, certificatesv1.AddToScheme},
	{coordinationv1.SchemeGroupVersion, coordinationv1.AddToScheme},
	{nodev1.SchemeGroupVersion, nodev1.AddToScheme},
	{storagev1.SchemeGroupVersion, storagev1.AddToScheme},
	{schedulingv1.SchemeGroupVersion, schedulingv1.AddToScheme},
	{admissionregistrationv1.SchemeGroupVersion, admissionregistrationv1.AddToScheme},
	{flowcontrolv1.SchemeGroupVersion, flowcontrolv1.AddToScheme},
	{resourcev1.SchemeGroupVersion, resourcev1.AddToScheme},
	{storagemigrationv1.SchemeGroupVersion, storagemigrationv1.AddToScheme},
}

// hubs names the types that are internal versions of a kind other than the one
// they are declared in: a kind served in two versions has one hub.
var hubs = []struct {
	group, kind string
	hub         runtime.Object
}{
	{"events.k8s.io", "Event", &corev1.Event{}},
	{"events.k8s.io", "EventList", &corev1.EventList{}},
	{"autoscaling", "HorizontalPodAutoscaler", &autoscalingv2.HorizontalPodAutoscaler{}},
	{"autoscaling", "HorizontalPodAutoscalerList", &autoscalingv2.HorizontalPodAutoscalerList{}},
}

// metaKinds are registered in every group version by apimachinery and have their
// own internal form or none.
var metaKinds = map[string]bool{
	metav1.WatchEventKind: true, "ListOptions": true, "GetOptions": true, "DeleteOptions": true,
	"CreateOptions": true, "UpdateOptions": true, "PatchOptions": true,
}

// Scheme returns the one scheme of the server.
func Scheme() *runtime.Scheme { return scheme() }

// Codecs returns the codec factory over Scheme, with streaming list encoders.
func Codecs() serializer.CodecFactory { return codecs() }

// ParameterCodec decodes query parameters of the served kinds.
func ParameterCodec() runtime.ParameterCodec { return parameterCodec() }

var scheme = sync.OnceValue(func() *runtime.Scheme {
	s := runtime.NewScheme()
	metav1.AddToGroupVersion(s, schema.GroupVersion{Version: "v1"})
	utilruntime.Must(metav1.AddMetaToScheme(s))
	for _, v := range versions {
		utilruntime.Must(v.add(s))
	}
	for _, add := range declared {
		utilruntime.Must(add(s))
	}
	registerHubs(s)
	utilruntime.Must(addQueryConversions(s))
	utilruntime.Must(addEventConversions(s))
	utilruntime.Must(addAutoscalingConversions(s))
	for i := range Table() {
		addRow(s, &Table()[i])
	}
	return s
})

var codecs = sync.OnceValue(func() serializer.CodecFactory {
	return serializer.NewCodecFactory(Scheme(),
		serializer.WithStreamingCollectionEncodingToJSON(),
		serializer.WithStreamingCollectionEncodingToProtobuf())
})

var parameterCodec = sync.OnceValue(func() runtime.ParameterCodec {
	return runtime.NewParameterCodec(Scheme())
})

// registerHubs makes every external type also the internal version of its kind.
func registerHubs(s *runtime.Scheme) {
	taken := map[schema.GroupKind]bool{}
	for _, h := range hubs {
		gvk := schema.GroupVersionKind{Group: h.group, Version: runtime.APIVersionInternal, Kind: h.kind}
		s.AddKnownTypeWithName(gvk, h.hub)
		taken[gvk.GroupKind()] = true
	}
	for _, v := range versions {
		for kind := range s.KnownTypes(v.gv) {
			gvk := v.gv.WithKind(kind)
			if metaKinds[kind] || taken[gvk.GroupKind()] {
				continue
			}
			obj, err := s.New(gvk)
			utilruntime.Must(err)
			if isUnversioned, _ := s.IsUnversioned(obj); isUnversioned {
				continue
			}
			taken[gvk.GroupKind()] = true
			s.AddKnownTypeWithName(gvk.GroupKind().WithVersion(runtime.APIVersionInternal), obj)
		}
	}
}

// eventLabels are the names that events.k8s.io gives to the fields of core events.
var eventLabels = map[string]string{
	"regarding.kind": "involvedObject.kind", "regarding.namespace": "involvedObject.namespace",
	"regarding.name": "involvedObject.name", "regarding.uid": "involvedObject.uid",
	"regarding.apiVersion": "involvedObject.apiVersion", "regarding.resourceVersion": "involvedObject.resourceVersion",
	"regarding.fieldPath": "involvedObject.fieldPath", "reportingController": "reportingComponent",
}

// addRow registers the defaults and the selectable fields of one kind.
func addRow(s *runtime.Scheme, row *apis.Resource) {
	if f := row.Rules.Default; f != nil {
		s.AddTypeDefaultingFunc(row.New(), func(obj any) { f(obj.(runtime.Object)) })
		s.AddTypeDefaultingFunc(row.NewList(), func(obj any) {
			_ = meta.EachListItem(obj.(runtime.Object), func(item runtime.Object) error { f(item); return nil })
		})
	}
	if row.Fields == nil {
		return
	}
	known := row.Fields(row.New())
	convert := func(label, value string) (string, string, error) {
		if old, ok := eventLabels[label]; ok && row.GVK.Kind == "Event" {
			label = old
		}
		if label == "metadata.name" || label == "metadata.namespace" && row.Namespaced || known.Has(label) {
			return label, value, nil
		}
		return "", "", fmt.Errorf("field label not supported: %s", label)
	}
	for _, gvk := range append([]schema.GroupVersionKind{row.GVK}, row.OtherVersions...) {
		utilruntime.Must(s.AddFieldLabelConversionFunc(gvk, convert))
	}
}
