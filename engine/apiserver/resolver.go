package apiserver

import (
	"net/url"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apiserver/pkg/util/proxy"
	"k8s.io/apiserver/pkg/util/webhook"
	"k8s.io/client-go/informers"
	corev1listers "k8s.io/client-go/listers/core/v1"
)

// serviceResolver finds who answers for a service: one of its ready endpoints. Not
// its cluster address, which leads nowhere on a machine without a node, and not its
// name, which only the cluster's DNS knows. The server's own service is the server.
type serviceResolver struct {
	services corev1listers.ServiceLister
	slices   proxy.EndpointSliceGetter
	self     *url.URL
}

var _ webhook.ServiceResolver = (*serviceResolver)(nil)

// NewServiceResolver finds the servers of webhooks and extensions. The factory must
// not have been started; self is where this server listens.
func NewServiceResolver(factory informers.SharedInformerFactory, self *url.URL) (webhook.ServiceResolver, error) {
	slices, err := proxy.NewEndpointSliceIndexerGetter(factory.Discovery().V1().EndpointSlices())
	if err != nil {
		return nil, err
	}
	return &serviceResolver{factory.Core().V1().Services().Lister(), slices, self}, nil
}

// ResolveEndpoint implements webhook.ServiceResolver.
func (r *serviceResolver) ResolveEndpoint(namespace, name string, port int32) (*url.URL, error) {
	if namespace == corev1.NamespaceDefault && name == "kubernetes" && port == 443 && r.self != nil {
		self := *r.self
		return &self, nil
	}
	service, err := r.services.Services(namespace).Get(name)
	if err != nil {
		return nil, err
	}
	if service.Spec.Type == corev1.ServiceTypeExternalName {
		return proxy.ResolveCluster(r.services, namespace, name, port)
	}
	return proxy.ResolveEndpoint(r.services, r.slices, namespace, name, port)
}
