package ingress

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"k8s.io/utils/ptr"
)

// front is a handler over one Ingress that leads everything to Service web, whose
// endpoints are these.
func front(t *testing.T, app *string, at ...string) *httptest.Server {
	t.Helper()
	var o objects
	o.serve("web", app, at...)
	table := Build(parse(t, "metadata: {name: x}\nspec: {rules: [{host: web.example, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}}]}"), o)
	b := newBalancer()
	t.Cleanup(b.close)
	s := httptest.NewServer(newHandler(func() *Table { return table }, b, slog.New(slog.DiscardHandler)))
	t.Cleanup(s.Close)
	return s
}

func ask(t *testing.T, s *httptest.Server, method, host, path, body string, header ...string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.URL, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Host, req.URL.Path = host, path
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := s.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(got)
}

func echo(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	fmt.Fprintf(w, "%s %s %s for=%s proto=%s host=%s body=%s", r.Proto, r.Host, r.URL.Path,
		r.Header.Get("X-Forwarded-For"), r.Header.Get("X-Forwarded-Proto"), r.Header.Get("X-Forwarded-Host"), body)
}

// nobody is an address that refuses connections.
func nobody(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func TestForwarded(t *testing.T) {
	web := httptest.NewServer(http.HandlerFunc(echo))
	defer web.Close()
	s := front(t, nil, web.Listener.Addr().String())
	status, got := ask(t, s, "POST", "web.example", "/a/b", "hello", "X-Forwarded-For", "6.6.6.6", "X-Forwarded-Proto", "https")
	if want := "HTTP/1.1 web.example /a/b for=127.0.0.1 proto=http host=web.example body=hello"; status != 200 || got != want {
		t.Errorf("%d %s, want %s", status, got, want)
	}
}

// TestAnotherEndpoint: a request goes to another endpoint, with its body, if the
// first cannot be reached.
func TestAnotherEndpoint(t *testing.T) {
	web := httptest.NewServer(http.HandlerFunc(echo))
	defer web.Close()
	s := front(t, nil, nobody(t), web.Listener.Addr().String())
	for range 20 {
		if status, got := ask(t, s, "POST", "web.example", "/", "body"); status != 200 || !strings.HasSuffix(got, "body=body") {
			t.Fatalf("%d %s", status, got)
		}
	}
}

func TestRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		at         []string
		host, path string
		status     int
		says       string
	}{
		"host":     {nil, "other.example", "/x", 404, `no ingress has a rule for host "other.example" and path "/x"`},
		"endpoint": {nil, "web.example", "/", 503, "ingress ns/x: service ns/web has no ready endpoint for port 80"},
		"refused":  {[]string{nobody(t)}, "web.example", "/", 502, "ingress ns/x: service ns/web:80: dial tcp"},
		"climbs":   {nil, "web.example", "/public/../admin", 400, "the path has a .. element"},
	} {
		status, got := ask(t, front(t, nil, c.at...), "GET", c.host, c.path, "")
		if status != c.status || !strings.Contains(got, c.says) {
			t.Errorf("%s: %d %s, want %d %s", name, status, got, c.status, c.says)
		}
	}
}

// TestProtocols: gRPC-like HTTP/2 without TLS, and TLS, by the port's appProtocol.
func TestProtocols(t *testing.T) {
	h2c := httptest.NewUnstartedServer(http.HandlerFunc(echo))
	h2c.Config.Protocols = new(http.Protocols)
	h2c.Config.Protocols.SetUnencryptedHTTP2(true)
	h2c.Start()
	defer h2c.Close()
	secure := httptest.NewTLSServer(http.HandlerFunc(echo))
	defer secure.Close()
	for app, c := range map[string]struct{ at, want string }{
		"kubernetes.io/h2c": {h2c.Listener.Addr().String(), "HTTP/2.0 web.example"},
		"https":             {secure.Listener.Addr().String(), "HTTP/1.1 web.example"},
	} {
		if status, got := ask(t, front(t, ptr.To(app), c.at), "GET", "web.example", "/", ""); status != 200 || !strings.HasPrefix(got, c.want) {
			t.Errorf("%s: %d %s", app, status, got)
		}
	}
}

// TestUpgrade is a WebSocket's handshake and what follows it, both ways.
func TestUpgrade(t *testing.T) {
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, rw, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n", r.Header.Get("Upgrade"))
		line, _ := rw.ReadString('\n')
		fmt.Fprint(conn, "heard ", line)
	}))
	defer web.Close()
	s := front(t, nil, web.Listener.Addr().String())
	conn, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "GET / HTTP/1.1\r\nHost: web.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	r := bufio.NewReader(conn)
	resp, err := http.ReadResponse(r, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("%v %v", resp, err)
	}
	fmt.Fprint(conn, "hello\n")
	if got, err := r.ReadString('\n'); err != nil || got != "heard hello\n" {
		t.Errorf("%q, %v", got, err)
	}
}

// TestServerName: the listener's certificate is the table's of that moment, else its
// own, over HTTP/2.
func TestServerName(t *testing.T) {
	first, err := ownCertificate(someTime)
	if err != nil {
		t.Fatal(err)
	}
	table := Build(nil, objects{})
	table.certs["web.example"] = first
	web := httptest.NewServer(http.HandlerFunc(echo))
	defer web.Close()
	s, err := newServer(func() *Table { return table }, http.HandlerFunc(echo), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	plain, secure := addrPort(nobody(t)), addrPort(nobody(t))
	if err := s.listen(t.Context(), plain, secure); err != nil {
		t.Fatal(err)
	}
	defer s.wait()
	defer s.close()
	serial := func(name string) string {
		d := tls.Dialer{Config: &tls.Config{ServerName: name, InsecureSkipVerify: true, NextProtos: []string{"h2"}}}
		conn, err := d.DialContext(context.Background(), "tcp", secure.String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		state := conn.(*tls.Conn).ConnectionState()
		if state.NegotiatedProtocol != "h2" {
			t.Errorf("%s speaks %q", name, state.NegotiatedProtocol)
		}
		return state.PeerCertificates[0].SerialNumber.String()
	}
	want := fmt.Sprint(someTime.UnixNano())
	if got := serial("web.example"); got != want {
		t.Errorf("web.example: certificate %s, want %s", got, want)
	}
	if got := serial("other.example"); got == want {
		t.Error("other.example has the certificate of web.example")
	}
}
