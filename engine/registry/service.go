package registry

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/util/dryrun"
)

// defaultServiceCIDR is used if the configuration names none.
const defaultServiceCIDR = "10.96.0.0/16"

// allocator gives services their cluster addresses and node ports. What is taken is
// known from the services in the store, read once at start: the registry is the
// only writer.
type allocator struct {
	ranges ranges
	ports  *ports
	// objects shows the addresses in the API; nil if their kinds are not served.
	objects *addressObjects
}

func (r *Registry) addServices(services *REST, cfg Config) error {
	cidrs := cfg.ServiceCIDRs
	if len(cidrs) == 0 {
		cidrs = []string{defaultServiceCIDR}
	}
	registerMetrics()
	a := &allocator{}
	var err error
	if a.ranges, err = newRanges(cidrs); err != nil {
		return err
	}
	if a.ports, err = newPorts(cfg.NodePorts); err != nil {
		return err
	}
	networking := networkingv1.SchemeGroupVersion
	ranges, addresses := r.stores[networking.WithResource("servicecidrs")], r.stores[networking.WithResource("ipaddresses")]
	if ranges != nil && addresses != nil {
		a.objects = &addressObjects{ranges: ranges, addresses: addresses, services: services, cidrs: a.ranges}
		r.addresses = a.objects
	}
	items, _, err := services.ListShared(context.Background(), "")
	if err != nil {
		return fmt.Errorf("read services: %w", err)
	}
	for _, item := range items {
		a.learn(item.(*corev1.Service))
	}
	services.BeginCreate, services.BeginUpdate, services.AfterDelete = a.beginCreate, a.beginUpdate, a.afterDelete
	r.serve(corev1.SchemeGroupVersion, "services/proxy", &serviceProxyREST{
		services: services, slices: r.stores[discoveryv1.SchemeGroupVersion.WithResource("endpointslices")],
	})
	return nil
}

// learn marks what a stored service holds. Duplicates among stored services are
// left as they are: none of them may be taken away from a running service.
func (a *allocator) learn(service *corev1.Service) {
	for _, ip := range heldIPs(service) {
		if r := a.ranges.holding(ip); r != nil {
			_ = r.take(ip)
		}
	}
	for _, port := range nodePortsOf(service) {
		_ = a.ports.take(port)
	}
}

// grant is what one write of a service has taken and what it gives back when it
// succeeds.
type grant struct {
	alloc            *allocator
	service          *corev1.Service
	ips, returnedIPs []string
	ports, oldPorts  []int
	dryRun           bool
}

// finish keeps or undoes a grant.
func (g *grant) finish(ctx context.Context, success bool) {
	ips, ports := g.ips, g.ports
	if success && !g.dryRun {
		ips, ports = g.returnedIPs, g.oldPorts
		g.show(ctx)
	}
	for _, ip := range ips {
		if r := g.alloc.ranges.holding(ip); r != nil {
			r.release(ip)
		}
	}
	for _, port := range ports {
		g.alloc.ports.release(port)
	}
}

// show brings the address objects in step, while the addresses are still held. What
// fails is repaired by PublishServiceAddresses.
func (g *grant) show(ctx context.Context) {
	if g.alloc.objects == nil {
		return
	}
	for _, ip := range g.returnedIPs {
		_ = g.alloc.objects.remove(ctx, ip)
	}
	for _, ip := range g.ips {
		_ = g.alloc.objects.add(ctx, g.service, ip)
	}
}

func (a *allocator) beginCreate(_ context.Context, obj runtime.Object, options *metav1.CreateOptions) (genericregistry.FinishFunc, error) {
	service := obj.(*corev1.Service)
	if service.Spec.ClusterIP != "" && len(service.Spec.ClusterIPs) == 0 {
		service.Spec.ClusterIPs = []string{service.Spec.ClusterIP}
	}
	g := &grant{alloc: a, service: service, dryRun: dryrun.IsDryRun(options.DryRun)}
	if err := g.allocate(service, nil); err != nil {
		g.finish(context.Background(), false)
		return nil, err
	}
	return g.finish, nil
}

func (a *allocator) beginUpdate(_ context.Context, obj, old runtime.Object, options *metav1.UpdateOptions) (genericregistry.FinishFunc, error) {
	service, before := obj.(*corev1.Service), old.(*corev1.Service)
	patchAllocated(service, before)
	normalizeIPs(service, before)
	g := &grant{alloc: a, service: service, dryRun: dryrun.IsDryRun(options.DryRun)}
	if err := g.allocate(service, before); err != nil {
		g.finish(context.Background(), false)
		return nil, err
	}
	return g.finish, nil
}

func (a *allocator) afterDelete(obj runtime.Object, options *metav1.DeleteOptions) {
	if dryrun.IsDryRun(options.DryRun) {
		return
	}
	service := obj.(*corev1.Service)
	(&grant{alloc: a, service: service, returnedIPs: heldIPs(service), oldPorts: nodePortsOf(service)}).finish(context.Background(), true)
}

// normalizeIPs makes clusterIPs follow a clusterIP that a client, knowing only that
// one, changed, cleared or sent back.
func normalizeIPs(service, before *corev1.Service) {
	spec, old := &service.Spec, &before.Spec
	switch same := slices.Equal(spec.ClusterIPs, old.ClusterIPs); {
	case spec.ClusterIP == old.ClusterIP:
		if len(spec.ClusterIPs) == 0 {
			spec.ClusterIPs = slices.Clone(old.ClusterIPs)
		}
	case same && spec.ClusterIP == "":
		spec.ClusterIPs = nil
	case same || len(old.ClusterIPs) == 0 && len(spec.ClusterIPs) == 0:
		spec.ClusterIPs = []string{spec.ClusterIP}
	}
}

// patchAllocated keeps what was allocated if an update leaves it out, so that a
// client may replace a service by the manifest it first sent.
func patchAllocated(service, before *corev1.Service) {
	if needsClusterIP(before) && needsClusterIP(service) {
		if service.Spec.ClusterIP == "" {
			service.Spec.ClusterIP = before.Spec.ClusterIP
		}
		if len(service.Spec.ClusterIPs) == 0 {
			service.Spec.ClusterIPs = slices.Clone(before.Spec.ClusterIPs)
		}
	}
	if needsNodePort(before) && needsNodePort(service) {
		keepNodePorts(service, before)
	}
	if needsHealthCheckPort(before) && needsHealthCheckPort(service) && service.Spec.HealthCheckNodePort == 0 {
		service.Spec.HealthCheckNodePort = before.Spec.HealthCheckNodePort
	}
}

// keepNodePorts gives ports without a number the one the port of that name had
// before, unless another port asks for it.
func keepNodePorts(service, before *corev1.Service) {
	had, asked := map[string]int32{}, map[int32]bool{}
	for _, p := range before.Spec.Ports {
		had[p.Name] = p.NodePort
	}
	for _, p := range service.Spec.Ports {
		asked[p.NodePort] = true
	}
	for i := range service.Spec.Ports {
		if p := &service.Spec.Ports[i]; p.NodePort == 0 && !asked[had[p.Name]] {
			p.NodePort = had[p.Name]
		}
	}
}

// allocate fills the service's addresses and ports; before is nil on create.
func (g *grant) allocate(service, before *corev1.Service) error {
	if err := g.initFamilies(service, before); err != nil {
		return err
	}
	if err := g.allocateIPs(service, before); err != nil {
		return err
	}
	return g.allocatePorts(service, before)
}

// takeIP takes the i-th address of the service: the one it asks for, or any.
func (g *grant) takeIP(service *corev1.Service, i int) error {
	spec, have := &service.Spec, g.alloc.ranges.of(service.Spec.IPFamilies[i])
	if i >= len(spec.ClusterIPs) {
		ip, err := have.next()
		if err != nil {
			return apierrors.NewInternalError(err)
		}
		spec.ClusterIPs = append(spec.ClusterIPs[:i:i], ip)
	} else {
		if familyOf(spec.ClusterIPs[i]) != spec.IPFamilies[i] {
			return nil // validation says so
		}
		if err := have.take(spec.ClusterIPs[i]); err != nil {
			return invalidService(service, field.ErrorList{field.Invalid(addressPath, spec.ClusterIPs, fmt.Sprintf("failed to allocate IP %s: %v", spec.ClusterIPs[i], err))})
		}
	}
	g.ips = append(g.ips, spec.ClusterIPs[i])
	spec.ClusterIP = spec.ClusterIPs[0]
	return nil
}

func heldIPs(service *corev1.Service) []string {
	var out []string
	for _, ip := range service.Spec.ClusterIPs {
		if ip != corev1.ClusterIPNone && ip != "" {
			out = append(out, ip)
		}
	}
	return out
}

func needsClusterIP(service *corev1.Service) bool {
	return service.Spec.Type != corev1.ServiceTypeExternalName
}

func invalidService(service *corev1.Service, errs field.ErrorList) error {
	return apierrors.NewInvalid(corev1.SchemeGroupVersion.WithKind("Service").GroupKind(), service.Name, errs)
}
