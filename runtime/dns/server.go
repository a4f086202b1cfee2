package dns

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/sync/errgroup"
	coreinformers "k8s.io/client-go/informers/core/v1"
	discoveryinformers "k8s.io/client-go/informers/discovery/v1"
)

// Port is where the server listens by default; 53 may be taken on the machine.
const Port = 10053

// maxUDP is the largest answer over UDP, whatever a client says it can take:
// larger ones are split on the way and often lost.
const maxUDP = 1232

// Config is what a Server needs.
type Config struct {
	// Domain of the cluster; default "cluster.local".
	Domain string
	// ServiceIP is the cluster address of kube-dns, told as the domain's name
	// server and never asked as an upstream.
	ServiceIP netip.Addr
	// Own are the addresses that the server listens on, for loop protection.
	Own []netip.Addr
	// ResolvConf names the servers for other names; default /etc/resolv.conf.
	ResolvConf     string
	Namespaces     coreinformers.NamespaceInformer
	Services       coreinformers.ServiceInformer
	EndpointSlices discoveryinformers.EndpointSliceInformer
	Logger         *slog.Logger
}

// Server answers questions of pods.
type Server struct {
	zone    zone
	view    *informerView
	forward *forwarder
	logger  *slog.Logger
}

// New adds its indexes to the informers, which its caller starts afterwards.
func New(cfg Config) (*Server, error) {
	if cfg.Domain == "" {
		cfg.Domain = "cluster.local"
	}
	if cfg.ResolvConf == "" {
		cfg.ResolvConf = "/etc/resolv.conf"
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	view, err := newInformerView(cfg.Namespaces, cfg.Services, cfg.EndpointSlices)
	if err != nil {
		return nil, fmt.Errorf("cluster DNS: %w", err)
	}
	return &Server{
		zone:    zone{domain: strings.ToLower(dns.Fqdn(cfg.Domain)), server: cfg.ServiceIP, view: view},
		view:    view,
		forward: newForwarder(cfg.ResolvConf, append(slices.Clone(cfg.Own), cfg.ServiceIP)),
		logger:  cfg.Logger,
	}, nil
}

// Run serves on both listeners until ctx ends, and closes them.
func (s *Server) Run(ctx context.Context, udp net.PacketConn, tcp net.Listener) error {
	g, ctx := errgroup.WithContext(ctx)
	handler := func(network string) dns.HandlerFunc {
		return func(w dns.ResponseWriter, m *dns.Msg) { s.serve(ctx, w, m, network) }
	}
	servers := []*dns.Server{
		{PacketConn: udp, Handler: handler("udp"), UDPSize: dns.MaxMsgSize},
		{Listener: tcp, Handler: handler("tcp")},
	}
	for _, srv := range servers {
		g.Go(srv.ActivateAndServe)
	}
	g.Go(func() error {
		s.forward.probe(ctx)
		if s.forward.looping() {
			s.logger.Warn("the machine's name servers ask the cluster's: names outside of it are not answered; name other servers in resolv.conf")
		}
		return nil
	})
	g.Go(func() error {
		<-ctx.Done()
		return errors.Join(udp.Close(), tcp.Close())
	})
	err := g.Wait()
	if errors.Is(err, net.ErrClosed) || ctx.Err() != nil && isShutdown(err) {
		return nil
	}
	return err
}

// isShutdown: after ctx has ended, closing the listeners is how the servers end.
func isShutdown(err error) bool {
	var op *net.OpError
	return err == nil || errors.As(err, &op) || errors.Is(err, context.Canceled)
}

// serve answers one question.
func (s *Server) serve(ctx context.Context, w dns.ResponseWriter, m *dns.Msg, network string) {
	answer := s.respond(ctx, m, network)
	size := dns.MaxMsgSize
	if network == "udp" {
		size = udpSize(m)
	}
	if opt := m.IsEdns0(); opt != nil && answer.IsEdns0() == nil {
		answer.SetEdns0(maxUDP, opt.Do())
	}
	answer.Truncate(size)
	if err := w.WriteMsg(answer); err != nil {
		s.logger.Debug("answer not sent", "err", err)
	}
}

// udpSize is how much the client takes in one packet.
func udpSize(m *dns.Msg) int {
	if opt := m.IsEdns0(); opt != nil {
		return min(max(int(opt.UDPSize()), dns.MinMsgSize), maxUDP)
	}
	return dns.MinMsgSize
}

func (s *Server) respond(ctx context.Context, m *dns.Msg, network string) *dns.Msg {
	out := new(dns.Msg).SetReply(m)
	out.RecursionAvailable = true
	if m.Opcode != dns.OpcodeQuery || len(m.Question) != 1 {
		return out.SetRcode(m, dns.RcodeNotImplemented)
	}
	q := m.Question[0]
	switch {
	case s.forward.isCanary(q.Name):
		return out.SetRcode(m, dns.RcodeRefused)
	case s.zone.holds(q.Name):
		return s.fromZone(ctx, m, out, q)
	}
	if ip, ok := parseReverse(q.Name); ok {
		if r := s.zone.reverse(q, ip); r.exists {
			return s.fill(out, r)
		}
	}
	return s.fromUpstream(ctx, m, out, network)
}

// fromZone answers a name of the cluster. Before the informers have synced it
// answers a failure, not an absence: clients try again after the one and
// believe the other.
func (s *Server) fromZone(ctx context.Context, m, out *dns.Msg, q dns.Question) *dns.Msg {
	if !s.view.synced() {
		out.Rcode = dns.RcodeServerFailure
		return out
	}
	r := s.zone.answer(q)
	if r.alias != "" {
		query := m.Copy()
		query.Question[0].Name = r.alias
		if up, err := s.forward.ask(ctx, query, "udp"); err == nil {
			r.answer = append(r.answer, up.Answer...)
		}
	}
	return s.fill(out, r)
}

// fill writes the zone's reply: absences with the SOA, several addresses in a
// new order each time, so that clients that take the first spread out.
func (s *Server) fill(out *dns.Msg, r reply) *dns.Msg {
	out.Authoritative = true
	out.Answer, out.Extra = r.answer, r.extra
	if !r.exists {
		out.Rcode = dns.RcodeNameError
	}
	if len(r.answer) == 0 {
		out.Ns = []dns.RR{s.zone.soa(s.zone.domain)}
	}
	if len(r.answer) > 1 && r.answer[0].Header().Rrtype != dns.TypeCNAME {
		rand.Shuffle(len(r.answer), func(i, j int) { r.answer[i], r.answer[j] = r.answer[j], r.answer[i] })
	}
	return out
}

func (s *Server) fromUpstream(ctx context.Context, m, out *dns.Msg, network string) *dns.Msg {
	if !m.RecursionDesired {
		return out.SetRcode(m, dns.RcodeRefused)
	}
	start := time.Now()
	answer, err := s.forward.ask(ctx, m, network)
	if err != nil {
		s.logger.Debug("name not resolved", "name", m.Question[0].Name, "took", time.Since(start), "err", err)
		out.Rcode = dns.RcodeServerFailure
		return out
	}
	answer.Id = m.Id
	return answer
}
