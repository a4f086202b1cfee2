package dns

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// Limits of forwarding.
const (
	upstreamTimeout = 2 * time.Second
	maxForwarding   = 512             // questions that wait at one time
	resolvRecheck   = 5 * time.Second // how often resolv.conf is looked at
)

var errNoUpstream = errors.New("no name server to ask")

// forwarder asks the machine's name servers.
type forwarder struct {
	resolvConf string
	own        []netip.Addr // never asked: it is us
	slots      chan struct{}
	// canary is a random name asked once at the start. If we are ever asked for
	// it, our question came back to us: forwarding is a loop, and is ended.
	canary string

	mu struct {
		sync.Mutex
		servers []string
		checked time.Time
		changed time.Time
		looping bool
	}
}

func newForwarder(resolvConf string, own []netip.Addr) *forwarder {
	return &forwarder{
		resolvConf: resolvConf,
		own:        own,
		slots:      make(chan struct{}, maxForwarding),
		canary:     fmt.Sprintf("%016x.loop-check.invalid.", rand.Uint64()),
	}
}

// isCanary reports a loop, once it is one.
func (f *forwarder) isCanary(name string) bool {
	if !strings.EqualFold(name, f.canary) {
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.mu.looping = true
	return true
}

// probe asks for the canary; the answer does not matter.
func (f *forwarder) probe(ctx context.Context) {
	m := new(dns.Msg).SetQuestion(f.canary, dns.TypeTXT)
	_, _ = f.ask(ctx, m, "udp")
}

func (f *forwarder) looping() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.mu.looping
}

// ask passes the question to the name servers in their order until one answers.
func (f *forwarder) ask(ctx context.Context, m *dns.Msg, network string) (*dns.Msg, error) {
	servers := f.servers(time.Now())
	if f.looping() || len(servers) == 0 {
		return nil, errNoUpstream
	}
	select {
	case f.slots <- struct{}{}:
		defer func() { <-f.slots }()
	default:
		return nil, errors.New("too many questions wait for the name servers")
	}
	var errs []error
	for _, server := range servers {
		answer, err := exchange(ctx, m, network, server)
		if err == nil && answer.Rcode != dns.RcodeServerFailure && answer.Rcode != dns.RcodeRefused {
			return answer, nil
		}
		if err == nil {
			err = fmt.Errorf("%s answered %s", server, dns.RcodeToString[answer.Rcode])
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

// exchange asks one server, over TCP again if the answer did not fit.
func exchange(ctx context.Context, m *dns.Msg, network, server string) (*dns.Msg, error) {
	client := &dns.Client{Net: network, Timeout: upstreamTimeout, UDPSize: dns.MaxMsgSize}
	query := m.Copy()
	query.Id = dns.Id()
	answer, _, err := client.ExchangeContext(ctx, query, server)
	if err == nil && answer.Truncated && network == "udp" {
		client.Net = "tcp"
		if full, _, tcpErr := client.ExchangeContext(ctx, query, server); tcpErr == nil {
			answer = full
		}
	}
	return answer, err
}

// servers are the machine's name servers but ourselves; resolv.conf is read
// again when it has changed (a laptop moves between networks).
func (f *forwarder) servers(now time.Time) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if now.Sub(f.mu.checked) < resolvRecheck {
		return f.mu.servers
	}
	f.mu.checked = now
	st, err := os.Stat(f.resolvConf)
	if err != nil {
		f.mu.servers = nil
		return nil
	}
	if st.ModTime().Equal(f.mu.changed) {
		return f.mu.servers
	}
	f.mu.changed = st.ModTime()
	f.mu.servers = nil
	if conf, err := dns.ClientConfigFromFile(f.resolvConf); err == nil {
		f.mu.servers = upstreams(conf, f.own)
	}
	return f.mu.servers
}

// upstreams are the configured name servers without those that are us.
func upstreams(conf *dns.ClientConfig, own []netip.Addr) []string {
	var out []string
	for _, s := range conf.Servers {
		ip, err := netip.ParseAddr(s)
		mine := false
		for _, o := range own {
			mine = mine || err == nil && o == ip.WithZone("")
		}
		if !mine {
			out = append(out, net.JoinHostPort(s, conf.Port))
		}
	}
	return out
}
