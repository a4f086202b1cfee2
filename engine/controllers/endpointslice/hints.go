package endpointslice

import (
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/endpointslice/topologycache"
	"k8s.io/endpointslice/trafficdist"
	"k8s.io/klog/v2"

	"github.com/pintle-io/pintle/engine/reconcile"
)

// changes are the slices of one address family by what is to become of them.
type changes struct{ create, update, unchanged []*discoveryv1.EndpointSlice }

// hint says in the slices for which zones or nodes an endpoint is meant: by the
// Service's topology mode in proportion to the zones' CPUs, else by its traffic
// distribution. It may move slices from unchanged to update.
func (c *changes) hint(result *reconcile.Result, o Observed, family discoveryv1.AddressType) {
	if !TopologyAware(o.Service) {
		c.create, c.update, c.unchanged = trafficdist.ReconcileHints(o.Service.Spec.TrafficDistribution, c.create, c.update, c.unchanged)
		return
	}
	// The cache would remember only what the slices themselves say.
	cache := topologycache.NewTopologyCache()
	cache.SetNodes(klog.Logger{}, o.Nodes)
	before := hinted(c.unchanged) || hinted(o.Slices)
	info := &topologycache.SliceInfo{
		ServiceKey: o.Service.Namespace + "/" + o.Service.Name, AddressType: family,
		ToCreate: c.create, ToUpdate: c.update, Unchanged: c.unchanged,
	}
	var events []*topologycache.EventBuilder
	c.create, c.update, events = cache.AddHints(klog.Logger{}, info)
	for _, e := range events {
		if e.EventType == corev1.EventTypeNormal && before {
			continue // it was on
		}
		result.Add(reconcile.Event{About: o.Service, Type: e.EventType, Reason: e.Reason, Message: e.Message})
	}
}

// TopologyAware reports that a Service asks for hints in proportion to zones.
func TopologyAware(service *corev1.Service) bool {
	mode, ok := service.Annotations[corev1.DeprecatedAnnotationTopologyAwareHints]
	if !ok {
		mode = service.Annotations[corev1.AnnotationTopologyMode]
	}
	return mode == "Auto" || mode == "auto"
}

func hinted(slices []*discoveryv1.EndpointSlice) bool {
	for _, slice := range slices {
		for i := range slice.Endpoints {
			if slice.Endpoints[i].Hints != nil {
				return true
			}
		}
	}
	return false
}
