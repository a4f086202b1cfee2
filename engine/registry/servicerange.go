package registry

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"
)

// Names by which the range of the configuration and the addresses of services are
// known, as upstream has them.
const (
	defaultServiceRange = "kubernetes"
	addressManager      = "ipallocator.k8s.io"
)

// PublishServiceAddresses makes the ServiceCIDR of the configured range, and sees to
// it that exactly the cluster addresses of services have an IPAddress of ours. Later
// writes of services keep them so; this is for the start.
func (r *Registry) PublishServiceAddresses(ctx context.Context) error {
	if r.addresses == nil {
		return nil
	}
	return r.addresses.publish(clusterScope(ctx))
}

// addressObjects shows what the allocator gave as API objects. They follow from the
// services: who holds an address is decided by the allocator alone.
type addressObjects struct {
	ranges, addresses, services *REST
	cidrs                       ranges
}

func (a *addressObjects) publish(ctx context.Context) error {
	if err := a.publishRange(ctx); err != nil {
		return fmt.Errorf("service CIDR %s: %w", defaultServiceRange, err)
	}
	services, _, err := a.services.ListShared(ctx, "")
	if err != nil {
		return err
	}
	present, _, err := a.addresses.ListShared(ctx, "")
	if err != nil {
		return err
	}
	left := map[string]bool{}
	for _, item := range present {
		if address := item.(*networkingv1.IPAddress); address.Labels[networkingv1.LabelManagedBy] == addressManager {
			left[address.Name] = true
		}
	}
	var failures []error
	for _, item := range services {
		service := item.(*corev1.Service)
		for _, ip := range heldIPs(service) {
			if left[ip] {
				delete(left, ip)
				continue
			}
			failures = append(failures, a.add(ctx, service, ip))
		}
	}
	for ip := range left {
		failures = append(failures, a.remove(ctx, ip))
	}
	return errors.Join(failures...)
}

// publishRange makes the ServiceCIDR of the configuration and reports it ready.
func (a *addressObjects) publishRange(ctx context.Context) error {
	var cidrs []string
	for _, r := range a.cidrs {
		cidrs = append(cidrs, r.prefix.String())
	}
	obj, err := a.ranges.Get(ctx, defaultServiceRange, &metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		obj, err = a.ranges.Create(ctx, &networkingv1.ServiceCIDR{
			ObjectMeta: metav1.ObjectMeta{Name: defaultServiceRange},
			Spec:       networkingv1.ServiceCIDRSpec{CIDRs: cidrs},
		}, rest.ValidateAllObjectFunc, &metav1.CreateOptions{})
	}
	if err == nil && len(obj.(*networkingv1.ServiceCIDR).Spec.CIDRs) < len(cidrs) { // a second family since
		wide := obj.DeepCopyObject().(*networkingv1.ServiceCIDR)
		wide.Spec.CIDRs = cidrs
		obj, _, err = a.ranges.Update(ctx, wide.Name, rest.DefaultUpdatedObjectInfo(wide),
			rest.ValidateAllObjectFunc, rest.ValidateAllObjectUpdateFunc, false, &metav1.UpdateOptions{})
	}
	if err != nil {
		return err
	}
	if len(obj.(*networkingv1.ServiceCIDR).Status.Conditions) > 0 {
		return nil
	}
	ready := obj.DeepCopyObject().(*networkingv1.ServiceCIDR)
	ready.Status.Conditions = []metav1.Condition{{
		Type: networkingv1.ServiceCIDRConditionReady, Status: metav1.ConditionTrue, LastTransitionTime: metav1.Now(),
		Message: "Kubernetes default Service CIDR is ready",
	}}
	_, _, err = newStatusREST(a.ranges).Update(ctx, ready.Name, rest.DefaultUpdatedObjectInfo(ready),
		rest.ValidateAllObjectFunc, rest.ValidateAllObjectUpdateFunc, false, &metav1.UpdateOptions{})
	return err
}

// add shows that service holds ip.
func (a *addressObjects) add(ctx context.Context, service *corev1.Service, ip string) error {
	var obj runtime.Object = &networkingv1.IPAddress{
		ObjectMeta: metav1.ObjectMeta{Name: ip, Labels: map[string]string{
			networkingv1.LabelIPAddressFamily: string(familyOf(ip)), networkingv1.LabelManagedBy: addressManager,
		}},
		Spec: networkingv1.IPAddressSpec{ParentRef: &networkingv1.ParentReference{
			Resource: "services", Namespace: service.Namespace, Name: service.Name,
		}},
	}
	_, err := a.addresses.Create(clusterScope(ctx), obj, rest.ValidateAllObjectFunc, &metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	return err
}

// remove shows that ip is free.
func (a *addressObjects) remove(ctx context.Context, ip string) error {
	_, _, err := a.addresses.Delete(clusterScope(ctx), ip, rest.ValidateAllObjectFunc, &metav1.DeleteOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

// clusterScope is ctx for objects outside of namespaces. It outlives the request:
// what it is for has been decided.
func clusterScope(ctx context.Context) context.Context {
	return request.WithNamespace(context.WithoutCancel(ctx), metav1.NamespaceNone)
}
