// Package policy enforces NetworkPolicies for the pods of one node, in an nftables
// table of its own that filters what is forwarded.
//
// Plan is pure: pods, namespaces and policies go in, the wanted rules come out.
// Enforcer keeps the kernel equal to them, the whole table in one transaction. A
// connection that was allowed stays when a policy comes. What a node's own
// processes (its agent's probes) send to its pods is not forwarded and therefore
// always allowed, as Kubernetes promises.
//
// It never touches a table it did not make. Run is the only writer; the other
// methods may be called from any goroutine.
package policy
