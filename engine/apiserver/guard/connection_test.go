package guard

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"k8s.io/client-go/kubernetes/scheme"

	"k8s.io/apiserver/pkg/endpoints/request"
)

func listen(t *testing.T, limit, strangers int) *Connections {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return NewConnections(l, limit, strangers)
}

// pair connects to the listener and returns both ends.
func pair(t *testing.T, c *Connections) (near, far net.Conn) {
	t.Helper()
	near, err := net.Dial("tcp", c.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { near.Close() })
	if far, err = c.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { far.Close() })
	return near, far
}

// meet sends an authenticated request through a connection.
func meet(c *Connections, far net.Conn) {
	ctx := context.WithValue(context.Background(), http.LocalAddrContextKey, far.LocalAddr())
	c.Wrap(http.NotFoundHandler()).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil).WithContext(ctx))
}

func isOpen(near net.Conn) bool {
	_ = near.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
	_, err := near.Read(make([]byte, 1))
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

func TestStrangersMakeRoom(t *testing.T) {
	c := listen(t, 10, 2)
	friend, far := pair(t, c)
	meet(c, far)
	meet(c, far)
	first, _ := pair(t, c)
	second, _ := pair(t, c)
	if !isOpen(friend) || !isOpen(first) || !isOpen(second) {
		t.Error("a connection within the limits was closed")
	}
	third, _ := pair(t, c)
	if isOpen(first) {
		t.Error("the oldest stranger did not make room")
	}
	if !isOpen(friend) || !isOpen(second) || !isOpen(third) {
		t.Error("another than the oldest stranger had to go")
	}
}

// With no room for strangers left, the newcomer goes.
func TestFullOfFriends(t *testing.T) {
	c := listen(t, 2, 2)
	var friends []net.Conn
	for range 2 {
		near, far := pair(t, c)
		meet(c, far)
		friends = append(friends, near)
	}
	late, _ := pair(t, c)
	if isOpen(late) {
		t.Error("a third connection stays, the limit is 2")
	}
	if !isOpen(friends[0]) || !isOpen(friends[1]) {
		t.Error("a friend had to go")
	}
	friends[0].Close()
	if _, err := late.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Logf("closed with %v", err)
	}
}

func TestClosedConnectionsAreNotCounted(t *testing.T) {
	c := listen(t, 3, 3)
	for range 10 {
		near, far := pair(t, c)
		meet(c, far)
		far.Close()
		far.Close()
		near.Close()
	}
	if c.open != 0 || c.waiting.Len() != 0 {
		t.Errorf("%d open, %d strangers", c.open, c.waiting.Len())
	}
	near, _ := pair(t, c)
	if !isOpen(near) {
		t.Error("no room after others were closed")
	}
}

func TestStreams(t *testing.T) {
	s := &Streams{Limit: 4, Codecs: scheme.Codecs, LongRunning: func(*http.Request, *request.RequestInfo) bool { return true }}
	hold, held := make(chan struct{}), make(chan struct{})
	handler := s.Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { held <- struct{}{}; <-hold }))
	watch := func(who string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, incoming(who, "watch", http.NoBody, ""))
		return w
	}
	done := make(chan struct{})
	for range 3 {
		go func() { watch("greedy"); done <- struct{}{} }()
		<-held
	}
	if status := answered(t, watch("greedy")); status.Code != http.StatusTooManyRequests {
		t.Errorf("a user's fourth of four is answered %d", status.Code)
	}
	go func() { watch("modest"); done <- struct{}{} }()
	<-held
	if status := answered(t, watch("third")); status.Code != http.StatusTooManyRequests {
		t.Errorf("the fifth of four is answered %d", status.Code)
	}
	close(hold)
	for range 4 {
		<-done
	}
	if s.mu.all != 0 || len(s.mu.byUser) != 0 {
		t.Errorf("%d still counted, of %d users", s.mu.all, len(s.mu.byUser))
	}
}
