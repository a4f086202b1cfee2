package policy

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// combine makes a rule of every peer with every match on ports.
func (p *planner) combine(peers []string, ports []networkingv1.NetworkPolicyPort, targets []pod, id, verdict string) (rules []string) {
	matches := p.ports(ports, targets, id)
	for _, peer := range peers {
		for _, port := range matches {
			rules = append(rules, strings.Join(slices.DeleteFunc([]string{peer, port, verdict}, func(s string) bool { return s == "" }), " "))
		}
	}
	return rules
}

// ports are matches on protocol and port, any of which allows; one empty match for
// no restriction.
func (p *planner) ports(ports []networkingv1.NetworkPolicyPort, targets []pod, id string) (out []string) {
	if len(ports) == 0 {
		return []string{""}
	}
	named := map[string]bool{}
	for _, x := range ports {
		proto := protocol(x.Protocol)
		switch {
		case x.Port == nil:
			out = append(out, "meta l4proto "+proto)
		case x.Port.Type == intstr.String:
			for _, t := range targets {
				for _, n := range portsNamed(t.Pod, x.Port.StrVal, proto) {
					named[fmt.Sprintf("%s . %s . %d", t.ip, proto, n)] = true
				}
			}
		case x.EndPort != nil:
			out = append(out, fmt.Sprintf("meta l4proto %s th dport %d-%d", proto, x.Port.IntVal, *x.EndPort))
		default:
			out = append(out, fmt.Sprintf("meta l4proto %s th dport %d", proto, x.Port.IntVal))
		}
	}
	if len(named) > 0 {
		p.set(id+"-p", p.addressType()+" . inet_proto . inet_service", named)
		out = append(out, fmt.Sprintf("%s daddr . meta l4proto . th dport @%s-p", p.ip, id))
	}
	return out
}

func protocol(x *corev1.Protocol) string {
	if x == nil || *x == "" {
		return "tcp"
	}
	return strings.ToLower(string(*x))
}

// portsNamed are the numbers that a pod's containers give a name.
func portsNamed(pod *corev1.Pod, name, proto string) (out []int32) {
	for _, list := range [][]corev1.Container{pod.Spec.Containers, pod.Spec.InitContainers} {
		for _, c := range list {
			for _, x := range c.Ports {
				if x.Name == name && protocol(&x.Protocol) == proto && !slices.Contains(out, x.ContainerPort) {
					out = append(out, x.ContainerPort)
				}
			}
		}
	}
	return out
}

// selects: an empty selector selects everything, a broken one nothing.
func selects(s *metav1.LabelSelector, set labels.Set) bool {
	sel, err := metav1.LabelSelectorAsSelector(s)
	return err == nil && sel.Matches(set)
}
