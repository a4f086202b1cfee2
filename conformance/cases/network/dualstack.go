package network

import (
	"context"
	_ "embed"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pintle-io/pintle/conformance/suite"
)

//go:embed dualstack.yaml
var dualStackYAML string

func dualStack() suite.Case {
	return suite.Case{
		Name:     "network/dual-stack",
		Promise:  "on a cluster of two families pods have an address of each, and reach each other, Services, node ports and names over both",
		Needs:    []suite.Feature{suite.Containers, suite.DualStack},
		Manifest: dualStackYAML,
		Run: func(ctx context.Context, e *suite.Env) error {
			if err := e.Apply(ctx); err != nil {
				return err
			}
			if err := available(ctx, e, "web"); err != nil {
				return err
			}
			services := e.Kube.CoreV1().Services(e.Namespace)
			both, err := services.Get(ctx, "both", metav1.GetOptions{})
			if err != nil {
				return err
			}
			if got := families(both.Spec.ClusterIPs); got != "46" {
				return fmt.Errorf("service both has addresses %v", both.Spec.ClusterIPs)
			}
			pods, err := e.Kube.CoreV1().Pods(e.Namespace).List(ctx, metav1.ListOptions{LabelSelector: "app=web"})
			if err != nil {
				return err
			}
			targets := []string{"six", "headless:8080", both.Spec.ClusterIPs[0], "[" + both.Spec.ClusterIPs[1] + "]"}
			for _, p := range pods.Items {
				ips := podIPs(p)
				if families(ips) != "46" {
					return fmt.Errorf("pod %s has addresses %v", p.Name, ips)
				}
				for _, ip := range ips {
					targets = append(targets, net.JoinHostPort(ip, "8080"))
				}
				ports, err := nodePorts(ctx, e, p.Spec.NodeName, both.Spec.Ports[0].NodePort)
				if err != nil {
					return err
				}
				targets = append(targets, ports...)
			}
			for _, target := range targets {
				if err := reaches(ctx, e, "client", target, true); err != nil {
					return err
				}
			}
			return policyOfBoth(ctx, e, podIPs(pods.Items[0]))
		},
	}
}

// families is the digit of each address's family.
func families(ips []string) (out string) {
	for _, ip := range ips {
		switch addr, err := netip.ParseAddr(ip); {
		case err != nil:
			out += "?"
		case addr.Is4():
			out += "4"
		default:
			out += "6"
		}
	}
	return out
}

func podIPs(p corev1.Pod) (out []string) {
	for _, ip := range p.Status.PodIPs {
		out = append(out, ip.IP)
	}
	return out
}

// nodePorts are the ways in at the node's addresses, which must be of both families.
func nodePorts(ctx context.Context, e *suite.Env, name string, port int32) (out []string, err error) {
	node, err := e.Kube.CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	for _, a := range node.Status.Addresses {
		if a.Type == corev1.NodeInternalIP {
			out = append(out, net.JoinHostPort(a.Address, strconv.Itoa(int(port))))
		}
	}
	if len(out) != 2 {
		return nil, fmt.Errorf("node %s has addresses %v", name, node.Status.Addresses)
	}
	return out, nil
}

// reaches waits until a pod gets an answer, or gets none.
func reaches(ctx context.Context, e *suite.Env, from, target string, want bool) error {
	return e.Eventually(ctx, 30*time.Second, fmt.Sprintf("%s reaches %s: %v", from, target, want), func(ctx context.Context) (bool, string, error) {
		_, err := e.Kubectl(ctx, "exec", from, "--", "web", "get", "http://"+target)
		return (err == nil) == want, fmt.Sprint(err), nil
	})
}

const onlyClient = `
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: only-client
spec:
  podSelector: {matchLabels: {app: web}}
  ingress:
    - from: [{podSelector: {matchLabels: {allowed: "true"}}}]
`

// policyOfBoth: what a policy forbids is forbidden over both families.
func policyOfBoth(ctx context.Context, e *suite.Env, ips []string) error {
	if _, err := e.Kubectl(ctx, "label", "pod/client", "allowed=true"); err != nil {
		return err
	}
	if _, err := e.KubectlIn(ctx, onlyClient, "apply", "-f", "-"); err != nil {
		return err
	}
	for _, ip := range ips {
		target := net.JoinHostPort(ip, "8080")
		if err := reaches(ctx, e, "stranger", target, false); err != nil {
			return err
		}
		if err := reaches(ctx, e, "client", target, true); err != nil {
			return err
		}
	}
	return nil
}
