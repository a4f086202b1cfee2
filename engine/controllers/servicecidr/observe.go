package servicecidr

import (
	"context"
	"net/netip"
	"time"

	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/pintle-io/pintle/engine/reconcile"
)

// New builds the controller; its keys are ranges.
func New(env reconcile.Env) (*reconcile.Controller, error) {
	networking := env.Informers().Networking().V1()
	ranges, addresses := networking.ServiceCIDRs(), networking.IPAddresses()
	going := func(of func(*networkingv1.ServiceCIDR) bool) []reconcile.Key {
		all, err := ranges.Lister().List(labels.Everything())
		if err != nil {
			return nil
		}
		var keys []reconcile.Key
		for _, cidr := range all {
			if cidr.DeletionTimestamp != nil && of(cidr) {
				keys = append(keys, reconcile.KeyOf(cidr))
			}
		}
		return keys
	}
	return env.Controller(reconcile.Config{
		Name:   "service-cidr-controller",
		Writer: env.WriterFor("service-cidrs-controller"),
		Watches: []reconcile.Watch{
			reconcile.On(ranges.Informer(), func(cidr *networkingv1.ServiceCIDR) []reconcile.Key {
				return append(going(func(*networkingv1.ServiceCIDR) bool { return true }), reconcile.KeyOf(cidr))
			}),
			reconcile.On(addresses.Informer(), func(address *networkingv1.IPAddress) []reconcile.Key {
				addr, err := netip.ParseAddr(address.Name)
				if err != nil {
					return nil
				}
				return going(func(cidr *networkingv1.ServiceCIDR) bool { return contains(cidr, addr) })
			}),
		},
		Reconcile: func(_ context.Context, key reconcile.Key, now time.Time) (reconcile.Result, error) {
			cidr, err := ranges.Lister().Get(key.Name)
			if apierrors.IsNotFound(err) {
				return reconcile.Result{}, nil
			}
			if err != nil {
				return reconcile.Result{}, err
			}
			observed := Observed{CIDR: cidr, Now: now}
			if observed.All, err = ranges.Lister().List(labels.Everything()); err != nil {
				return reconcile.Result{}, err
			}
			if cidr.DeletionTimestamp != nil {
				if observed.Addresses, err = addresses.Lister().List(labels.Everything()); err != nil {
					return reconcile.Result{}, err
				}
			}
			return Plan(observed), nil
		},
	})
}
