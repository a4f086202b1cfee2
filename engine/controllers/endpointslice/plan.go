// Package endpointslice lists, for each Service with a selector, the addresses of
// its pods in EndpointSlices of at most 100. Plan decides; it changes as few
// slices as it can, since every node reads each change.
package endpointslice

import (
	"cmp"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	endpointutil "k8s.io/endpointslice/util"

	"github.com/pintle-io/pintle/engine/reconcile"
)

// ManagedBy marks the slices of this controller.
const ManagedBy = "endpointslice-controller.k8s.io"

// perSlice bounds the endpoints of one slice.
const perSlice = 100

var (
	resource    = discoveryv1.SchemeGroupVersion.WithResource("endpointslices")
	serviceKind = schema.GroupVersionKind{Version: "v1", Kind: "Service"}
)

// Observed is the snapshot of one Service.
type Observed struct {
	Service *corev1.Service
	Pods    []*corev1.Pod
	// Slices are this controller's slices for the Service.
	Slices []*discoveryv1.EndpointSlice
	// Zone is the zone of each node that has one.
	Zone map[string]string
	// Nodes are needed for topology aware Services only.
	Nodes []*corev1.Node
	Now   time.Time
}

// group are the endpoints that share ports and address family; each has slices
// of its own.
type group struct {
	ports     []discoveryv1.EndpointPort
	family    discoveryv1.AddressType
	endpoints map[string]discoveryv1.Endpoint // by first address
}

// Plan decides which slices to create, update and delete.
func Plan(o Observed) reconcile.Result {
	var result reconcile.Result
	if len(o.Service.Spec.Selector) == 0 || o.Service.Spec.Type == corev1.ServiceTypeExternalName || o.Service.DeletionTimestamp != nil {
		return result
	}
	bySlice, orphans := assign(o, groups(o))
	orphans = reuse(bySlice, orphans, o.Service)
	for _, slice := range orphans {
		result.Add(reconcile.DeleteOf(resource, slice))
	}
	for _, family := range families(o.Service) {
		var c changes
		for _, packed := range bySlice {
			if packed.group.family == family {
				packed.sort(&c, o)
			}
		}
		c.hint(&result, o, family)
		for _, slice := range c.create {
			result.Add(reconcile.Create{Object: slice})
		}
		for _, slice := range c.update {
			result.Add(reconcile.Update{Object: slice})
		}
	}
	return result
}

// groups builds the wanted endpoints. An empty Service keeps one empty group per
// family, so that consumers see it is known.
func groups(o Observed) []*group {
	var out []*group
	for _, family := range families(o.Service) {
		byPorts := map[endpointutil.PortMapKey]*group{}
		for _, pod := range o.Pods {
			if !endpointutil.ShouldPodBeInEndpoints(pod, true) {
				continue
			}
			endpoint := Endpoint(o.Service, pod, family, o.Zone[pod.Spec.NodeName])
			if len(endpoint.Addresses) == 0 {
				continue
			}
			ports := Ports(o.Service, pod)
			key := endpointutil.NewPortMapKey(ports)
			if byPorts[key] == nil {
				byPorts[key] = &group{ports: ports, family: family, endpoints: map[string]discoveryv1.Endpoint{}}
			}
			byPorts[key].endpoints[endpoint.Addresses[0]] = endpoint
		}
		if len(byPorts) == 0 {
			byPorts[""] = &group{family: family, endpoints: map[string]discoveryv1.Endpoint{}}
		}
		for _, key := range slices.Sorted(maps.Keys(byPorts)) {
			out = append(out, byPorts[key])
		}
	}
	return out
}

// packed is one slice, existing (was) or new, with its wanted endpoints.
type packed struct {
	was       *discoveryv1.EndpointSlice
	group     *group
	endpoints []discoveryv1.Endpoint
	changed   bool
}

// assign puts the endpoints of each group into its existing slices: those already
// there stay where they are, new ones fill slices that change anyway, then
// others, then new slices. Slices of no group and emptied ones are left over.
func assign(o Observed, wanted []*group) (out []*packed, orphans []*discoveryv1.EndpointSlice) {
	used := map[*discoveryv1.EndpointSlice]bool{}
	for _, g := range wanted {
		var mine []*packed
		missing := maps.Clone(g.endpoints)
		for _, slice := range sorted(o.Slices) {
			if slice.DeletionTimestamp == nil && slice.AddressType == g.family && metav1.IsControlledBy(slice, o.Service) && samePorts(slice.Ports, g.ports) {
				used[slice] = true
				mine = append(mine, keep(slice, g, missing))
			}
		}
		mine = fill(mine, g, missing)
		kept := slices.DeleteFunc(mine, func(p *packed) bool {
			if p.was != nil && len(p.endpoints) == 0 && len(g.endpoints) > 0 {
				orphans = append(orphans, p.was)
				return true
			}
			return false
		})
		if len(g.endpoints) == 0 && len(kept) > 1 {
			for _, p := range kept[1:] {
				orphans = append(orphans, p.was)
			}
			kept = kept[:1]
		}
		out = append(out, kept...)
	}
	for _, slice := range sorted(o.Slices) {
		if !used[slice] && slice.DeletionTimestamp == nil {
			orphans = append(orphans, slice)
		}
	}
	return out, orphans
}

// reuse turns a slice that would be deleted and one that would be created into
// one update, and returns the slices still to delete.
func reuse(wanted []*packed, orphans []*discoveryv1.EndpointSlice, svc *corev1.Service) []*discoveryv1.EndpointSlice {
	for _, p := range wanted {
		if p.was != nil {
			continue
		}
		i := slices.IndexFunc(orphans, func(slice *discoveryv1.EndpointSlice) bool {
			return slice.AddressType == p.group.family && metav1.IsControlledBy(slice, svc)
		})
		if i >= 0 {
			p.was, p.changed = orphans[i], true
			orphans = slices.Delete(orphans, i, i+1)
		}
	}
	return orphans
}

func sorted(in []*discoveryv1.EndpointSlice) []*discoveryv1.EndpointSlice {
	out := slices.Clone(in)
	slices.SortFunc(out, func(a, b *discoveryv1.EndpointSlice) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

// keep keeps the endpoints of a slice that are still wanted, and takes them off
// missing.
func keep(slice *discoveryv1.EndpointSlice, g *group, missing map[string]discoveryv1.Endpoint) *packed {
	p := &packed{was: slice, group: g}
	for i := range slice.Endpoints {
		old := &slice.Endpoints[i]
		endpoint, ok := missing[old.Addresses[0]]
		if !ok || len(p.endpoints) >= perSlice {
			p.changed = true
			continue
		}
		delete(missing, old.Addresses[0])
		if !endpointutil.EndpointsEqualBeyondHash(old, &endpoint) || !apiequality.Semantic.DeepEqual(old.Addresses, endpoint.Addresses) {
			p.changed = true
		}
		endpoint.Hints = old.Hints
		p.endpoints = append(p.endpoints, endpoint)
	}
	return p
}

func fill(mine []*packed, g *group, missing map[string]discoveryv1.Endpoint) []*packed {
	rest := slices.Sorted(maps.Keys(missing))
	take := func(p *packed) {
		for len(rest) > 0 && len(p.endpoints) < perSlice {
			p.endpoints = append(p.endpoints, missing[rest[0]])
			p.changed = true
			rest = rest[1:]
		}
	}
	for _, changed := range []bool{true, false} {
		for _, p := range mine {
			if p.changed == changed {
				take(p)
			}
		}
	}
	for len(rest) > 0 || len(mine) == 0 {
		p := &packed{group: g}
		take(p)
		mine = append(mine, p)
	}
	return mine
}

// sort builds one slice and puts it where it belongs.
func (p *packed) sort(c *changes, o Observed) {
	labels := Labels(o.Service)
	if p.was == nil {
		slice := &discoveryv1.EndpointSlice{
			ObjectMeta: metav1.ObjectMeta{
				Namespace:       o.Service.Namespace,
				GenerateName:    o.Service.Name + "-",
				Labels:          labels,
				OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(o.Service, serviceKind)},
			},
			AddressType: p.group.family, Ports: p.group.ports, Endpoints: p.endpoints,
		}
		p.trigger(slice, o)
		c.create = append(c.create, slice)
		return
	}
	if !p.changed && apiequality.Semantic.DeepEqual(p.was.Labels, labels) {
		c.unchanged = append(c.unchanged, p.was)
		return
	}
	slice := p.was.DeepCopy()
	slice.Labels = labels
	slice.Ports = p.group.ports
	slice.Endpoints = p.endpoints
	p.trigger(slice, o)
	c.update = append(c.update, slice)
}

// trigger notes when the change that led to this slice happened.
func (p *packed) trigger(slice *discoveryv1.EndpointSlice, o Observed) {
	if slice.Annotations == nil {
		slice.Annotations = map[string]string{}
	}
	slice.Annotations[corev1.EndpointsLastChangeTriggerTime] = o.Now.UTC().Format(time.RFC3339)
}

func samePorts(a, b []discoveryv1.EndpointPort) bool {
	return endpointutil.NewPortMapKey(a) == endpointutil.NewPortMapKey(b)
}
