package registry

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// allocatePorts fills node ports and the health check port. Ports that differ in
// protocol alone share one node port. What the service gives up is returned when
// the write has succeeded.
func (g *grant) allocatePorts(service, before *corev1.Service) error {
	var had []int
	if before != nil {
		had = nodePortsOf(before)
	}
	if needsNodePort(service) {
		if err := g.numberPorts(service, had); err != nil {
			return err
		}
	} else if before != nil && needsNodePort(before) {
		dropNodePorts(service, before)
	}
	if err := g.healthCheckPort(service, before, had); err != nil {
		return err
	}
	keep := nodePortsOf(service)
	for _, port := range had {
		if !slices.Contains(keep, port) {
			g.oldPorts = append(g.oldPorts, port)
		}
	}
	return nil
}

// numberPorts takes the ports that are asked for, then picks the others.
func (g *grant) numberPorts(service *corev1.Service, had []int) error {
	byPort := map[int32]map[corev1.Protocol]int32{} // port -> protocol -> node port
	mine := slices.Clone(had)
	for i := range service.Spec.Ports {
		p := &service.Spec.Ports[i]
		if p.NodePort == 0 {
			continue
		}
		if !slices.Contains(mine, int(p.NodePort)) {
			if err := g.takePort(int(p.NodePort)); err != nil {
				path := field.NewPath("spec", "ports").Index(i).Child("nodePort")
				return invalidService(service, field.ErrorList{field.Invalid(path, p.NodePort, err.Error())})
			}
			mine = append(mine, int(p.NodePort))
		}
		remember(byPort, p)
	}
	for i := range service.Spec.Ports {
		p := &service.Spec.Ports[i]
		if p.NodePort != 0 {
			continue
		}
		if shared, ok := otherProtocol(byPort[p.Port], p.Protocol); ok {
			p.NodePort = shared
		} else {
			port, err := g.alloc.ports.next()
			if err != nil {
				return apierrors.NewInternalError(err)
			}
			g.ports = append(g.ports, port)
			p.NodePort = int32(port)
		}
		remember(byPort, p)
	}
	return nil
}

func remember(byPort map[int32]map[corev1.Protocol]int32, p *corev1.ServicePort) {
	if byPort[p.Port] == nil {
		byPort[p.Port] = map[corev1.Protocol]int32{}
	}
	byPort[p.Port][p.Protocol] = p.NodePort
}

// otherProtocol finds a node port of the same port under another protocol, while
// this protocol has none.
func otherProtocol(protocols map[corev1.Protocol]int32, protocol corev1.Protocol) (int32, bool) {
	if _, taken := protocols[protocol]; taken {
		return 0, false
	}
	for _, port := range protocols {
		return port, true
	}
	return 0, false
}

func (g *grant) takePort(port int) error {
	if err := g.alloc.ports.take(port); err != nil {
		return err
	}
	g.ports = append(g.ports, port)
	return nil
}

func (g *grant) healthCheckPort(service, before *corev1.Service, had []int) error {
	if !needsHealthCheckPort(service) {
		if before != nil && needsHealthCheckPort(before) && service.Spec.HealthCheckNodePort == before.Spec.HealthCheckNodePort {
			service.Spec.HealthCheckNodePort = 0
		}
		return nil
	}
	wanted := int(service.Spec.HealthCheckNodePort)
	if wanted != 0 {
		if slices.Contains(had, wanted) {
			return nil
		}
		if err := g.takePort(wanted); err != nil {
			return invalidService(service, field.ErrorList{field.Invalid(field.NewPath("spec", "healthCheckNodePort"), wanted, err.Error())})
		}
		return nil
	}
	port, err := g.alloc.ports.next()
	if err != nil {
		return apierrors.NewInternalError(err)
	}
	g.ports = append(g.ports, port)
	service.Spec.HealthCheckNodePort = int32(port)
	return nil
}

// dropNodePorts clears ports the client carried over from a type that had them.
func dropNodePorts(service, before *corev1.Service) {
	held := nodePortsOf(before)
	for i := range service.Spec.Ports {
		if slices.Contains(held, int(service.Spec.Ports[i].NodePort)) {
			service.Spec.Ports[i].NodePort = 0
		}
	}
}

// nodePortsOf lists the distinct node ports a service holds.
func nodePortsOf(service *corev1.Service) []int {
	var out []int
	add := func(port int32) {
		if port != 0 && !slices.Contains(out, int(port)) {
			out = append(out, int(port))
		}
	}
	for _, p := range service.Spec.Ports {
		add(p.NodePort)
	}
	add(service.Spec.HealthCheckNodePort)
	return out
}

func needsNodePort(service *corev1.Service) bool {
	switch service.Spec.Type {
	case corev1.ServiceTypeNodePort:
		return true
	case corev1.ServiceTypeLoadBalancer:
		return service.Spec.AllocateLoadBalancerNodePorts == nil || *service.Spec.AllocateLoadBalancerNodePorts
	}
	return false
}

func needsHealthCheckPort(service *corev1.Service) bool {
	return service.Spec.Type == corev1.ServiceTypeLoadBalancer &&
		service.Spec.ExternalTrafficPolicy == corev1.ServiceExternalTrafficPolicyLocal
}
