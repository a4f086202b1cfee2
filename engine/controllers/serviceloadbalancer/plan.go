// Package serviceloadbalancer gives Services of type LoadBalancer addresses from a
// pool. The node proxies answer on them; bringing the packets to a node (a route,
// ARP) is for whoever chose the pool.
//
// All services are planned together under one key, so that no two get one address:
// the loop plans again only when the cache shows what the last plan wrote.
package serviceloadbalancer

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/utils/ptr"

	"github.com/pintle-io/pintle/engine/reconcile"
)

const (
	// Class is the loadBalancerClass served, beside none at all.
	Class = "pintle.io/pool"
	// Finalizer keeps a service until its address was given back.
	Finalizer = "service.kubernetes.io/load-balancer-cleanup"
)

// Observed is the snapshot of all services that have, want or had an address.
type Observed struct {
	Services []*corev1.Service
	Pool     Pool
}

// Plan serves services in the order they were made: each keeps its addresses if
// they are of the pool and nobody older has them.
func Plan(o Observed) reconcile.Result {
	var result reconcile.Result
	services := slices.Clone(o.Services)
	slices.SortFunc(services, older)
	taken := map[netip.Addr]bool{}
	// What is held is counted first, so that a newcomer does not take it.
	for _, service := range services {
		if wants(service) {
			for _, addr := range held(service) {
				taken[addr] = true
			}
		}
	}
	owned := map[netip.Addr]bool{}
	for _, service := range services {
		if wants(service) {
			o.serve(&result, service, taken, owned)
		} else if slices.Contains(service.Finalizers, Finalizer) {
			release(&result, service)
		}
	}
	return result
}

func older(a, b *corev1.Service) int {
	if c := a.CreationTimestamp.Compare(b.CreationTimestamp.Time); c != 0 {
		return c
	}
	return strings.Compare(a.Namespace+"/"+a.Name, b.Namespace+"/"+b.Name)
}

// Concerns reports that a service is ours to look at.
func Concerns(service *corev1.Service) bool {
	return wants(service) || slices.Contains(service.Finalizers, Finalizer)
}

func wants(service *corev1.Service) bool {
	return service.Spec.Type == corev1.ServiceTypeLoadBalancer && service.DeletionTimestamp == nil &&
		(service.Spec.LoadBalancerClass == nil || *service.Spec.LoadBalancerClass == Class)
}

// held are the addresses in a service's status.
func held(service *corev1.Service) []netip.Addr {
	var out []netip.Addr
	for _, in := range service.Status.LoadBalancer.Ingress {
		if addr, err := netip.ParseAddr(in.IP); err == nil {
			out = append(out, addr)
		}
	}
	return out
}

// serve puts the finalizer, then the addresses.
func (o *Observed) serve(result *reconcile.Result, service *corev1.Service, taken, owned map[netip.Addr]bool) {
	updated := service.DeepCopy()
	if !slices.Contains(updated.Finalizers, Finalizer) {
		updated.Finalizers = append(updated.Finalizers, Finalizer)
		result.Add(event(service, corev1.EventTypeNormal, "EnsuringLoadBalancer", "Ensuring load balancer"), reconcile.Update{Object: updated})
	}
	var ingress []corev1.LoadBalancerIngress
	have := held(service)
	for _, family := range families(service) {
		addr, why := o.address(service, family, have, taken, owned)
		if why != "" {
			result.Add(event(service, corev1.EventTypeWarning, "SyncLoadBalancerFailed", "Error syncing load balancer: "+why))
			continue
		}
		if addr.IsValid() {
			taken[addr], owned[addr] = true, true
			ingress = append(ingress, corev1.LoadBalancerIngress{IP: addr.String(), IPMode: ptr.To(corev1.LoadBalancerIPModeVIP)})
		}
	}
	status := updated.DeepCopy()
	status.Status.LoadBalancer.Ingress = ingress
	if apiequality.Semantic.DeepEqual(status.Status, service.Status) {
		return
	}
	result.Add(reconcile.UpdateStatus{Object: status})
	if len(ingress) > 0 {
		result.Add(event(service, corev1.EventTypeNormal, "EnsuredLoadBalancer", "Ensured load balancer"))
	}
}

func families(service *corev1.Service) []corev1.IPFamily {
	if len(service.Spec.IPFamilies) == 0 {
		return []corev1.IPFamily{corev1.IPv4Protocol}
	}
	return service.Spec.IPFamilies
}

// address chooses: the one asked for, the one held, or the first that is free.
// Neither an address nor a reason is said of a second family that the pool lacks.
func (o *Observed) address(service *corev1.Service, family corev1.IPFamily, have []netip.Addr, taken, owned map[netip.Addr]bool) (addr netip.Addr, why string) {
	six := family == corev1.IPv6Protocol
	if asked, err := netip.ParseAddr(service.Spec.LoadBalancerIP); err == nil && asked.Is6() == six {
		switch {
		case !o.Pool.Contains(asked):
			return addr, fmt.Sprintf("the address asked for, %s, is not in the pool %s", asked, o.Pool)
		case owned[asked] || taken[asked] && !slices.Contains(have, asked):
			return addr, fmt.Sprintf("the address asked for, %s, is taken", asked)
		}
		return asked, ""
	}
	for _, mine := range have {
		if mine.Is6() == six && o.Pool.Contains(mine) && !owned[mine] {
			return mine, ""
		}
	}
	if free, ok := o.Pool.Free(six, taken); ok {
		return free, ""
	}
	if !o.Pool.Has(six) && len(families(service)) > 1 {
		return addr, ""
	}
	return addr, fmt.Sprintf("no free %s address in the pool %s", family, o.Pool)
}

// release gives the address back when the service goes or is of another type now.
func release(result *reconcile.Result, service *corev1.Service) {
	updated := service.DeepCopy()
	result.Add(event(service, corev1.EventTypeNormal, "DeletingLoadBalancer", "Deleting load balancer"))
	if len(service.Status.LoadBalancer.Ingress) > 0 && service.DeletionTimestamp == nil {
		updated.Status.LoadBalancer = corev1.LoadBalancerStatus{}
		result.Add(reconcile.UpdateStatus{Object: updated})
		updated = updated.DeepCopy()
	}
	updated.Finalizers = slices.DeleteFunc(updated.Finalizers, func(f string) bool { return f == Finalizer })
	result.Add(reconcile.Update{Object: updated}, event(service, corev1.EventTypeNormal, "DeletedLoadBalancer", "Deleted load balancer"))
}

func event(service *corev1.Service, kind, reason, message string) reconcile.Event {
	return reconcile.Event{About: service, Type: kind, Reason: reason, Message: message}
}
