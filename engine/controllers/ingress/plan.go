// Package ingress tells where Ingresses of the built-in class are served. The nodes
// serve them (runtime/ingress) and say so in an annotation of theirs; this controller
// writes the addresses of those that are ready into the status of the Ingresses, and
// makes the class as soon as there is a node that could serve it.
package ingress

import (
	"maps"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pintle-io/pintle/engine/apis/networking"
	"github.com/pintle-io/pintle/engine/reconcile"
)

const (
	// ClassName is the class that is made.
	ClassName = "pintle"
	// NodeAnnotation is there on nodes that serve ingresses; it holds the address
	// while they listen, and is empty while they do not.
	NodeAnnotation = "pintle.io/ingress-address"
)

// Observed is the snapshot of everything that is to do with ingresses.
type Observed struct {
	Classes   []*networkingv1.IngressClass
	Ingresses []*networkingv1.Ingress
	Nodes     []*corev1.Node
}

// Plan makes the class, and brings every status up to the nodes.
func Plan(o Observed) reconcile.Result {
	var result reconcile.Result
	ours, present, hasDefault := map[string]bool{}, false, false
	for _, c := range o.Classes {
		present = present || c.Name == ClassName
		hasDefault = hasDefault || isDefault(c)
		if c.Spec.Controller == networking.IngressController {
			ours[c.Name] = true
		}
	}
	if !present && slices.ContainsFunc(o.Nodes, serves) {
		result.Add(reconcile.Create{Object: class(!hasDefault)})
	}
	want := status(o.Nodes)
	for _, ing := range o.Ingresses {
		if !ours[networking.ClassOf(ing)] || ing.DeletionTimestamp != nil || apiequality.Semantic.DeepEqual(ing.Status.LoadBalancer, want) {
			continue
		}
		updated := ing.DeepCopy()
		updated.Status.LoadBalancer = want
		result.Add(reconcile.UpdateStatus{Object: updated})
	}
	return result
}

func isDefault(c *networkingv1.IngressClass) bool {
	return c.Annotations[networkingv1.AnnotationIsDefaultIngressClass] == "true"
}

// class is the default one if there is no other: an ingress that names no class is
// then served, as a newcomer expects.
func class(isDefault bool) *networkingv1.IngressClass {
	c := &networkingv1.IngressClass{
		ObjectMeta: metav1.ObjectMeta{Name: ClassName},
		Spec:       networkingv1.IngressClassSpec{Controller: networking.IngressController},
	}
	if isDefault {
		c.Annotations = map[string]string{networkingv1.AnnotationIsDefaultIngressClass: "true"}
	}
	return c
}

func serves(node *corev1.Node) bool {
	_, ok := node.Annotations[NodeAnnotation]
	return ok
}

// status lists the addresses of the ready nodes that listen, in order.
func status(nodes []*corev1.Node) networkingv1.IngressLoadBalancerStatus {
	addresses := map[netip.Addr]bool{}
	for _, node := range nodes {
		// What does not parse is no address, whoever wrote it.
		if addr, err := netip.ParseAddr(node.Annotations[NodeAnnotation]); err == nil && ready(node) {
			addresses[addr] = true
		}
	}
	var out networkingv1.IngressLoadBalancerStatus
	for _, addr := range slices.SortedFunc(maps.Keys(addresses), netip.Addr.Compare) {
		out.Ingress = append(out.Ingress, networkingv1.IngressLoadBalancerIngress{IP: addr.String()})
	}
	return out
}

func ready(node *corev1.Node) bool {
	return slices.ContainsFunc(node.Status.Conditions, func(c corev1.NodeCondition) bool {
		return c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue
	})
}
