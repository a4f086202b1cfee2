package apiserver

import (
	"net"
	"net/url"
	"strconv"

	"k8s.io/apiserver/pkg/util/webhook"
)

// serviceNames addresses the services of webhooks by their cluster name.
type serviceNames struct{}

var _ webhook.ServiceResolver = serviceNames{}

// ResolveEndpoint implements webhook.ServiceResolver.
func (serviceNames) ResolveEndpoint(namespace, name string, port int32) (*url.URL, error) {
	return &url.URL{Scheme: "https", Host: net.JoinHostPort(name+"."+namespace+".svc", strconv.Itoa(int(port)))}, nil
}
