package dns

import (
	"context"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/miekg/dns"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
)

// listen answers a UDP socket and a TCP listener with one port.
func listen(t *testing.T) (net.PacketConn, net.Listener) {
	t.Helper()
	for range 20 {
		tcp, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		if udp, err := net.ListenPacket("udp", tcp.Addr().String()); err == nil {
			return udp, tcp
		}
		_ = tcp.Close()
	}
	t.Fatal("no port free for both UDP and TCP")
	return nil, nil
}

// serveDNS runs the server until the test ends and answers its address.
func serveDNS(t *testing.T, s *Server) string {
	t.Helper()
	udp, tcp := listen(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx, udp, tcp) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return udp.LocalAddr().String()
}

func query(t *testing.T, network, server, name string, rrtype uint16) *dns.Msg {
	t.Helper()
	c := &dns.Client{Net: network, Timeout: 5 * time.Second}
	out, _, err := c.Exchange(new(dns.Msg).SetQuestion(name, rrtype), server)
	if err != nil {
		t.Fatalf("%s over %s: %v", name, network, err)
	}
	return out
}

func TestOverTheWire(t *testing.T) {
	addr := serveDNS(t, newServer(t, "/nowhere/resolv.conf"))
	out := query(t, "udp", addr, "web.default.svc.cluster.local.", dns.TypeA)
	if len(out.Answer) != 1 || out.Answer[0].(*dns.A).A.String() != "10.96.0.5" || out.Answer[0].Header().Ttl != ttl {
		t.Errorf("web: %v", out)
	}
	out = query(t, "udp", addr, "nothing.default.svc.cluster.local.", dns.TypeA)
	if out.Rcode != dns.RcodeNameError || len(out.Ns) != 1 || out.Ns[0].Header().Rrtype != dns.TypeSOA {
		t.Errorf("absent: %v", out)
	}
	const many = "many.default.svc.cluster.local."
	out = query(t, "udp", addr, many, dns.TypeA)
	out.Compress = true
	if !out.Truncated || len(out.Answer) == 0 || out.Len() > dns.MinMsgSize {
		t.Errorf("100 addresses over UDP: truncated %v, %d of them in %d bytes", out.Truncated, len(out.Answer), out.Len())
	}
	if out = query(t, "tcp", addr, many, dns.TypeA); out.Truncated || len(out.Answer) != 100 {
		t.Errorf("100 addresses over TCP: truncated %v, %d of them", out.Truncated, len(out.Answer))
	}
	if out = query(t, "udp", addr, "example.org.", dns.TypeA); out.Rcode != dns.RcodeServerFailure {
		t.Errorf("no name server to ask: %v", out)
	}
	if out = query(t, "udp", addr, "9.9.9.9.in-addr.arpa.", dns.TypePTR); out.Rcode != dns.RcodeServerFailure {
		t.Errorf("a foreign address is not ours to deny: %v", out)
	}
}

// upstream is a name server that knows example.org; it answers the resolv.conf
// that names it on port 53, and the port it really has.
func upstream(t *testing.T) string {
	t.Helper()
	udp, tcp := listen(t)
	_ = tcp.Close()
	srv := &dns.Server{PacketConn: udp, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, m *dns.Msg) {
		out := new(dns.Msg).SetReply(m)
		if m.Question[0].Name == "example.org." {
			out.Answer = []dns.RR{addressRecord("example.org.", netip.MustParseAddr("192.0.2.1"))}
		} else {
			out.Rcode = dns.RcodeNameError
		}
		_ = w.WriteMsg(out)
	})}
	started := make(chan struct{})
	srv.NotifyStartedFunc = func() { close(started) }
	done := make(chan error, 1)
	go func() { done <- srv.ActivateAndServe() }()
	<-started
	t.Cleanup(func() {
		_ = srv.Shutdown()
		<-done
	})
	return udp.LocalAddr().String()
}

// useUpstream makes the server ask these instead of resolv.conf's.
func useUpstream(s *Server, servers ...string) {
	s.forward.mu.Lock()
	defer s.forward.mu.Unlock()
	s.forward.mu.servers = servers
	s.forward.mu.checked = time.Now().Add(time.Hour)
}

func TestForwarding(t *testing.T) {
	s := newServer(t, "/nowhere/resolv.conf")
	dead, deadTCP := listen(t)
	_, _ = dead.Close(), deadTCP.Close()
	useUpstream(s, dead.LocalAddr().String(), upstream(t))
	addr := serveDNS(t, s)
	for name, want := range map[string]struct{ rcode, answers int }{
		"example.org.":                     {dns.RcodeSuccess, 1},
		"nowhere.example.":                 {dns.RcodeNameError, 0},
		"outer.default.svc.cluster.local.": {dns.RcodeSuccess, 2}, // CNAME and its target
	} {
		out := query(t, "udp", addr, name, dns.TypeA)
		if out.Rcode != want.rcode || len(out.Answer) != want.answers {
			t.Errorf("%s: %v", name, out)
		}
	}
}

// A machine whose resolv.conf leads back to us: noticed at the start, and other
// names fail at once instead of going round for ever.
func TestForwardingLoopIsNoticed(t *testing.T) {
	s := newServer(t, "/nowhere/resolv.conf")
	udp, tcp := listen(t)
	useUpstream(s, udp.LocalAddr().String())
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx, udp, tcp) }()
	addr := udp.LocalAddr().String()
	query(t, "udp", addr, s.forward.canary, dns.TypeTXT) // what the probe asks, come back
	if out := query(t, "udp", addr, "example.org.", dns.TypeA); out.Rcode != dns.RcodeServerFailure || !s.forward.looping() {
		t.Errorf("in a loop: %v", out)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestUpstreams(t *testing.T) {
	file := filepath.Join(t.TempDir(), "resolv.conf")
	write := func(text string, at time.Time) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(file, at, at); err != nil {
			t.Fatal(err)
		}
	}
	now := time.Now()
	f := newForwarder(file, []netip.Addr{netip.MustParseAddr("10.200.0.1")})
	want := func(at time.Time, servers ...string) {
		t.Helper()
		got := f.servers(at)
		if len(got) != len(servers) {
			t.Fatalf("servers %v, want %v", got, servers)
		}
		for i := range got {
			if got[i] != servers[i] {
				t.Fatalf("servers %v, want %v", got, servers)
			}
		}
	}
	write("nameserver 10.200.0.1\nnameserver 192.0.2.53\nnameserver 2001:db8::53\n", now)
	want(now, "192.0.2.53:53", "[2001:db8::53]:53")
	write("nameserver 192.0.2.54\n", now.Add(time.Second))
	want(now.Add(time.Second), "192.0.2.53:53", "[2001:db8::53]:53") // not looked at yet
	want(now.Add(resolvRecheck), "192.0.2.54:53")
}

// Before the informers have synced, an absence would be a lie.
func TestNotSyncedIsAFailure(t *testing.T) {
	s := newServer(t, "/nowhere/resolv.conf")
	s.view = &informerView{neverSynced{s.view.namespaces}, s.view.services, s.view.endpointSlices}
	m := new(dns.Msg).SetQuestion("web.default.svc.cluster.local.", dns.TypeA)
	if out := s.respond(t.Context(), m, "udp"); out.Rcode != dns.RcodeServerFailure {
		t.Errorf("got %v", out)
	}
}

func TestPublish(t *testing.T) {
	client := fake.NewClientset()
	ip := netip.MustParseAddr("10.96.0.10")
	servers := func(s string) []netip.AddrPort { return []netip.AddrPort{netip.MustParseAddrPort(s)} }
	for _, at := range []string{"10.200.0.1:10053", "10.200.0.1:10053", "10.201.0.1:10054"} {
		if err := Publish(t.Context(), client, ip, servers(at)); err != nil {
			t.Fatal(err)
		}
		s, err := client.DiscoveryV1().EndpointSlices("kube-system").Get(t.Context(), sliceName, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		want := netip.MustParseAddrPort(at)
		if s.Endpoints[0].Addresses[0] != want.Addr().String() || *s.Ports[0].Port != int32(want.Port()) || *s.Ports[0].Protocol != corev1.ProtocolUDP {
			t.Errorf("published %+v, want %s", s, at)
		}
	}
	svc, err := client.CoreV1().Services("kube-system").Get(t.Context(), serviceName, metav1.GetOptions{})
	if err != nil || svc.Spec.ClusterIP != ip.String() || svc.Spec.Selector != nil {
		t.Errorf("Service: %+v, %v", svc, err)
	}
	writes := 0
	for _, a := range client.Actions() {
		if a.GetVerb() != "get" {
			writes++
		}
	}
	if writes != 3 { // two creates, one update; nothing for what is right already
		t.Errorf("%d writes, want 3", writes)
	}
}
