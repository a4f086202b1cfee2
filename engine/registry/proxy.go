package registry

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"
)

var proxyMethods = []string{"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"}

// podTransport reaches pods, whose certificates nobody vouches for.
var podTransport = &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} //nolint:gosec // as upstream: a pod's certificate is its own

// podProxyREST serves pods/proxy.
type podProxyREST struct{ agentProxy }

// serviceProxyREST serves services/proxy by a ready endpoint of the service.
type serviceProxyREST struct{ services, slices *REST }

// nodeProxyREST serves nodes/proxy.
type nodeProxyREST struct {
	nodes *REST
	hooks func() *Hooks
}

var (
	_ rest.Connecter = (*podProxyREST)(nil)
	_ rest.Connecter = (*serviceProxyREST)(nil)
	_ rest.Connecter = (*nodeProxyREST)(nil)
)

// New implements rest.Storage.
func (*podProxyREST) New() runtime.Object { return &corev1.PodProxyOptions{} }

// Destroy implements rest.Storage.
func (*podProxyREST) Destroy() {}

// ConnectMethods implements rest.Connecter.
func (*podProxyREST) ConnectMethods() []string { return proxyMethods }

// NewConnectOptions implements rest.Connecter.
func (*podProxyREST) NewConnectOptions() (runtime.Object, bool, string) {
	return &corev1.PodProxyOptions{}, true, "path"
}

// Connect proxies to a port of a pod.
func (s *podProxyREST) Connect(ctx context.Context, id string, obj runtime.Object, responder rest.Responder) (http.Handler, error) {
	opts, ok := obj.(*corev1.PodProxyOptions)
	if !ok {
		return nil, fmt.Errorf("invalid options object: %#v", obj)
	}
	scheme, name, port, err := proxyName(id)
	if err != nil {
		return nil, err
	}
	pod, err := s.pod(ctx, name)
	if err != nil {
		return nil, err
	}
	if port == "" && len(pod.Spec.Containers) > 0 && len(pod.Spec.Containers[0].Ports) > 0 {
		port = strconv.Itoa(int(pod.Spec.Containers[0].Ports[0].ContainerPort))
	}
	if pod.Status.PodIP == "" {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("address not allowed: pod %s has none yet", name))
	}
	return upgradeProxy(target(scheme, pod.Status.PodIP, port, opts.Path), podTransport, true, false, responder), nil
}

// New implements rest.Storage.
func (*nodeProxyREST) New() runtime.Object { return &corev1.NodeProxyOptions{} }

// Destroy implements rest.Storage.
func (*nodeProxyREST) Destroy() {}

// ConnectMethods implements rest.Connecter.
func (*nodeProxyREST) ConnectMethods() []string { return proxyMethods }

// NewConnectOptions implements rest.Connecter.
func (*nodeProxyREST) NewConnectOptions() (runtime.Object, bool, string) {
	return &corev1.NodeProxyOptions{}, true, "path"
}

// Connect proxies to the agent of a node.
func (s *nodeProxyREST) Connect(ctx context.Context, id string, obj runtime.Object, responder rest.Responder) (http.Handler, error) {
	opts, ok := obj.(*corev1.NodeProxyOptions)
	if !ok {
		return nil, fmt.Errorf("invalid options object: %#v", obj)
	}
	_, name, _, err := proxyName(id)
	if err != nil {
		return nil, err
	}
	location, transport, err := locateNode(ctx, s.nodes, s.hooks(), name)
	if err != nil {
		return nil, err
	}
	location.Path = rooted(opts.Path)
	return upgradeProxy(location, transport, true, false, responder), nil
}

// New implements rest.Storage.
func (*serviceProxyREST) New() runtime.Object { return &corev1.ServiceProxyOptions{} }

// Destroy implements rest.Storage.
func (*serviceProxyREST) Destroy() {}

// ConnectMethods implements rest.Connecter.
func (*serviceProxyREST) ConnectMethods() []string { return proxyMethods }

// NewConnectOptions implements rest.Connecter.
func (*serviceProxyREST) NewConnectOptions() (runtime.Object, bool, string) {
	return &corev1.ServiceProxyOptions{}, true, "path"
}

// Connect proxies to a ready endpoint behind a port of a service.
func (s *serviceProxyREST) Connect(ctx context.Context, id string, obj runtime.Object, responder rest.Responder) (http.Handler, error) {
	opts, ok := obj.(*corev1.ServiceProxyOptions)
	if !ok {
		return nil, fmt.Errorf("invalid options object: %#v", obj)
	}
	scheme, name, port, err := proxyName(id)
	if err != nil {
		return nil, err
	}
	current, err := s.services.Get(ctx, name, &metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	portName, found := servicePort(current.(*corev1.Service), port)
	if !found {
		return nil, apierrors.NewServiceUnavailable(fmt.Sprintf("no service port %q found for service %q", port, name))
	}
	items, _, err := s.slices.ListShared(ctx, request.NamespaceValue(ctx))
	if err != nil {
		return nil, err
	}
	address, number, ok := endpointOf(items, name, portName)
	if !ok {
		return nil, apierrors.NewServiceUnavailable(fmt.Sprintf("no endpoints available for service %q", name))
	}
	return upgradeProxy(target(scheme, address, number, opts.Path), podTransport, true, false, responder), nil
}

// servicePort resolves a port name or number of a service to the name of the
// port, which is what endpoints know it by. Without a port the only one is meant.
func servicePort(service *corev1.Service, port string) (string, bool) {
	if port == "" && len(service.Spec.Ports) == 1 {
		return service.Spec.Ports[0].Name, true
	}
	for _, p := range service.Spec.Ports {
		if p.Name == port || strconv.Itoa(int(p.Port)) == port {
			return p.Name, true
		}
	}
	return "", false
}

// endpointOf returns the first ready endpoint of a service's port.
func endpointOf(slices []runtime.Object, service, portName string) (address, port string, ok bool) {
	for _, item := range slices {
		slice, isSlice := item.(*discoveryv1.EndpointSlice)
		if !isSlice || slice.Labels[discoveryv1.LabelServiceName] != service {
			continue
		}
		for _, p := range slice.Ports {
			if p.Port == nil || p.Name != nil && *p.Name != portName {
				continue
			}
			for _, e := range slice.Endpoints {
				if (e.Conditions.Ready == nil || *e.Conditions.Ready) && len(e.Addresses) > 0 {
					return e.Addresses[0], strconv.Itoa(int(*p.Port)), true
				}
			}
		}
	}
	return "", "", false
}

func target(scheme, host, port, path string) *url.URL {
	if scheme == "" {
		scheme = "http"
	}
	if port != "" {
		host = net.JoinHostPort(host, port)
	}
	return &url.URL{Scheme: scheme, Host: host, Path: rooted(path)}
}

// rooted gives a path its leading slash. No path at all stays none: the proxy
// then answers a redirect to the same address with a slash, as upstream does.
func rooted(path string) string {
	if path == "" {
		return ""
	}
	return "/" + strings.TrimPrefix(path, "/")
}
