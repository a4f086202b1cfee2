// Package servicecidr keeps a ServiceCIDR as long as addresses need it, and says in
// its Ready condition whether addresses are given from it.
package servicecidr

import (
	"net/netip"
	"slices"
	"time"

	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pintle-io/pintle/engine/reconcile"
)

const (
	// Finalizer keeps a range while it is in use.
	Finalizer = "networking.k8s.io/service-cidr-finalizer"
	// manager labels the addresses that services hold.
	manager = "ipallocator.k8s.io"
	// grace is for allocators to notice that a range is going.
	grace = 10 * time.Second
)

// Observed is the snapshot of one range.
type Observed struct {
	CIDR *networkingv1.ServiceCIDR
	// All ranges, this one among them.
	All       []*networkingv1.ServiceCIDR
	Addresses []*networkingv1.IPAddress
	Now       time.Time
}

// Plan puts the finalizer and the condition; a range that goes keeps both until
// every address in it is in another range, too.
func Plan(o Observed) reconcile.Result {
	var result reconcile.Result
	held := slices.Index(o.CIDR.Finalizers, Finalizer)
	if o.CIDR.DeletionTimestamp == nil {
		updated := o.CIDR.DeepCopy()
		if held < 0 {
			updated.Finalizers = append(updated.Finalizers, Finalizer)
			result.Add(reconcile.Update{Object: updated})
		}
		o.condition(&result, updated, metav1.Condition{Status: metav1.ConditionTrue, Message: "Kubernetes Service CIDR is ready"})
		return result
	}
	if !o.removable() {
		o.condition(&result, o.CIDR, metav1.Condition{
			Status: metav1.ConditionFalse, Reason: networkingv1.ServiceCIDRReasonTerminating,
			Message: "There are still IPAddresses referencing the ServiceCIDR, please remove them or create a new ServiceCIDR",
		})
		return result
	}
	if wait := grace - o.Now.Sub(o.CIDR.DeletionTimestamp.Time); wait > 0 {
		result.RequeueIn(wait)
		return result
	}
	if held >= 0 {
		updated := o.CIDR.DeepCopy()
		updated.Finalizers = slices.Delete(updated.Finalizers, held, held+1)
		result.Add(reconcile.Update{Object: updated})
	}
	return result
}

func (o *Observed) condition(result *reconcile.Result, cidr *networkingv1.ServiceCIDR, c metav1.Condition) {
	c.Type, c.LastTransitionTime = networkingv1.ServiceCIDRConditionReady, metav1.NewTime(o.Now)
	if is := meta.FindStatusCondition(cidr.Status.Conditions, c.Type); is != nil && is.Status == c.Status && is.Reason == c.Reason && is.Message == c.Message {
		return
	}
	updated := cidr.DeepCopy()
	meta.SetStatusCondition(&updated.Status.Conditions, c)
	result.Add(reconcile.UpdateStatus{Object: updated})
}

// removable: all of the range is in others, or at least all addresses in it are.
func (o *Observed) removable() bool {
	covered := true
	for _, text := range o.CIDR.Spec.CIDRs {
		prefix, err := netip.ParsePrefix(text)
		if err == nil && !o.elsewhere(func(other netip.Prefix) bool { return other.Bits() <= prefix.Bits() && other.Contains(prefix.Addr()) }) {
			covered = false
		}
	}
	if covered {
		return true
	}
	for _, address := range o.Addresses {
		addr, err := netip.ParseAddr(address.Name)
		if err != nil || address.Labels[networkingv1.LabelManagedBy] != manager || !contains(o.CIDR, addr) {
			continue
		}
		if !o.elsewhere(func(other netip.Prefix) bool { return other.Contains(addr) }) {
			return false
		}
	}
	return true
}

// elsewhere asks the prefixes of all other ranges.
func (o *Observed) elsewhere(is func(netip.Prefix) bool) bool {
	for _, other := range o.All {
		if other.Name == o.CIDR.Name {
			continue
		}
		for _, text := range other.Spec.CIDRs {
			if prefix, err := netip.ParsePrefix(text); err == nil && is(prefix) {
				return true
			}
		}
	}
	return false
}

func contains(cidr *networkingv1.ServiceCIDR, addr netip.Addr) bool {
	return slices.ContainsFunc(cidr.Spec.CIDRs, func(text string) bool {
		prefix, err := netip.ParsePrefix(text)
		return err == nil && prefix.Contains(addr)
	})
}
