package dns

import (
	"fmt"
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	coreinformers "k8s.io/client-go/informers/core/v1"
	discoveryinformers "k8s.io/client-go/informers/discovery/v1"
	"k8s.io/client-go/tools/cache"
)

// names of the indexes that this package adds to the shared informers.
const (
	indexServiceIP = "pintle-dns-service-ip"
	indexSliceOf   = "pintle-dns-slice-of-service"
	indexSliceIP   = "pintle-dns-slice-ip"
)

// informerView is the view over the shared informers' caches.
type informerView struct {
	namespaces, services, endpointSlices cache.SharedIndexInformer
}

func newInformerView(ns coreinformers.NamespaceInformer, svc coreinformers.ServiceInformer, eps discoveryinformers.EndpointSliceInformer) (*informerView, error) {
	v := &informerView{ns.Informer(), svc.Informer(), eps.Informer()}
	if err := addIndexers(v.services, cache.Indexers{indexServiceIP: serviceIPs}); err != nil {
		return nil, fmt.Errorf("index Services: %w", err)
	}
	if err := addIndexers(v.endpointSlices, cache.Indexers{indexSliceOf: sliceService, indexSliceIP: sliceIPs}); err != nil {
		return nil, fmt.Errorf("index EndpointSlices: %w", err)
	}
	return v, nil
}

// addIndexers adds what is not there yet: several users may share an informer.
func addIndexers(informer cache.SharedIndexInformer, add cache.Indexers) error {
	missing := cache.Indexers{}
	have := informer.GetIndexer().GetIndexers()
	for name, fn := range add {
		if _, ok := have[name]; !ok {
			missing[name] = fn
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return informer.AddIndexers(missing)
}

func serviceIPs(obj any) ([]string, error) {
	var out []string
	if svc, ok := obj.(*corev1.Service); ok {
		for _, ip := range clusterIPs(svc) {
			out = append(out, ip.String())
		}
	}
	return out, nil
}

func sliceService(obj any) ([]string, error) {
	if s, ok := obj.(*discoveryv1.EndpointSlice); ok && s.Labels[discoveryv1.LabelServiceName] != "" {
		return []string{s.Namespace + "/" + s.Labels[discoveryv1.LabelServiceName]}, nil
	}
	return nil, nil
}

func sliceIPs(obj any) ([]string, error) {
	var out []string
	if s, ok := obj.(*discoveryv1.EndpointSlice); ok {
		for _, ep := range s.Endpoints {
			for _, a := range ep.Addresses {
				if ip, err := netip.ParseAddr(a); err == nil {
					out = append(out, ip.String())
				}
			}
		}
	}
	return out, nil
}

func (v *informerView) synced() bool {
	return v.namespaces.HasSynced() && v.services.HasSynced() && v.endpointSlices.HasSynced()
}

func (v *informerView) namespaceExists(name string) bool {
	_, ok, err := v.namespaces.GetIndexer().GetByKey(name)
	return ok && err == nil
}

func (v *informerView) service(namespace, name string) *corev1.Service {
	obj, ok, err := v.services.GetIndexer().GetByKey(namespace + "/" + name)
	if !ok || err != nil {
		return nil
	}
	svc, _ := obj.(*corev1.Service)
	return svc
}

func (v *informerView) slices(namespace, service string) []*discoveryv1.EndpointSlice {
	return byIndex[*discoveryv1.EndpointSlice](v.endpointSlices, indexSliceOf, namespace+"/"+service)
}

func (v *informerView) servicesAt(ip netip.Addr) []*corev1.Service {
	return byIndex[*corev1.Service](v.services, indexServiceIP, ip.String())
}

func (v *informerView) slicesAt(ip netip.Addr) []*discoveryv1.EndpointSlice {
	return byIndex[*discoveryv1.EndpointSlice](v.endpointSlices, indexSliceIP, ip.String())
}

func byIndex[T any](informer cache.SharedIndexInformer, index, key string) []T {
	objs, err := informer.GetIndexer().ByIndex(index, key)
	if err != nil {
		return nil
	}
	out := make([]T, 0, len(objs))
	for _, obj := range objs {
		if t, ok := obj.(T); ok {
			out = append(out, t)
		}
	}
	return out
}
