package network

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// ListenFree listens on an address that need not exist yet, so that a server
// may open its listener for pods before the bridge is up.
func ListenFree(ctx context.Context, addr string) (net.Listener, error) {
	lc := net.ListenConfig{Control: freebind}
	return lc.Listen(ctx, "tcp", addr)
}

// ListenPacketFree is ListenFree for UDP.
func ListenPacketFree(ctx context.Context, addr string) (net.PacketConn, error) {
	lc := net.ListenConfig{Control: freebind}
	return lc.ListenPacket(ctx, "udp", addr)
}

func freebind(_, _ string, c syscall.RawConn) error {
	var opt error
	err := c.Control(func(fd uintptr) {
		opt = unix.SetsockoptInt(int(fd), unix.SOL_IP, unix.IP_FREEBIND, 1)
	})
	return errors.Join(err, opt)
}

// MergeListeners is one listener that accepts from all; its Addr is the first's.
func MergeListeners(first net.Listener, others ...net.Listener) net.Listener {
	m := &mergedListener{Listener: first, all: append([]net.Listener{first}, others...), conns: make(chan accepted), done: make(chan struct{})}
	for _, l := range m.all {
		go m.accept(l)
	}
	return m
}

type accepted struct {
	conn net.Conn
	err  error
}

type mergedListener struct {
	net.Listener
	all   []net.Listener
	conns chan accepted
	done  chan struct{}
	once  sync.Once
}

func (m *mergedListener) accept(l net.Listener) {
	for {
		conn, err := l.Accept()
		select {
		case m.conns <- accepted{conn, err}:
		case <-m.done:
			if conn != nil {
				_ = conn.Close()
			}
			return
		}
		if errors.Is(err, net.ErrClosed) {
			return
		}
	}
}

func (m *mergedListener) Accept() (net.Conn, error) {
	select {
	case a := <-m.conns:
		return a.conn, a.err
	case <-m.done:
		return nil, net.ErrClosed
	}
}

func (m *mergedListener) Close() error {
	var errs []error
	m.once.Do(func() {
		close(m.done)
		for _, l := range m.all {
			errs = append(errs, l.Close())
		}
	})
	return errors.Join(errs...)
}

// Forward passes every connection on to target until ctx ends: the way for pods
// to an API server of another process that listens on loopback only.
func Forward(ctx context.Context, l net.Listener, target string) error {
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer stop()
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		conn, err := l.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		wg.Go(func() { forwardConn(ctx, conn, target) })
	}
}

// forwardConn copies both ways, passing half-closes on, until both ends are done.
func forwardConn(ctx context.Context, conn net.Conn, target string) {
	defer conn.Close()
	var d net.Dialer
	up, err := d.DialContext(ctx, "tcp", target)
	if err != nil {
		return
	}
	defer up.Close()
	stop := context.AfterFunc(ctx, func() { _, _ = conn.Close(), up.Close() })
	defer stop()
	var wg sync.WaitGroup
	wg.Go(func() { pipe(up, conn) })
	wg.Go(func() { pipe(conn, up) })
	wg.Wait()
}

func pipe(dst, src net.Conn) {
	_, _ = io.Copy(dst, src)
	if half, ok := dst.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
}
