// Package proxy makes Services reachable on one node, with nftables.
//
// It owns one nftables table per address family, the listeners of health check node
// ports, and nothing else. A Service and its EndpointSlices become a list of service
// ports (portsOf), the ports become a ruleset.Ruleset (Build), both pure; an assembly holds
// those of all Services, and what differs for the Services that changed is one small
// transaction. Verdict maps do the look-up, so the
// cost of a packet does not grow with the number of Services, nor the cost of a
// change with the number of those unchanged.
//
// The way of a connection: hooks prerouting and output look the destination up
// in service-ips and service-nodeports and go to a chain of the service port,
// which picks an endpoint; hooks input, forward and output refuse what has no
// endpoint; hook postrouting masquerades what must come back through here.
//
// It never writes to the API and never touches a table it did not make. One
// goroutine (Run) owns all state. When Run ends the rules stay, since pods run
// on; Cleanup removes them.
package proxy
