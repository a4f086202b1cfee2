package proxy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/pintle-io/pintle/runtime/endpoint"
)

// health is what a Service's health check node port answers: load balancers outside
// ask it which nodes have endpoints, where only such get its traffic.
type health struct {
	namespace, name string
	local           int // ready endpoints on this node
}

// healthOf decides the answers of a node by port. Endpoints count once, however many
// ports and families they have.
func healthOf(node string, now snapshot) map[uint16]health {
	out := map[uint16]health{}
	for _, svc := range now.services {
		port := uint16(svc.Spec.HealthCheckNodePort)
		if port == 0 || svc.Spec.Type != corev1.ServiceTypeLoadBalancer || svc.Labels[labelProxyName] != "" {
			continue
		}
		ready := map[netip.Addr]bool{}
		for _, s := range now.slices[svc.Namespace+"/"+svc.Name] {
			for _, p := range svc.Spec.Ports {
				for _, ep := range endpoint.Of(node, p, []*discoveryv1.EndpointSlice{s}).Local().Ready() {
					ready[ep.Addr.Addr()] = true
				}
			}
		}
		out[port] = health{svc.Namespace, svc.Name, len(ready)}
	}
	return out
}

// healthServers answers on the ports. Only Run's goroutine opens and closes them.
type healthServers struct {
	open map[uint16]*healthServer
	log  *slog.Logger
	wg   sync.WaitGroup
}

type healthServer struct {
	http  *http.Server
	state atomic.Pointer[health]
}

// sync listens on exactly these ports.
func (h *healthServers) sync(ctx context.Context, want map[uint16]health) error {
	for port, s := range h.open {
		if _, ok := want[port]; !ok {
			_ = s.http.Close()
			delete(h.open, port)
		}
	}
	var errs []error
	for port, state := range want {
		s := h.open[port]
		if s == nil {
			var err error
			if s, err = h.listen(ctx, port); err != nil {
				errs = append(errs, fmt.Errorf("health check port of service %s/%s: %w", state.namespace, state.name, err))
				continue
			}
			h.open[port] = s
		}
		s.state.Store(&state)
	}
	return errors.Join(errs...)
}

// listen answers on every address of the node, as its node ports do. Until a state is
// stored, requests wait in no queue: they are told that nothing is known.
func (h *healthServers) listen(ctx context.Context, port uint16) (*healthServer, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", net.JoinHostPort("", strconv.Itoa(int(port))))
	if err != nil {
		return nil, err
	}
	s := &healthServer{}
	s.state.Store(&health{})
	s.http = &http.Server{Handler: s, ReadHeaderTimeout: 5 * time.Second, MaxHeaderBytes: 8 << 10}
	h.wg.Go(func() {
		if err := s.http.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			h.log.Error("health check port ended", "err", err)
		}
	})
	return s, nil
}

// ServeHTTP says 200 where there are endpoints and 503 where not, in kube-proxy's
// words.
func (s *healthServer) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	state := s.state.Load()
	type service struct {
		Namespace string `json:"namespace"`
		Name      string `json:"name"`
	}
	body, err := json.MarshalIndent(struct {
		Service   service `json:"service"`
		Endpoints int     `json:"localEndpoints"`
		Healthy   bool    `json:"serviceProxyHealthy"`
	}{service{state.namespace, state.name}, state.local, true}, "", "\t")
	if err != nil {
		panic(err) // strings and numbers always encode
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("X-Load-Balancing-Endpoint-Weight", strconv.Itoa(state.local))
	if state.local == 0 {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_, _ = w.Write(append(body, '\n'))
}

// close ends all and waits.
func (h *healthServers) close() {
	for _, s := range h.open {
		_ = s.http.Close()
	}
	h.wg.Wait()
}
