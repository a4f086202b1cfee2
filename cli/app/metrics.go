package app

import (
	"net/http"

	"github.com/pintle-io/pintle/runtime/metricsapi"
)

// metricsPaths is where metrics.k8s.io is served.
func (c *controlPlane) metricsPaths() map[string]http.Handler {
	core := c.client.Informers().Core().V1()
	h := metricsapi.New(metricsapi.Config{Nodes: core.Nodes().Lister(), Pods: core.Pods().Lister(), Transport: nodeTransport(c.pki)})
	return map[string]http.Handler{metricsapi.Path: h, metricsapi.Path + "/": h}
}
