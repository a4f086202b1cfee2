package registry

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/proxy"
	"k8s.io/apiserver/pkg/registry/rest"
)

// agentProxy finds the node agent of a pod and proxies to it.
type agentProxy struct {
	pods, nodes *REST
	hooks       func() *Hooks
}

// pod reads the pod that a subresource names.
func (a *agentProxy) pod(ctx context.Context, name string) (*corev1.Pod, error) {
	obj, err := a.pods.Get(ctx, name, &metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	return obj.(*corev1.Pod), nil
}

// locate returns the base URL and the transport of the agent that runs the pod.
func (a *agentProxy) locate(ctx context.Context, pod *corev1.Pod) (*url.URL, *http.Transport, error) {
	if pod.Spec.NodeName == "" {
		return nil, nil, apierrors.NewBadRequest(fmt.Sprintf("pod %s does not have a host assigned", pod.Name))
	}
	return a.node(ctx, pod.Spec.NodeName)
}

func (a *agentProxy) node(ctx context.Context, name string) (*url.URL, *http.Transport, error) {
	return locateNode(ctx, a.nodes, a.hooks(), name)
}

// locateNode returns the base URL and the transport of a node's agent.
func locateNode(ctx context.Context, nodes *REST, hooks *Hooks, name string) (*url.URL, *http.Transport, error) {
	obj, err := nodes.Get(ctx, name, &metav1.GetOptions{})
	if err != nil {
		return nil, nil, err
	}
	if hooks.NodeTransport == nil {
		return nil, nil, apierrors.NewServiceUnavailable("node agents cannot be reached: no client certificate for them is configured")
	}
	host, err := agentAddress(obj.(*corev1.Node))
	if err != nil {
		return nil, nil, apierrors.NewServiceUnavailable(err.Error())
	}
	return &url.URL{Scheme: "https", Host: host}, hooks.NodeTransport, nil
}

// agentAddress is the host and port a node publishes for its agent.
func agentAddress(node *corev1.Node) (string, error) {
	port := node.Status.DaemonEndpoints.KubeletEndpoint.Port
	if port == 0 {
		return "", fmt.Errorf("node %s has not published the port of its agent yet", node.Name)
	}
	for _, kind := range []corev1.NodeAddressType{corev1.NodeInternalIP, corev1.NodeExternalIP, corev1.NodeHostName} {
		for _, address := range node.Status.Addresses {
			if address.Type == kind {
				return net.JoinHostPort(address.Address, strconv.Itoa(int(port))), nil
			}
		}
	}
	return "", fmt.Errorf("node %s has not published an address yet", node.Name)
}

// containerOf checks the container a request names, or picks the only one.
func containerOf(pod *corev1.Pod, name string) (string, error) {
	if name != "" {
		for container := range containerNames(pod) {
			if container == name {
				return name, nil
			}
		}
		return "", apierrors.NewBadRequest(fmt.Sprintf("container %s is not valid for pod %s", name, pod.Name))
	}
	if chosen := pod.Annotations["kubectl.kubernetes.io/default-container"]; chosen != "" {
		return containerOf(pod, chosen)
	}
	switch len(pod.Spec.Containers) {
	case 1:
		return pod.Spec.Containers[0].Name, nil
	case 0:
		return "", apierrors.NewBadRequest(fmt.Sprintf("a container name must be specified for pod %s", pod.Name))
	}
	var names, initNames []string
	for i := range pod.Spec.Containers {
		names = append(names, pod.Spec.Containers[i].Name)
	}
	for i := range pod.Spec.InitContainers {
		initNames = append(initNames, pod.Spec.InitContainers[i].Name)
	}
	message := fmt.Sprintf("a container name must be specified for pod %s, choose one of: [%s]", pod.Name, strings.Join(names, " "))
	if len(initNames) > 0 {
		message += fmt.Sprintf(" or one of the init containers: [%s]", strings.Join(initNames, " "))
	}
	return "", apierrors.NewBadRequest(message)
}

func containerNames(pod *corev1.Pod) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for i := range pod.Spec.Containers {
			if !yield(pod.Spec.Containers[i].Name) {
				return
			}
		}
		for i := range pod.Spec.InitContainers {
			if !yield(pod.Spec.InitContainers[i].Name) {
				return
			}
		}
		for i := range pod.Spec.EphemeralContainers {
			if !yield(pod.Spec.EphemeralContainers[i].Name) {
				return
			}
		}
	}
}

// upgradeProxy proxies a request that may switch protocols.
func upgradeProxy(location *url.URL, transport http.RoundTripper, wrap, upgradeRequired bool, responder rest.Responder) *proxy.UpgradeAwareHandler {
	return proxy.NewUpgradeAwareHandler(location, transport, wrap, upgradeRequired, proxy.NewErrorResponder(agentErrors{responder}))
}

// agentErrors says what an unreachable agent or pod means to a person.
type agentErrors struct{ responder rest.Responder }

// Error implements proxy.SimpleErrorResponder.
func (e agentErrors) Error(err error) {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		err = apierrors.NewServiceUnavailable("reach the node agent: " + err.Error())
	}
	e.responder.Error(err)
}

// proxyName splits [scheme:]name[:port], as it stands in a proxy URL.
func proxyName(id string) (scheme, name, port string, err error) {
	parts := strings.Split(id, ":")
	switch {
	case len(parts) == 1:
		return "", parts[0], "", nil
	case len(parts) == 2:
		return "", parts[0], parts[1], nil
	case len(parts) == 3 && (parts[0] == "http" || parts[0] == "https" || parts[0] == ""):
		return parts[0], parts[1], parts[2], nil
	}
	return "", "", "", apierrors.NewBadRequest(fmt.Sprintf("invalid proxy target %q: want [https:]NAME[:PORT]", id))
}
