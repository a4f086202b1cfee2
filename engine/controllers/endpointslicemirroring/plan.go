// Package endpointslicemirroring copies Endpoints that people or programs wrote by
// hand, for Services without a selector, to EndpointSlices, so that readers need
// to know only those.
package endpointslicemirroring

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	endpointutil "k8s.io/endpointslice/util"

	"github.com/pintle-io/pintle/engine/reconcile"
)

// ManagedBy marks the slices of this controller.
const ManagedBy = "endpointslicemirroring-controller.k8s.io"

// perSlice bounds the addresses mirrored for one set of ports.
const perSlice = 1000

var (
	resource      = discoveryv1.SchemeGroupVersion.WithResource("endpointslices")
	endpointsKind = schema.GroupVersionKind{Version: "v1", Kind: "Endpoints"}
)

// Observed is the snapshot of one Endpoints object; it and the Service of the same
// name are nil when they are gone.
type Observed struct {
	Endpoints *corev1.Endpoints
	Service   *corev1.Service
	// Slices are this controller's slices for the Service.
	Slices []*discoveryv1.EndpointSlice
}

// mirrored reports whether the Endpoints are to be copied: not what the endpoints
// controller writes, nor what says so, nor a lock of an old leader election.
func mirrored(o Observed) bool {
	if o.Endpoints == nil || o.Service == nil || o.Service.Spec.Selector != nil {
		return false
	}
	_, lock := o.Endpoints.Annotations[resourcelock.LeaderElectionRecordAnnotationKey]
	return !lock && o.Endpoints.Labels[discoveryv1.LabelSkipMirror] != "true"
}

// group is what one slice shall hold.
type group struct {
	family    discoveryv1.AddressType
	ports     []discoveryv1.EndpointPort
	endpoints map[string]discoveryv1.Endpoint // by address
}

// Plan decides which slices to create, update and delete.
func Plan(o Observed) reconcile.Result {
	var result reconcile.Result
	if !mirrored(o) {
		for _, slice := range o.Slices {
			result.Add(reconcile.DeleteOf(resource, slice))
		}
		return result
	}
	wanted, problems := groups(o.Endpoints)
	left := slices.SortedFunc(slices.Values(o.Slices), func(a, b *discoveryv1.EndpointSlice) int { return cmp.Compare(a.Name, b.Name) })
	was := match(wanted, &left)
	for i, g := range wanted {
		g.act(&result, o.Endpoints, was[i])
	}
	for _, slice := range left {
		result.Add(reconcile.DeleteOf(resource, slice))
	}
	if len(result.Actions) > 0 {
		result.Add(problems...)
	}
	return result
}

// groups sorts the addresses by family and ports. What cannot be mirrored becomes
// events.
func groups(endpoints *corev1.Endpoints) (out []*group, problems []reconcile.Action) {
	byKey := map[string]*group{}
	invalid, tooMany := 0, 0
	for i := range endpoints.Subsets {
		subset := &endpoints.Subsets[i]
		ports := slicePorts(subset.Ports)
		for j, address := range slices.Concat(subset.Addresses, subset.NotReadyAddresses) {
			endpoint, family, ok := mirror(address, j < len(subset.Addresses))
			if !ok {
				invalid++
				continue
			}
			key := string(family) + string(endpointutil.NewPortMapKey(ports))
			if byKey[key] == nil {
				byKey[key] = &group{family: family, ports: ports, endpoints: map[string]discoveryv1.Endpoint{}}
			}
			if !byKey[key].put(endpoint) {
				tooMany++
			}
		}
	}
	for _, key := range slices.Sorted(maps.Keys(byKey)) {
		out = append(out, byKey[key])
	}
	warn := func(n int, reason, format string, args ...any) {
		if n > 0 {
			problems = append(problems, reconcile.Event{About: endpoints, Type: corev1.EventTypeWarning, Reason: reason, Message: fmt.Sprintf(format, args...)})
		}
	}
	warn(invalid, "InvalidIPAddress", "Skipped %d invalid IP addresses when mirroring to EndpointSlices", invalid)
	warn(tooMany, "TooManyAddressesToMirror", "A max of %d addresses can be mirrored to EndpointSlices per Endpoints subset. %d addresses were skipped", perSlice, tooMany)
	return out, problems
}

// put adds an endpoint; an address that is listed as ready and not ready is ready.
func (g *group) put(endpoint discoveryv1.Endpoint) bool {
	address := endpoint.Addresses[0]
	old, known := g.endpoints[address]
	if !known && len(g.endpoints) >= perSlice {
		return false
	}
	if !known || !*old.Conditions.Ready {
		g.endpoints[address] = endpoint
	}
	return true
}

func mirror(address corev1.EndpointAddress, ready bool) (discoveryv1.Endpoint, discoveryv1.AddressType, bool) {
	ip, err := netip.ParseAddr(address.IP)
	if err != nil {
		return discoveryv1.Endpoint{}, "", false
	}
	ip = ip.Unmap()
	endpoint := discoveryv1.Endpoint{
		Addresses: []string{ip.String()}, Conditions: discoveryv1.EndpointConditions{Ready: &ready},
		TargetRef: address.TargetRef, NodeName: address.NodeName,
	}
	if address.Hostname != "" {
		endpoint.Hostname = &address.Hostname
	}
	if ip.Is4() {
		return endpoint, discoveryv1.AddressTypeIPv4, true
	}
	return endpoint, discoveryv1.AddressTypeIPv6, true
}

func slicePorts(in []corev1.EndpointPort) []discoveryv1.EndpointPort {
	out := []discoveryv1.EndpointPort{}
	for i := range in {
		port := in[i]
		out = append(out, discoveryv1.EndpointPort{Name: &port.Name, Port: &port.Port, Protocol: &port.Protocol, AppProtocol: port.AppProtocol})
	}
	return out
}

// match finds for each group the slice with its ports, or else any of its family
// that nobody needs; it takes them off left.
func match(wanted []*group, left *[]*discoveryv1.EndpointSlice) []*discoveryv1.EndpointSlice {
	out := make([]*discoveryv1.EndpointSlice, len(wanted))
	for _, samePorts := range []bool{true, false} {
		for i, g := range wanted {
			j := slices.IndexFunc(*left, func(slice *discoveryv1.EndpointSlice) bool {
				return slice.AddressType == g.family && (!samePorts || endpointutil.NewPortMapKey(slice.Ports) == endpointutil.NewPortMapKey(g.ports))
			})
			if out[i] == nil && j >= 0 {
				out[i] = (*left)[j]
				*left = slices.Delete(*left, j, j+1)
			}
		}
	}
	return out
}

// act creates the slice of a group, or brings an existing one up to it.
func (g *group) act(result *reconcile.Result, endpoints *corev1.Endpoints, was *discoveryv1.EndpointSlice) {
	slice := &discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Namespace: endpoints.Namespace, GenerateName: endpoints.Name + "-"}, AddressType: g.family}
	if was != nil {
		slice = was.DeepCopy()
	}
	slice.Labels = maps.Clone(endpoints.Labels)
	if slice.Labels == nil {
		slice.Labels = map[string]string{}
	}
	slice.Labels[discoveryv1.LabelServiceName] = endpoints.Name
	slice.Labels[discoveryv1.LabelManagedBy] = ManagedBy
	slice.Annotations = maps.Clone(endpoints.Annotations)
	delete(slice.Annotations, corev1.EndpointsLastChangeTriggerTime)
	delete(slice.Annotations, corev1.LastAppliedConfigAnnotation)
	slice.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(endpoints, endpointsKind)}
	slice.Ports = g.ports
	slice.Endpoints = nil
	for _, address := range slices.Sorted(maps.Keys(g.endpoints)) {
		slice.Endpoints = append(slice.Endpoints, g.endpoints[address])
	}
	switch {
	case was == nil && endpoints.DeletionTimestamp == nil:
		result.Add(reconcile.Create{Object: slice})
	case was != nil && !apiequality.Semantic.DeepEqual(slice, was):
		result.Add(reconcile.Update{Object: slice})
	}
}
