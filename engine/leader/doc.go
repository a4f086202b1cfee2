// Package leader lets one of several servers over one store do what must be done
// once: who holds a Lease leads. It never decides what a leader does, and never ends
// the process: who loses the Lease stands by again.
//
// The protocol. A leader renews its Lease every second and a half. One that could not
// for six seconds stops leading by itself; others take the Lease once they have seen
// no renewal for eight. With a look up to 3.3 s late on both sides, a standby leads
// within fifteen seconds of the leader's last renewal. A server that starts again
// under the same identity leads at once.
//
// A leader that was paused may not know that it was replaced. So whatever it writes
// goes through a fence, which the store checks in the same step as the commit: the
// Lease must name this server as its holder, in the term in which the work began. A
// term that another held in between differs even if the Lease came back.
//
// A Leader may be used by many goroutines.
package leader
