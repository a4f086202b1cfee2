package guard

import (
	"container/list"
	"net"
	"net/http"
	"sync"
)

// Connections bounds the connections of a listener. Until a request on it was
// authenticated, a connection is a stranger: there is room for few of those, and
// the one that has waited longest makes room for the next. So a flood of
// connections ends itself and not the work of others.
type Connections struct {
	net.Listener
	limit, strangers int

	mu sync.Mutex
	// open counts all; waiting holds the strangers, oldest first.
	open    int
	waiting list.List
}

// NewConnections accepts up to limit connections, of which up to strangers at a
// time are not known.
func NewConnections(l net.Listener, limit, strangers int) *Connections {
	return &Connections{Listener: l, limit: limit, strangers: min(strangers, limit)}
}

// Accept implements net.Listener.
func (c *Connections) Accept() (net.Conn, error) {
	conn, err := c.Listener.Accept()
	if err != nil {
		return nil, err
	}
	guarded := &connection{Conn: conn, of: c}
	guarded.local = address{conn.LocalAddr(), guarded}
	if oldest := c.add(guarded); oldest != nil {
		oldest.Close()
	}
	return guarded, nil
}

// add counts a connection, and returns the stranger that has to go for it: itself,
// if there is no other.
func (c *Connections) add(conn *connection) *connection {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open++
	conn.stranger = c.waiting.PushBack(conn)
	if c.open <= c.limit && c.waiting.Len() <= c.strangers {
		return nil
	}
	return c.waiting.Front().Value.(*connection)
}

// Wrap takes the connections of the requests that come through for known. It
// belongs behind authentication.
func (c *Connections) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if a, ok := req.Context().Value(http.LocalAddrContextKey).(address); ok {
			a.conn.known()
		}
		next.ServeHTTP(w, req)
	})
}

// connection is one of Connections.
type connection struct {
	net.Conn
	of    *Connections
	local address
	// stranger is its place in waiting, closed whether it still counts; both are
	// guarded by the mutex of Connections.
	stranger *list.Element
	closed   bool
	met      sync.Once
}

// address is how the handlers of requests find the connection.
type address struct {
	net.Addr
	conn *connection
}

// LocalAddr implements net.Conn.
func (c *connection) LocalAddr() net.Addr { return c.local }

// Close implements net.Conn.
func (c *connection) Close() error {
	c.of.mu.Lock()
	if !c.closed {
		c.closed = true
		c.of.open--
		c.forgetLocked()
	}
	c.of.mu.Unlock()
	return c.Conn.Close()
}

func (c *connection) known() {
	c.met.Do(func() {
		c.of.mu.Lock()
		defer c.of.mu.Unlock()
		c.forgetLocked()
	})
}

func (c *connection) forgetLocked() {
	if c.stranger != nil {
		c.of.waiting.Remove(c.stranger)
		c.stranger = nil
	}
}
