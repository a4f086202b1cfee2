package apiserver_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/client-go/transport/spdy"
	criportforward "k8s.io/cri-streaming/pkg/streaming/portforward"
	criremotecommand "k8s.io/cri-streaming/pkg/streaming/remotecommand"

	"github.com/pintle-io/pintle/engine/apiserver"
	"github.com/pintle-io/pintle/engine/registry"
)

// agent is a node agent of one pod "p" with a container "c": its log is its path,
// its commands echo their input, its ports greet.
type agent struct{ *httptest.Server }

func newAgent(t *testing.T) *agent {
	a := &agent{}
	mux := http.NewServeMux()
	mux.HandleFunc("/containerLogs/", func(w http.ResponseWriter, req *http.Request) {
		fmt.Fprintf(w, "%s?%s\n", req.URL.Path, req.URL.RawQuery)
	})
	mux.HandleFunc("/exec/a/p/c", func(w http.ResponseWriter, req *http.Request) {
		opts, err := criremotecommand.NewOptions(req)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		criremotecommand.ServeExec(w, req, a, "p", "", "c", req.URL.Query()["command"], opts, time.Minute, time.Minute,
			criremotecommand.SupportedStreamingProtocols)
	})
	mux.HandleFunc("/portForward/a/p", func(w http.ResponseWriter, req *http.Request) {
		opts, err := criportforward.NewV4Options(req)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		criportforward.ServePortForward(w, req, a, "p", "", opts, time.Minute, time.Minute, []string{criportforward.ProtocolV1Name})
	})
	mux.HandleFunc("/stats/summary", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "{}") })
	a.Server = httptest.NewTLSServer(mux)
	t.Cleanup(a.Close)
	return a
}

// ExecInContainer implements the streaming server's Executor.
func (*agent) ExecInContainer(_ context.Context, _, _, _ string, cmd []string, in io.Reader, out, _ io.WriteCloser, _ bool, _ <-chan criremotecommand.TerminalSize, _ time.Duration) error {
	if cmd[0] == "fail" {
		return errors.New("no such command")
	}
	fmt.Fprintln(out, strings.Join(cmd, " "))
	_, err := io.Copy(out, in)
	return err
}

// PortForward implements the streaming server's PortForwarder.
func (*agent) PortForward(_ context.Context, _, _ string, port int32, stream io.ReadWriteCloser) error {
	fmt.Fprintf(stream, "port %d", port)
	return stream.Close()
}

// startWithAgent runs a server whose pod "p" of namespace "a" is on the agent.
func startWithAgent(t *testing.T) *environment {
	t.Helper()
	a := newAgent(t)
	e := start(t, func(r *registry.Config, _ *apiserver.Config) {
		r.Hooks.NodeTransport = &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
	})
	t.Cleanup(a.CloseClientConnections)
	e.namespace(t, "a")
	host, port, _ := net.SplitHostPort(a.Listener.Addr().String())
	number, _ := strconv.Atoi(port)
	node, err := e.kube.CoreV1().Nodes().Create(e.ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	node.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: host}}
	node.Status.DaemonEndpoints.KubeletEndpoint.Port = int32(number)
	if _, err := e.kube.CoreV1().Nodes().UpdateStatus(e.ctx, node, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	e.createPod(t, "a", "p")
	if err := e.bind("a", "p", "n"); err != nil {
		t.Fatal(err)
	}
	return e
}

func TestLogsComeFromTheAgent(t *testing.T) {
	e := startWithAgent(t)
	tail := int64(3)
	raw, err := e.kube.CoreV1().Pods("a").GetLogs("p", &corev1.PodLogOptions{TailLines: &tail, Timestamps: true}).DoRaw(e.ctx)
	if err != nil {
		t.Fatal(err)
	}
	if want := "/containerLogs/a/p/c?tailLines=3&timestamps=true\n"; string(raw) != want {
		t.Errorf("got %q, want %q", raw, want)
	}
	err = e.kube.CoreV1().Pods("a").GetLogs("p", &corev1.PodLogOptions{Container: "x"}).Do(e.ctx).Error()
	if !apierrors.IsBadRequest(err) || !strings.Contains(err.Error(), "container x is not valid for pod p") {
		t.Errorf("wrong container: %v", err)
	}
	raw, err = e.kube.CoreV1().RESTClient().Get().Resource("nodes").Name("n").SubResource("proxy").Suffix("stats/summary").DoRaw(e.ctx)
	if err != nil || string(raw) != "{}" {
		t.Errorf("node proxy: %q %v", raw, err)
	}
}

func TestExecThroughBothProtocols(t *testing.T) {
	e := startWithAgent(t)
	location := func(stdin bool, command ...string) *url.URL {
		return e.kube.CoreV1().RESTClient().Get().Namespace("a").Resource("pods").Name("p").SubResource("exec").
			VersionedParams(&corev1.PodExecOptions{Command: command, Stdin: stdin, Stdout: true, Stderr: true}, scheme.ParameterCodec).URL()
	}
	for name, build := range map[string]func(*url.URL) (remotecommand.Executor, error){
		"websocket": func(u *url.URL) (remotecommand.Executor, error) {
			return remotecommand.NewWebSocketExecutor(e.rest, "GET", u.String())
		},
		"spdy": func(u *url.URL) (remotecommand.Executor, error) {
			return remotecommand.NewSPDYExecutor(e.rest, "POST", u)
		},
	} {
		executor, err := build(location(true, "cat", "-"))
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		err = executor.StreamWithContext(e.ctx, remotecommand.StreamOptions{Stdin: strings.NewReader("typed"), Stdout: &out, Stderr: io.Discard})
		if err != nil || out.String() != "cat -\ntyped" {
			t.Errorf("%s: %q %v", name, out.String(), err)
		}
		executor, err = build(location(false, "fail"))
		if err != nil {
			t.Fatal(err)
		}
		err = executor.StreamWithContext(e.ctx, remotecommand.StreamOptions{Stdout: io.Discard, Stderr: io.Discard})
		if err == nil || !strings.Contains(err.Error(), "no such command") {
			t.Errorf("%s: failing command: %v", name, err)
		}
	}
}

func TestPortForwardThroughBothProtocols(t *testing.T) {
	e := startWithAgent(t)
	u := e.kube.CoreV1().RESTClient().Post().Namespace("a").Resource("pods").Name("p").SubResource("portforward").URL()
	roundTripper, upgrader, err := spdy.RoundTripperFor(e.rest)
	if err != nil {
		t.Fatal(err)
	}
	overSPDY := spdy.NewDialer(upgrader, &http.Client{Transport: roundTripper}, "POST", u)
	overWebSocket, err := portforward.NewSPDYOverWebsocketDialer(u, e.rest)
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]func(stop, ready chan struct{}) (*portforward.PortForwarder, error){
		"spdy": func(stop, ready chan struct{}) (*portforward.PortForwarder, error) {
			return portforward.New(overSPDY, []string{"0:8080"}, stop, ready, io.Discard, io.Discard)
		},
		"websocket": func(stop, ready chan struct{}) (*portforward.PortForwarder, error) {
			return portforward.New(overWebSocket, []string{"0:8080"}, stop, ready, io.Discard, io.Discard)
		},
	} {
		stop, ready := make(chan struct{}), make(chan struct{})
		forwarder, err := test(stop, ready)
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() { done <- forwarder.ForwardPorts() }()
		select {
		case <-ready:
		case err := <-done:
			t.Fatalf("%s: %v", name, err)
		}
		ports, err := forwarder.GetPorts()
		if err != nil {
			t.Fatal(err)
		}
		conn, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(int(ports[0].Local))))
		if err != nil {
			t.Fatal(err)
		}
		greeting, err := io.ReadAll(conn)
		if err != nil || string(greeting) != "port 8080" {
			t.Errorf("%s: %q %v", name, greeting, err)
		}
		conn.Close()
		close(stop)
		<-done
	}
}
