package app

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"

	"k8s.io/client-go/informers"

	"github.com/pintle-io/pintle/runtime/dns"
	"github.com/pintle-io/pintle/runtime/network"
)

// Cluster DNS is answered where pods reach the machine of the API server. Behind a
// loopback listener that address is the node network's gateway, and whoever made
// the node network serves it: `up` itself, or the agent beside a `server`.

func newDNS(factory informers.SharedInformerFactory, at netip.Addr, log *slog.Logger) (*dns.Server, error) {
	return dns.New(dns.Config{
		Domain: ClusterDomain, ServiceIP: netip.MustParseAddr(ClusterDNSIP), Own: []netip.Addr{at},
		Namespaces: factory.Core().V1().Namespaces(), Services: factory.Core().V1().Services(),
		EndpointSlices: factory.Discovery().V1().EndpointSlices(), Logger: log.With("part", "dns"),
	})
}

// runDNS serves until ctx ends.
func runDNS(ctx context.Context, server *dns.Server, at netip.Addr) error {
	addr := netip.AddrPortFrom(at, dns.Port).String()
	udp, tcp, err := listenDNS(ctx, addr)
	if err != nil {
		return fmt.Errorf("listen for cluster DNS on %s: %w", addr, err)
	}
	return server.Run(ctx, udp, tcp)
}

func listenDNS(ctx context.Context, addr string) (net.PacketConn, net.Listener, error) {
	udp, err := network.ListenPacketFree(ctx, addr)
	if err != nil {
		return nil, nil, err
	}
	tcp, err := network.ListenFree(ctx, addr)
	if err != nil {
		udp.Close()
	}
	return udp, tcp, err
}

func (c *controlPlane) publishDNS(ctx context.Context) error {
	at := netip.AddrPortFrom(c.endpoint.Addr(), dns.Port)
	if err := dns.Publish(ctx, c.client.Clientset(), netip.MustParseAddr(ClusterDNSIP), []netip.AddrPort{at}); err != nil {
		return fmt.Errorf("publish cluster DNS: %w", err)
	}
	return nil
}
