// Package probe asks containers whether they are well: one question by exec,
// HTTP, TCP or gRPC (Prober), and the loop that turns answers into a verdict by
// thresholds (Run). What follows from a verdict is the agent's business.
package probe

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// Result of a probe.
type Result int

// Unknown leaves the verdict as it is.
const (
	Unknown Result = iota
	Success
	Failure
)

// maxOutput bounds what is kept of an answer for messages.
const maxOutput = 10 << 10

// Target is the container that is asked.
type Target struct {
	PodIP     string
	Container *corev1.Container
	// Exec runs a command in the container, writing its output to out.
	Exec func(ctx context.Context, cmd []string, out io.Writer) (int, error)
}

// Prober asks. Dial connects to the pod from its node.
type Prober struct {
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
}

// Once asks one time within the probe's timeout.
func (p *Prober) Once(ctx context.Context, pr *corev1.Probe, t Target) (Result, string) {
	timeout := max(time.Duration(pr.TimeoutSeconds)*time.Second, time.Second)
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	switch {
	case pr.Exec != nil:
		return execProbe(ctx, pr.Exec.Command, t, timeout)
	case pr.HTTPGet != nil:
		return p.httpProbe(ctx, pr.HTTPGet, t)
	case pr.TCPSocket != nil:
		return p.tcpProbe(ctx, pr.TCPSocket, t)
	case pr.GRPC != nil:
		return p.grpcProbe(ctx, pr.GRPC, t)
	}
	return Unknown, "the probe has no handler"
}

func execProbe(ctx context.Context, cmd []string, t Target, timeout time.Duration) (Result, string) {
	var out limited
	code, err := t.Exec(ctx, cmd, &out)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return Failure, fmt.Sprintf("command timed out: %q timed out after %s", strings.Join(cmd, " "), timeout)
	case err != nil && strings.Contains(err.Error(), "no such program"):
		return Failure, err.Error()
	case err != nil:
		return Unknown, err.Error()
	case code != 0:
		return Failure, out.String()
	}
	return Success, out.String()
}

// limited keeps the beginning of what is written.
type limited struct{ bytes.Buffer }

func (l *limited) Write(b []byte) (int, error) {
	if room := maxOutput - l.Len(); room > 0 {
		l.Buffer.Write(b[:min(room, len(b))])
	}
	return len(b), nil
}

// HTTPRequest builds the request of a probe or a hook.
func HTTPRequest(ctx context.Context, h *corev1.HTTPGetAction, t Target, agent string) (*http.Request, error) {
	port, err := Port(h.Port, t.Container)
	if err != nil {
		return nil, err
	}
	host := h.Host
	if host == "" {
		host = t.PodIP
	}
	u, err := url.Parse(h.Path)
	if err != nil {
		u = &url.URL{Path: h.Path}
	}
	u.Scheme = strings.ToLower(string(h.Scheme))
	if u.Scheme == "" {
		u.Scheme = "http"
	}
	u.Host = net.JoinHostPort(host, strconv.Itoa(port))
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", agent)
	req.Header.Set("Accept", "*/*")
	for _, kv := range h.HTTPHeaders {
		if strings.EqualFold(kv.Name, "Host") {
			req.Host = kv.Value
			continue
		}
		req.Header.Add(kv.Name, kv.Value)
	}
	return req, nil
}

// errRedirect ends a redirect that leads to another host; that counts as success.
var errRedirect = errors.New("redirect to another host")

// Client speaks HTTP with a container; certificates are not checked.
func (p *Prober) Client() *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			DialContext:        p.Dial,
			TLSClientConfig:    &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // as Kubernetes does
			DisableKeepAlives:  true,
			DisableCompression: true,
		},
		CheckRedirect: func(req *http.Request, via []*http.Request) error {
			if req.URL.Hostname() != via[0].URL.Hostname() {
				return errRedirect
			}
			if len(via) >= 10 {
				return errors.New("stopped after 10 redirects")
			}
			return nil
		},
	}
}

func (p *Prober) httpProbe(ctx context.Context, h *corev1.HTTPGetAction, t Target) (Result, string) {
	req, err := HTTPRequest(ctx, h, t, "kube-probe/1.37")
	if err != nil {
		return Failure, err.Error()
	}
	resp, err := p.Client().Do(req)
	if errors.Is(err, errRedirect) {
		return Success, "Probe terminated redirects"
	}
	if err != nil {
		return Failure, err.Error()
	}
	defer resp.Body.Close()
	var body limited
	if _, err := io.Copy(&body, io.LimitReader(resp.Body, maxOutput)); err != nil {
		return Failure, err.Error()
	}
	if resp.StatusCode >= http.StatusOK && resp.StatusCode < http.StatusBadRequest {
		return Success, body.String()
	}
	return Failure, fmt.Sprintf("HTTP probe failed with statuscode: %d", resp.StatusCode)
}

func (p *Prober) tcpProbe(ctx context.Context, a *corev1.TCPSocketAction, t Target) (Result, string) {
	port, err := Port(a.Port, t.Container)
	if err != nil {
		return Failure, err.Error()
	}
	host := a.Host
	if host == "" {
		host = t.PodIP
	}
	conn, err := p.Dial(ctx, "tcp", net.JoinHostPort(host, strconv.Itoa(port)))
	if err != nil {
		return Failure, err.Error()
	}
	// The connection has said all it can.
	_ = conn.Close()
	return Success, ""
}

func (p *Prober) grpcProbe(ctx context.Context, a *corev1.GRPCAction, t Target) (Result, string) {
	service := ""
	if a.Service != nil {
		service = *a.Service
	}
	addr := net.JoinHostPort(t.PodIP, strconv.Itoa(int(a.Port)))
	conn, err := grpc.NewClient("passthrough:///"+addr,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithUserAgent("kube-probe/1.37"),
		grpc.WithContextDialer(func(ctx context.Context, a string) (net.Conn, error) { return p.Dial(ctx, "tcp", a) }))
	if err != nil {
		return Failure, err.Error()
	}
	defer conn.Close()
	resp, err := healthpb.NewHealthClient(conn).Check(ctx, &healthpb.HealthCheckRequest{Service: service})
	switch {
	case status.Code(err) == codes.Unimplemented:
		return Failure, fmt.Sprintf("error: this server does not implement the grpc health protocol (grpc.health.v1.Health): %s", err)
	case status.Code(err) == codes.DeadlineExceeded:
		return Failure, fmt.Sprintf("timeout: failed to connect service %q within the probe's timeout: %s", addr, err)
	case err != nil:
		return Failure, "error: health rpc probe failed: " + err.Error()
	case resp.GetStatus() != healthpb.HealthCheckResponse_SERVING:
		return Failure, fmt.Sprintf("service unhealthy (responded with %q)", resp.GetStatus())
	}
	return Success, "service healthy"
}

// Port resolves a port given by number or by the name of a container port.
func Port(p intstr.IntOrString, c *corev1.Container) (int, error) {
	n := p.IntValue()
	if p.Type == intstr.String {
		for _, cp := range c.Ports {
			if cp.Name == p.StrVal {
				n = int(cp.ContainerPort)
			}
		}
	}
	if n < 1 || n > 65535 {
		return 0, fmt.Errorf("invalid port: %s", p.String())
	}
	return n, nil
}
