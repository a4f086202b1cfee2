// Package fakenode serves nodes that run nothing: they register, keep their
// leases, and report the pods bound to them as running after a set delay, those
// of Jobs as succeeded after another. They are for scale tests of everything
// above the node agent.
//
// One Fleet serves any number of nodes with one queue and a few workers. What to
// report of a pod is decided by plan, which is pure. The package writes through
// API alone, so that it can be wired to an in-process client.
package fakenode
