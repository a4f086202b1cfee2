// Package endpoints writes the Endpoints object of each Service with a selector,
// for clients that do not read EndpointSlices yet.
package endpoints

import (
	"cmp"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	endpointutil "k8s.io/endpointslice/util"

	"github.com/pintle-io/pintle/engine/controllers/endpointslice"
	"github.com/pintle-io/pintle/engine/reconcile"
)

// capacity bounds the addresses of one Endpoints object; beyond it the list is
// cut and marked.
const capacity = 1000

const managedBy = "endpoint-controller"

var resource = corev1.SchemeGroupVersion.WithResource("endpoints")

// Observed is the snapshot of one Service. Service is nil when it is gone.
type Observed struct {
	Namespace, Name string
	Service         *corev1.Service
	Pods            []*corev1.Pod
	Endpoints       *corev1.Endpoints // nil if there is none
	Now             time.Time
}

// Plan decides what to do about the Endpoints object.
func Plan(o Observed) reconcile.Result {
	var result reconcile.Result
	if o.Service == nil {
		if o.Endpoints != nil && o.Endpoints.Labels[discoveryv1.LabelManagedBy] == managedBy {
			result.Add(reconcile.DeleteOf(resource, o.Endpoints))
		}
		return result
	}
	if len(o.Service.Spec.Selector) == 0 || o.Service.Spec.Type == corev1.ServiceTypeExternalName {
		return result
	}
	subsets, cut := subsets(o)
	labels := labels(o.Service)
	if o.Endpoints == nil {
		created := &corev1.Endpoints{
			ObjectMeta: metav1.ObjectMeta{Namespace: o.Namespace, Name: o.Name, Labels: labels, Annotations: annotations(nil, cut, o.Now)},
			Subsets:    subsets,
		}
		result.Add(reconcile.Create{Object: created, Announce: &reconcile.Announce{About: o.Service, Failed: reconcile.Message{
			Type: corev1.EventTypeWarning, Reason: "FailedToCreateEndpoint", Format: "Failed to create endpoint for service: %v",
		}}})
		return result
	}
	_, marked := o.Endpoints.Annotations[corev1.EndpointsOverCapacity]
	if apiequality.Semantic.DeepEqual(o.Endpoints.Subsets, subsets) && maps.Equal(o.Endpoints.Labels, labels) && marked == cut {
		return result
	}
	updated := o.Endpoints.DeepCopy()
	updated.Subsets, updated.Labels = subsets, labels
	updated.Annotations = annotations(updated.Annotations, cut, o.Now)
	result.Add(reconcile.Update{Object: updated})
	return result
}

func labels(svc *corev1.Service) map[string]string {
	out := endpointslice.Labels(svc)
	delete(out, discoveryv1.LabelServiceName)
	out[discoveryv1.LabelManagedBy] = managedBy
	return out
}

func annotations(in map[string]string, cut bool, now time.Time) map[string]string {
	out := maps.Clone(in)
	if out == nil {
		out = map[string]string{}
	}
	out[corev1.EndpointsLastChangeTriggerTime] = now.UTC().Format(time.RFC3339)
	delete(out, corev1.EndpointsOverCapacity)
	if cut {
		out[corev1.EndpointsOverCapacity] = "truncated"
	}
	return out
}

// subsets groups the addresses by the ports they offer, sorted by address.
func subsets(o Observed) (out []corev1.EndpointSubset, cut bool) {
	type subset struct {
		ports           []corev1.EndpointPort
		ready, notReady []corev1.EndpointAddress
	}
	byPorts := map[endpointutil.PortMapKey]*subset{}
	pods := slices.Clone(o.Pods)
	slices.SortFunc(pods, func(a, b *corev1.Pod) int {
		return cmp.Or(cmp.Compare(a.Status.PodIP, b.Status.PodIP), cmp.Compare(a.Name, b.Name))
	})
	count := 0
	for _, pod := range pods {
		if !endpointutil.ShouldPodBeInEndpoints(pod, o.Service.Spec.PublishNotReadyAddresses) {
			continue
		}
		if count++; count > capacity {
			cut = true
			break
		}
		ports := endpointslice.Ports(o.Service, pod)
		key := endpointutil.NewPortMapKey(ports)
		if byPorts[key] == nil {
			byPorts[key] = &subset{ports: endpointPorts(ports)}
		}
		if o.Service.Spec.PublishNotReadyAddresses || endpointutil.IsPodReady(pod) {
			byPorts[key].ready = append(byPorts[key].ready, address(o.Service, pod))
		} else {
			byPorts[key].notReady = append(byPorts[key].notReady, address(o.Service, pod))
		}
	}
	for _, key := range slices.Sorted(maps.Keys(byPorts)) {
		s := byPorts[key]
		out = append(out, corev1.EndpointSubset{Addresses: s.ready, NotReadyAddresses: s.notReady, Ports: s.ports})
	}
	return out, cut
}

func address(svc *corev1.Service, pod *corev1.Pod) corev1.EndpointAddress {
	a := corev1.EndpointAddress{
		IP:        pod.Status.PodIP,
		TargetRef: &corev1.ObjectReference{Kind: "Pod", Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID},
	}
	if pod.Spec.NodeName != "" {
		a.NodeName = &pod.Spec.NodeName
	}
	if endpointutil.ShouldSetHostname(pod, svc) {
		a.Hostname = pod.Spec.Hostname
	}
	return a
}

func endpointPorts(in []discoveryv1.EndpointPort) []corev1.EndpointPort {
	var out []corev1.EndpointPort
	for _, p := range in {
		out = append(out, corev1.EndpointPort{Name: *p.Name, Port: *p.Port, Protocol: *p.Protocol, AppProtocol: p.AppProtocol})
	}
	return out
}
