package probe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

func TestOnce(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/ok":
			fmt.Fprint(w, r.Header.Get("X-Test"))
		case "/away":
			http.Redirect(w, r, "http://example.invalid/", http.StatusFound)
		default:
			w.WriteHeader(http.StatusTeapot)
		}
	}))
	defer srv.Close()
	port := srv.Listener.Addr().(*net.TCPAddr).Port
	gl, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gs, hs := grpc.NewServer(), health.NewServer()
	hs.SetServingStatus("bad", healthpb.HealthCheckResponse_NOT_SERVING)
	healthpb.RegisterHealthServer(gs, hs)
	go func() { _ = gs.Serve(gl) }()
	defer gs.Stop()

	exec := func(code int, out string, err error) func(context.Context, []string, io.Writer) (int, error) {
		return func(_ context.Context, _ []string, w io.Writer) (int, error) {
			fmt.Fprint(w, out)
			return code, err
		}
	}
	get := func(path string) corev1.ProbeHandler {
		return corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: path, Port: intstr.FromString("web"), HTTPHeaders: []corev1.HTTPHeader{{Name: "X-Test", Value: "yes"}}}}
	}
	grpcOf := func(service string) corev1.ProbeHandler {
		return corev1.ProbeHandler{GRPC: &corev1.GRPCAction{Port: int32(gl.Addr().(*net.TCPAddr).Port), Service: &service}}
	}
	run := corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{"x"}}}
	for name, tc := range map[string]struct {
		handler corev1.ProbeHandler
		exec    func(context.Context, []string, io.Writer) (int, error)
		want    Result
		message string
	}{
		"http ok":         {handler: get("/ok"), want: Success, message: "yes"},
		"http bad":        {handler: get("/bad"), want: Failure, message: "HTTP probe failed with statuscode: 418"},
		"http away":       {handler: get("/away"), want: Success, message: "Probe terminated redirects"},
		"tcp ok":          {handler: corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromInt32(int32(port))}}, want: Success},
		"tcp refused":     {handler: corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromInt32(1)}}, want: Failure, message: "connection refused"},
		"tcp port name":   {handler: corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromString("none")}}, want: Failure, message: "invalid port: none"},
		"grpc ok":         {handler: grpcOf(""), want: Success},
		"grpc bad":        {handler: grpcOf("bad"), want: Failure, message: "NOT_SERVING"},
		"exec ok":         {handler: run, exec: exec(0, "fine", nil), want: Success, message: "fine"},
		"exec bad":        {handler: run, exec: exec(1, "broken", nil), want: Failure, message: "broken"},
		"exec timed out":  {handler: run, exec: exec(0, "", context.DeadlineExceeded), want: Failure, message: "command timed out"},
		"exec impossible": {handler: run, exec: exec(0, "", errors.New("no runtime")), want: Unknown},
	} {
		t.Run(name, func(t *testing.T) {
			p := &Prober{Dial: (&net.Dialer{}).DialContext}
			got, msg := p.Once(t.Context(), &corev1.Probe{ProbeHandler: tc.handler, TimeoutSeconds: 1}, Target{
				PodIP: "127.0.0.1", Exec: tc.exec,
				Container: &corev1.Container{Ports: []corev1.ContainerPort{{Name: "web", ContainerPort: int32(port)}}},
			})
			if got != tc.want || !strings.Contains(msg, tc.message) {
				t.Errorf("got %v %q, want %v %q", got, msg, tc.want, tc.message)
			}
		})
	}
}

func TestLoop(t *testing.T) {
	for name, tc := range map[string]struct {
		kind    Kind
		answers string // one per second: s, f, u
		want    string // second and verdict
	}{
		"readiness goes up and down": {Readiness, "ffsssfffs", "2s:f 3s:s 7s:f 9s:s"},
		"liveness ends at failure":   {Liveness, "sfffss", "1s:s 4s:f"},
		"one failure is forgiven":    {Liveness, "sfsfsf", "1s:s"},
		"startup ends at success":    {Startup, "ufsff", "3s:s"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begin := time.Now()
				var got []string
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(len(tc.answers))*time.Second+500*time.Millisecond)
				defer cancel()
				i := 0
				l := &Loop{
					Kind: tc.kind, Started: begin,
					Probe:  &corev1.Probe{InitialDelaySeconds: 1, PeriodSeconds: 1, FailureThreshold: 3, SuccessThreshold: 1},
					Failed: func(string) {},
					Ask: func(context.Context) (Result, string) {
						a := tc.answers[min(i, len(tc.answers)-1)]
						i++
						return map[byte]Result{'s': Success, 'f': Failure, 'u': Unknown}[a], ""
					},
					Verdict: func(r Result, _ string) {
						got = append(got, fmt.Sprintf("%s:%s", time.Since(begin), map[Result]string{Success: "s", Failure: "f"}[r]))
					},
				}
				if strings.HasPrefix(name, "readiness") {
					l.Probe.FailureThreshold = 2
				}
				l.Run(ctx)
				if diff := cmp.Diff(tc.want, strings.Join(got, " ")); diff != "" {
					t.Errorf("(-want +got)\n%s", diff)
				}
			})
		})
	}
}
