// Package network gives pods and nodes their place on the network.
//
// It owns three things, each removable without a trace:
//
//   - Network: the pod side of one node. One network namespace per pod, held by
//     a bind mount below the data folder, joined through CNI (bridge and
//     host-local unless a conflist of the user's says otherwise), host ports
//     and egress masquerade in an nftables table of its own.
//   - Topology: the node side of one machine. Node 0 lives in the machine's own
//     namespace; every further node has a namespace of its own, connected by a
//     veth pair to one bridge, so that everything between nodes is real.
//   - RouteController: the ways between the nodes' pod ranges, kept equal to the
//     Node objects: host-gateway routes, or an overlay of VXLAN where the network
//     between the nodes passes no packets of pods.
//
// It never touches a table, link, namespace or lease it did not make, and keeps
// nothing outside its data folder except the kernel objects themselves. The one
// exception is a firewall that drops forwarded packets (see admitBridge).
//
// Concurrency: all methods may be called from any goroutine; calls for the same
// pod UID must not overlap (the agent has one worker per pod).
package network
