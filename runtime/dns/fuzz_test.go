package dns

import (
	"context"
	"testing"

	"github.com/miekg/dns"
)

// Whatever arrives as a question, what is answered can be sent.
func FuzzRespond(f *testing.F) {
	s := newServer(f, "")
	useUpstream(s) // nobody is asked
	for _, name := range []string{
		"web.ns.svc.cluster.local.", "_http._tcp.web.ns.svc.cluster.local.", "1.0.96.10.in-addr.arpa.", "cluster.local.",
		"10-1-2-3.ns.pod.cluster.local.", "1.ip6.arpa.", "..", "example.org.", "a.b.web.ns.svc.cluster.local.",
	} {
		for _, t := range []uint16{dns.TypeA, dns.TypeSRV, dns.TypePTR, dns.TypeANY, dns.TypeAXFR} {
			if raw, err := new(dns.Msg).SetQuestion(name, t).Pack(); err == nil {
				f.Add(raw)
			}
		}
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		m := new(dns.Msg)
		if m.Unpack(raw) != nil {
			return
		}
		for _, network := range []string{"udp", "tcp"} {
			out := s.respond(context.Background(), m, network)
			if out == nil {
				continue
			}
			if _, err := out.Pack(); err != nil && len(m.Question) > 0 {
				if _, ok := dns.IsDomainName(m.Question[0].Name); ok {
					t.Errorf("the answer to %v cannot be sent: %v", m.Question, err)
				}
			}
		}
	})
}
