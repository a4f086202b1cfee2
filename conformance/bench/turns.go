package main

import (
	"syscall"
	"time"
)

// turns lets two systems do the same part at the same time, one of them running at
// any moment: what else the machine does then falls on both alike. A nil turns
// belongs to a system that runs alone.
type turns struct {
	mine  chan struct{} // receives the turn
	other *turns
	ended chan struct{}
}

// newTurns returns both sides; the first has the turn.
func newTurns() (*turns, *turns) {
	a := &turns{mine: make(chan struct{}, 1), ended: make(chan struct{})}
	b := &turns{mine: make(chan struct{}, 1), ended: make(chan struct{}), other: a}
	a.other = b
	return a, b
}

// pass lets the other side run until it passes too, or ends.
func (t *turns) pass() {
	if t == nil {
		return
	}
	select {
	case <-t.other.ended:
		return
	default:
	}
	t.other.mine <- struct{}{}
	t.wait()
}

// wait returns once it is this side's turn.
func (t *turns) wait() {
	select {
	case <-t.mine:
	case <-t.other.ended:
	}
}

// end gives the turn away for good.
func (t *turns) end() { close(t.ended) }

// spent adds up what one kind of work took over several turns.
type spent struct{ wall, server, client time.Duration }

// measure runs do and adds what it took.
func (sum *spent) measure(s server, do func() error) error {
	server, err := cpuOf(s)
	if err != nil {
		return err
	}
	client, began := ownTime(), time.Now()
	if err := do(); err != nil {
		return err
	}
	sum.wall += time.Since(began)
	sum.client += ownTime() - client
	after, err := cpuOf(s)
	sum.server += after - server
	return err
}

// ownTime is the processor time of this process: the client's.
func ownTime() time.Duration {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
