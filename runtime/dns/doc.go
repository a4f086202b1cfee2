// Package dns answers names for pods: those of the cluster's domain from the
// API's objects, all others by asking the machine's own name servers.
//
// What a name of the cluster means is decided by zone.answer, a pure function of
// the question and a read-only view of Services, EndpointSlices and Namespaces,
// following the published DNS-based service discovery of Kubernetes (version
// 1.1.0) and, where that is silent, CoreDNS. Server is the shell around it: UDP
// and TCP listeners, size limits, forwarding with protection against loops.
//
// It serves where pods of every node can reach it, on the gateway address of the
// node network, at a port of its own (53 may be taken on the machine). Publish
// makes that the endpoint of the Service kube-dns, whose cluster address is in
// the pods' resolv.conf; the Service rules of each node do the rest. One server
// for all nodes of a machine keeps one copy of the objects, and runs where the
// machine's resolvers, often on loopback, can be reached.
//
// It never writes to the API except for Publish's two objects. Queries are
// answered concurrently; the view is the informers' own caches.
package dns
