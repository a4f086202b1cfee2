package robustness

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
)

// crowded suits attacks by thousands at a time.
var crowded = bounds{memory: 1500}

func (s *siege) address() string { return strings.TrimPrefix(s.config.Host, "https://") }

// connect opens a TLS connection with the administrator's certificate.
func (s *siege) connect(t *testing.T, protocol string) (*tls.Conn, error) {
	t.Helper()
	cfg, err := rest.TLSConfigFor(s.config)
	if err != nil {
		t.Fatal(err)
	}
	cfg = cfg.Clone()
	cfg.NextProtos = []string{protocol}
	return tls.DialWithDialer(newDialer(), "tcp", s.address(), cfg)
}

// many10 is n, and ten times as many in the long run.
func many10(n int) int {
	if os.Getenv("PINTLE_SIEGE") != "" {
		return 10 * n
	}
	return n
}

// closing ends connections with the test.
type closing []io.Closer

func (c closing) Close() {
	for _, each := range c {
		each.Close()
	}
}

// Clients that never finish their headers, or their TLS handshake, or only connect,
// take no room from others: the oldest of them are let go.
func TestConnectionsOfStrangers(t *testing.T) {
	s := besiege(t)
	for name, test := range map[string]struct {
		count int
		begin func(c net.Conn) error
	}{
		"only connect":           {count: 4000, begin: func(net.Conn) error { return nil }},
		"half a TLS handshake":   {count: 3000, begin: func(c net.Conn) error { _, err := c.Write([]byte("\x16\x03\x01\x02\x00\x01\x00")); return err }},
		"noise instead of TLS":   {count: 2000, begin: func(c net.Conn) error { _, err := c.Write([]byte(strings.Repeat("\xff\x00", 500))); return err }},
		"plain HTTP on TLS port": {count: 500, begin: func(c net.Conn) error { _, err := c.Write([]byte("GET / HTTP/1.1\r\n\r\n")); return err }},
	} {
		t.Run(name, func(t *testing.T) {
			s.under(t, crowded, func(t *testing.T) {
				var all closing
				defer func() { all.Close() }()
				for range test.count {
					c, err := newDialer().Dial("tcp", s.address())
					if err != nil {
						t.Fatal(err)
					}
					all = append(all, c)
					_ = test.begin(c) // may be closed already
				}
			})
		})
	}
	t.Run("headers that never end", func(t *testing.T) {
		s.under(t, crowded, func(t *testing.T) {
			var all closing
			defer func() { all.Close() }()
			for range 300 {
				c, err := s.connect(t, "http/1.1")
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, c)
				_, _ = io.WriteString(c, "GET /api HTTP/1.1\r\nHost: a\r\nX-Slow: ")
			}
			for range 20 {
				for _, c := range all {
					_, _ = io.WriteString(c.(net.Conn), "x")
				}
			}
		})
	})
}

// Bodies that never arrive hold up their senders alone.
func TestSlowBodies(t *testing.T) {
	s := besiege(t)
	s.under(t, crowded, func(t *testing.T) {
		var all closing
		defer func() { all.Close() }()
		for range 200 {
			c, err := s.connect(t, "http/1.1")
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, c)
			_, _ = fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n{", mapsPath, 100_000)
		}
		time100 := time.NewTicker(50 * time.Millisecond)
		defer time100.Stop()
		for range 40 {
			<-time100.C
			for _, c := range all {
				_, _ = io.WriteString(c.(net.Conn), " ")
			}
		}
	})
}

// Streams that are reset as soon as they are opened, and headers that go on for
// ever, end the attacker's connection.
func TestHTTP2Abuse(t *testing.T) {
	s := besiege(t)
	for name, abuse := range map[string]func(f *http2.Framer) error{
		"rapid reset": func(f *http2.Framer) error {
			block := headerBlock(s.address())
			for id := uint32(1); id < 200_000; id += 2 {
				if err := f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block, EndStream: true, EndHeaders: true}); err != nil {
					return err
				}
				if err := f.WriteRSTStream(id, http2.ErrCodeCancel); err != nil {
					return err
				}
			}
			return nil
		},
		"headers that continue": func(f *http2.Framer) error {
			if err := f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: headerBlock(s.address())}); err != nil {
				return err
			}
			for range 100_000 {
				if err := f.WriteContinuation(1, false, []byte(strings.Repeat("\x00\x01a\x04xxxx", 100))); err != nil {
					return err
				}
			}
			return nil
		},
		"settings without end": func(f *http2.Framer) error {
			for range 200_000 {
				if err := f.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1}); err != nil {
					return err
				}
			}
			return nil
		},
		"pings without end": func(f *http2.Framer) error {
			for range 200_000 {
				if err := f.WritePing(false, [8]byte{}); err != nil {
					return err
				}
			}
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			s.under(t, crowded, func(t *testing.T) {
				var group sync.WaitGroup
				for range 8 {
					group.Go(func() { s.abuse(t, abuse) })
				}
				group.Wait()
			})
		})
	}
}

func headerBlock(host string) []byte {
	var block strings.Builder
	e := hpack.NewEncoder(&block)
	for _, h := range [][2]string{{":method", "GET"}, {":scheme", "https"}, {":authority", host}, {":path", mapsPath}} {
		_ = e.WriteField(hpack.HeaderField{Name: h[0], Value: h[1]})
	}
	return []byte(block.String())
}

// abuse speaks HTTP/2 until it is through or shown the door, a few seconds at most.
// It reads what it is answered, as an attacker who wants to go on would.
func (s *siege) abuse(t *testing.T, do func(f *http2.Framer) error) {
	c, err := s.connect(t, "h2")
	if err != nil {
		t.Error(err)
		return
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(5 * time.Second))
	if _, err := io.WriteString(c, http2.ClientPreface); err != nil {
		t.Error(err)
		return
	}
	f := http2.NewFramer(c, c)
	if err := f.WriteSettings(); err != nil {
		t.Error(err)
		return
	}
	go func() { _, _ = io.Copy(io.Discard, c) }()
	_ = do(f)
}

// A thousand watches by one client, ten thousand in the long run: each sees the change, memory stays within
// bounds, and once they are gone so is what they took.
func TestManyWatches(t *testing.T) {
	watches := int64(many10(1000))
	s := besiege(t)
	idle := s.settled(t)
	at := s.memory(t, "RssAnon")
	s.under(t, bounds{memory: 1500}, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var open, told atomic.Int64
		var group sync.WaitGroup
		began := time.Now()
		slots := make(chan struct{}, 64)
		for range watches {
			slots <- struct{}{}
			group.Go(func() { s.watchOne(ctx, t, &open, &told, func() { <-slots }) })
		}
		eventually(t, time.Minute, "all watches to be open", func(context.Context) (bool, string) {
			return open.Load() == watches, fmt.Sprint(open.Load())
		})
		t.Logf("%d watches open after %s; the server holds %d MiB, %d goroutines", watches, time.Since(began).Round(time.Millisecond), s.memory(t, "VmRSS"), s.goroutines(t))
		began = time.Now()
		_, err := s.kube.CoreV1().Secrets(metav1.NamespaceDefault).Create(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "seen"}}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		eventually(t, time.Minute, "all watches to be told", func(context.Context) (bool, string) {
			return told.Load() == watches, fmt.Sprint(told.Load())
		})
		t.Logf("all told %s after the change", time.Since(began).Round(time.Millisecond))
		cancel()
		group.Wait()
	})
	s.http.CloseIdleConnections()
	eventually(t, time.Minute, "the goroutines of the watches to end", func(context.Context) (bool, string) {
		n := s.goroutines(t)
		return n < idle+300, fmt.Sprintf("%d, before %d", n, idle)
	})
	t.Logf("afterwards %d MiB anonymous (before %d), %d goroutines (before %d)", s.memory(t, "RssAnon"), at, s.goroutines(t), idle)
}

// watchOne counts itself open once it is answered, and told at the first event.
func (s *siege) watchOne(ctx context.Context, t *testing.T, open, told *atomic.Int64, answered func()) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.config.Host+"/api/v1/namespaces/default/secrets?watch=true&resourceVersion=0", nil)
	if err != nil {
		t.Error(err)
		return
	}
	resp, err := s.http.Do(req)
	answered()
	if err != nil {
		if ctx.Err() == nil {
			t.Error(err)
		}
		return
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("a watch is answered %s", resp.Status)
		return
	}
	open.Add(1)
	n, err := resp.Body.Read(make([]byte, 16))
	if n == 0 && !errors.Is(err, context.Canceled) {
		t.Errorf("a watch ended: %v", err)
	}
	told.Add(1)
	<-ctx.Done()
}

// settled waits until controllers run and nothing more is being started, and
// returns the number of goroutines then. The server answers earlier.
func (s *siege) settled(t *testing.T) int {
	t.Helper()
	var n, alike int
	eventually(t, time.Minute, "the server to settle", func(ctx context.Context) (bool, string) {
		if _, err := s.kube.CoreV1().ServiceAccounts(metav1.NamespaceDefault).Get(ctx, "default", metav1.GetOptions{}); err != nil {
			return false, err.Error()
		}
		now := s.goroutines(t)
		if now > n+10 || now < n-10 {
			n, alike = now, 0
		}
		alike++
		return alike > 25, fmt.Sprint(now)
	})
	return n
}

// goroutines asks the server's metrics.
func (s *siege) goroutines(t *testing.T) int {
	t.Helper()
	a, err := s.send(t.Context(), call{method: http.MethodGet, path: "/metrics"})
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(a.body)) {
		var n int
		if _, err := fmt.Sscanf(line, "go_goroutines %d", &n); err == nil {
			return n
		}
	}
	t.Fatal("the metrics do not count goroutines")
	return 0
}

// Watchers that never read what they are sent cost a bounded buffer each.
func TestWatchersThatNeverRead(t *testing.T) {
	s := besiege(t)
	maps := s.kube.CoreV1().ConfigMaps(metav1.NamespaceDefault)
	cm, err := maps.Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "news"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	s.under(t, crowded, func(t *testing.T) {
		var all closing
		defer func() { all.Close() }()
		for range 200 {
			c, err := s.connect(t, "http/1.1")
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, c)
			_, _ = fmt.Fprintf(c, "GET %s?watch=true HTTP/1.1\r\nHost: a\r\n\r\n", mapsPath)
		}
		// 100 MB of events, for each of 200.
		for i := range 200 {
			cm.Data = map[string]string{"n": fmt.Sprint(i, strings.Repeat("x", 500_000))}
			if cm, err = maps.Update(t.Context(), cm, metav1.UpdateOptions{}); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// Many lists of a large collection at once, in every form.
func TestListsAtOnce(t *testing.T) {
	s := besiege(t)
	fill(t, s, many10(1000))
	for name, accept := range map[string]string{
		"JSON":     asJSON,
		"YAML":     asYAML,
		"protobuf": asProto,
		"tables":   "application/json;as=Table;v=v1;g=meta.k8s.io",
		"metadata": "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io",
		"gzip":     asJSON,
	} {
		t.Run(name, func(t *testing.T) {
			s.under(t, crowded, func(t *testing.T) {
				var group sync.WaitGroup
				codes := sync.Map{}
				for range 50 {
					group.Go(func() {
						a, err := s.send(t.Context(), call{method: http.MethodGet, path: mapsPath, header: http.Header{"Accept": {accept}}})
						if err != nil {
							t.Error(err)
							return
						}
						n, _ := codes.LoadOrStore(a.code, &atomic.Int64{})
						n.(*atomic.Int64).Add(1)
						if a.code != http.StatusOK && a.code != http.StatusTooManyRequests {
							t.Errorf("answered %d %.300s", a.code, a.body)
						}
					})
				}
				group.Wait()
				codes.Range(func(code, n any) bool { t.Logf("%d answers of %d", n.(*atomic.Int64).Load(), code); return true })
			})
		})
	}
}

// fill makes n ConfigMaps of a kilobyte.
func fill(t *testing.T, s *siege, n int) {
	t.Helper()
	var group sync.WaitGroup
	for w := range writers {
		group.Go(func() {
			for i := w; i < n; i += writers {
				_, err := s.kube.CoreV1().ConfigMaps(metav1.NamespaceDefault).Create(t.Context(), &corev1.ConfigMap{
					ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("fill-%d", i)}, Data: map[string]string{"k": strings.Repeat("x", 1000)},
				}, metav1.CreateOptions{})
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
}
