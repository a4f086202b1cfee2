// Package node owns what node agents may do: their own Node, Lease and
// certificate requests, the pods bound to them, and the secrets, config maps,
// claims and volumes that those pods refer to. It allows or has no opinion, never
// denies.
//
// References are followed through informers at each question (pods are indexed by
// node); no graph is kept. All values are safe for concurrent use.
package node
