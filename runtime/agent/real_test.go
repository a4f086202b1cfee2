package agent

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/client-go/transport/spdy"

	"github.com/pintle-io/pintle/runtime/container/containertest"
	"github.com/pintle-io/pintle/runtime/containerd"
	"github.com/pintle-io/pintle/runtime/network"
)

// realFixture runs an agent on real containers and a real pod network.
type realFixture struct {
	*fixture
	rest *rest.Config // of the kubelet API
}

func newRealFixture(t *testing.T) *realFixture {
	t.Helper()
	socket := containertest.StartContainerd(t)
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	rt, err := containerd.New(t.Context(), containerd.Config{Address: socket, Namespace: "agenttest", StateDir: t.TempDir(), Logger: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { rt.Close() })
	archive, err := os.Open(containertest.Archive(t, "busybox:test", containertest.BusyboxImage(t)))
	if err != nil {
		t.Fatal(err)
	}
	defer archive.Close()
	if _, err := rt.ImportImages(t.Context(), archive); err != nil {
		t.Fatal(err)
	}
	nw, err := network.New(network.Config{
		DataDir: t.TempDir(), Bridge: "pintle-agt0", Table: "pintle-agent-test", Logger: log,
		ClusterCIDR: netip.MustParsePrefix("10.213.0.0/16"), PodCIDRs: []netip.Prefix{netip.MustParsePrefix("10.213.7.0/24")},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := nw.Down(context.Background()); err != nil {
			t.Error(err)
		}
	})
	f := &realFixture{fixture: &fixture{t: t, client: newClient(), runtime: rt, network: &noNetwork{}}}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ca, server, client := certificates(t)
	f.rest = &rest.Config{Host: "https://" + l.Addr().String(), TLSClientConfig: client}
	f.cfg = Config{
		NodeName: nodeName, NodeIPs: []string{"192.0.2.1"}, Client: f.client, Runtime: rt, Network: nw,
		DataDir: t.TempDir(), CgroupParent: "/pintle-agent-real", ClusterDNS: []string{"10.0.0.10"},
		CrashBackoff: 500 * time.Millisecond, Logger: log,
		Listener: l, ServerTLS: server, ClientCA: ca,
	}
	f.start()
	t.Cleanup(func() {
		f.stop()
		a, err := New(f.cfg)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
		defer cancel()
		if err := a.Shutdown(ctx); err != nil {
			t.Error(err)
		}
	})
	return f
}

// certificates makes a CA, a server certificate for loopback and an admin's.
func certificates(t *testing.T) (*x509.CertPool, *tls.Certificate, rest.TLSClientConfig) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "admin", Organization: []string{"system:masters"}},
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage:    x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: keyDER})
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(certPEM)
	return pool, &pair, rest.TLSClientConfig{CAData: certPEM, CertData: certPEM, KeyData: keyPEM}
}

// exec runs a command through the kubelet API, by WebSocket or SPDY.
func (f *realFixture) exec(pod, ctr string, spdyOnly bool, stdin io.Reader, cmd ...string) (string, error) {
	f.t.Helper()
	q := url.Values{"output": {"1"}, "error": {"1"}, "command": cmd}
	if stdin != nil {
		q.Set("input", "1")
	}
	u, err := url.Parse(f.rest.Host + "/exec/default/" + pod + "/" + ctr + "?" + q.Encode())
	if err != nil {
		f.t.Fatal(err)
	}
	var ex remotecommand.Executor
	if spdyOnly {
		ex, err = remotecommand.NewSPDYExecutor(f.rest, "POST", u)
	} else {
		// Version 5 is what the API server speaks with kubectl; to nodes it speaks SPDY.
		ex, err = remotecommand.NewWebSocketExecutorForProtocols(f.rest, "GET", u.String(), "v4.channel.k8s.io")
	}
	if err != nil {
		f.t.Fatal(err)
	}
	var out, errOut bytes.Buffer
	err = ex.StreamWithContext(f.t.Context(), remotecommand.StreamOptions{Stdin: stdin, Stdout: &out, Stderr: &errOut})
	return out.String() + errOut.String(), err
}

func (f *realFixture) get(path string) (int, string) {
	f.t.Helper()
	tr, err := rest.HTTPClientFor(f.rest)
	if err != nil {
		f.t.Fatal(err)
	}
	resp, err := tr.Get(f.rest.Host + path)
	if err != nil {
		f.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		f.t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// eventually polls until ok.
func (f *realFixture) eventually(what string, ok func() bool) {
	f.t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(30 * time.Second); !ok(); <-tick.C {
		if time.Now().After(deadline) {
			f.t.Fatalf("not within 30 s: %s", what)
		}
	}
}

func TestRealPod(t *testing.T) {
	f := newRealFixture(t)
	core := f.client.CoreV1()
	if _, err := core.ConfigMaps("default").Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "cm"}, Data: map[string]string{"page": "first", "KEY": "from-cm"}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := core.Secrets("default").Create(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "sec"}, Data: map[string][]byte{"pw": []byte("hidden")}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	init := shell("init", "echo $(INIT_VAR) > /shared/file")
	init.Env = []corev1.EnvVar{{Name: "INIT_VAR", Value: "made-by-init"}}
	init.VolumeMounts = []corev1.VolumeMount{{Name: "shared", MountPath: "/shared"}}
	web := shell("web", "echo started; echo problem >&2; cp /shared/file /www/ 2>/dev/null; exec busybox httpd -f -p 8080 -h /content")
	uid := int64(1000)
	yes := true
	web.SecurityContext = &corev1.SecurityContext{RunAsUser: &uid, ReadOnlyRootFilesystem: &yes, SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault}}
	web.Env = []corev1.EnvVar{
		{Name: "PW", ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{LocalObjectReference: corev1.LocalObjectReference{Name: "sec"}, Key: "pw"}}},
		{Name: "IP", ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: "status.podIP"}}},
		{Name: "LIMIT", ValueFrom: &corev1.EnvVarSource{ResourceFieldRef: &corev1.ResourceFieldSelector{Resource: "limits.memory"}}},
	}
	web.EnvFrom = []corev1.EnvFromSource{{Prefix: "CM_", ConfigMapRef: &corev1.ConfigMapEnvSource{LocalObjectReference: corev1.LocalObjectReference{Name: "cm"}}}}
	web.Resources = corev1.ResourceRequirements{Limits: corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("64Mi"), corev1.ResourceCPU: resource.MustParse("500m")}}
	web.VolumeMounts = []corev1.VolumeMount{{Name: "shared", MountPath: "/shared"}, {Name: "content", MountPath: "/content"}}
	web.ReadinessProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/page", Port: intstr.FromInt32(8080)}}, PeriodSeconds: 1}
	pod := newPod("web", web)
	pod.Spec.InitContainers = []corev1.Container{init}
	pod.Spec.Volumes = []corev1.Volume{
		{Name: "shared", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
		{Name: "content", VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{LocalObjectReference: corev1.LocalObjectReference{Name: "cm"}}}},
	}
	begin := time.Now()
	f.create(pod)
	got := f.await("web", "ready", ready)
	t.Logf("ready after %s", time.Since(begin))
	if s := got.Status.InitContainerStatuses[0]; s.State.Terminated == nil || s.State.Terminated.Reason != "Completed" || !s.Ready {
		t.Errorf("init container: %+v", s)
	}

	for _, spdyOnly := range []bool{false, true} {
		out, err := f.exec("web", "web", spdyOnly, nil, "/bin/sh", "-c", "echo $PW $IP $LIMIT $CM_KEY; cat /shared/file; id -u; hostname; cat /etc/resolv.conf")
		want := fmt.Sprintf("hidden %s 67108864 from-cm\nmade-by-init\n1000\nweb\nsearch default.svc.cluster.local svc.cluster.local cluster.local", got.Status.PodIP)
		if err != nil || !strings.HasPrefix(out, want) {
			t.Errorf("spdy=%v: %q, %v; want %q", spdyOnly, out, err, want)
		}
		if !spdyOnly {
			// Before version 5 the end of the input cannot be told.
			continue
		}
		if out, err = f.exec("web", "web", spdyOnly, strings.NewReader("in and out\n"), "cat"); err != nil || out != "in and out\n" {
			t.Errorf("spdy=%v stdin: %q, %v", spdyOnly, out, err)
		}
		if _, err = f.exec("web", "web", spdyOnly, nil, "/bin/sh", "-c", "exit 7"); err == nil || !strings.Contains(err.Error(), "exit code 7") {
			t.Errorf("spdy=%v exit code: %v", spdyOnly, err)
		}
	}
	if out, err := f.exec("web", "web", false, nil, "touch", "/x"); err == nil {
		t.Errorf("the root file system is writable: %q", out)
	}
	if code, text := f.get("/containerLogs/default/web/web"); code != 200 || !strings.Contains(text, "started\n") || !strings.Contains(text, "problem\n") {
		t.Errorf("logs: %d %q", code, text)
	}
	if code, text := f.get("/containerLogs/default/web/web?previous=true"); code != 400 {
		t.Errorf("previous logs: %d %q", code, text)
	}
	if code, text := f.get("/stats/summary"); code != 200 || !strings.Contains(text, `"usageCoreNanoSeconds"`) {
		t.Errorf("stats: %d %q", code, text)
	}
	f.portForward(t, "web")

	cm, err := core.ConfigMaps("default").Get(t.Context(), "cm", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	cm.Data["page"] = "second"
	if _, err := core.ConfigMaps("default").Update(t.Context(), cm, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	f.eventually("the volume follows its ConfigMap", func() bool {
		resp, err := http.Get("http://" + net.JoinHostPort(got.Status.PodIP, "8080") + "/page")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, _ := io.ReadAll(resp.Body)
		return string(b) == "second"
	})

	// The agent goes and comes back; the container stays.
	f.stop()
	if f.cfg.Listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	f.rest.Host = "https://" + f.cfg.Listener.Addr().String()
	f.start()
	if _, err := f.exec("web", "web", false, nil, "true"); err != nil {
		f.eventually("exec works again", func() bool { _, err := f.exec("web", "web", false, nil, "true"); return err == nil })
	}
	after := f.await("web", "ready", ready)
	if a, b := got.Status.ContainerStatuses[0], after.Status.ContainerStatuses[0]; a.ContainerID != b.ContainerID || b.RestartCount != 0 {
		t.Errorf("container was replaced: %+v, %+v", a, b)
	}
	f.markDeleted("web", 1)
	f.await("web", "deleted", func(p *corev1.Pod) bool { return p == nil })
}

func (f *realFixture) portForward(t *testing.T, pod string) {
	t.Helper()
	tr, up, err := spdy.RoundTripperFor(f.rest)
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(f.rest.Host + "/portForward/default/" + pod)
	if err != nil {
		t.Fatal(err)
	}
	stop, readyCh := make(chan struct{}), make(chan struct{})
	pf, err := portforward.NewOnAddresses(spdy.NewDialer(up, &http.Client{Transport: tr}, "POST", u), []string{"127.0.0.1"}, []string{"0:8080"}, stop, readyCh, io.Discard, os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	errc := make(chan error, 1)
	go func() { errc <- pf.ForwardPorts() }()
	select {
	case <-readyCh:
	case err := <-errc:
		t.Fatal(err)
	}
	defer func() { close(stop); <-errc }()
	ports, err := pf.GetPorts()
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		resp, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/page", ports[0].Local))
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || string(b) != "first" {
			t.Errorf("through the forwarded port: %q, %v", b, err)
		}
	}
}

func TestRealEnds(t *testing.T) {
	f := newRealFixture(t)
	oom := shell("c", "x=$(dd if=/dev/zero bs=1M count=200 | tr '\\0' 'x'); echo ${#x}")
	oom.Resources.Limits = corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("16Mi")}
	message := shell("c", "echo why it ended > /dev/termination-log; exit 4")
	fallback := shell("c", "echo last words; exit 5")
	fallback.TerminationMessagePolicy = corev1.TerminationMessageFallbackToLogsOnError
	missing := corev1.Container{Name: "c", Image: testImage, Command: []string{"/no/such/program"}}
	for name, tc := range map[string]struct {
		c               corev1.Container
		code            int32
		reason, message string
	}{
		"oom":      {oom, 137, "OOMKilled", ""},
		"message":  {message, 4, "Error", "why it ended"},
		"fallback": {fallback, 5, "Error", "last words"},
		"missing":  {missing, 128, "StartError", "no such file or directory"},
	} {
		pod := newPod(name, tc.c)
		pod.Spec.RestartPolicy = corev1.RestartPolicyNever
		f.create(pod)
		t.Run(name, func(t *testing.T) {
			got := f.await(name, "failed", func(p *corev1.Pod) bool { return p != nil && p.Status.Phase == corev1.PodFailed })
			s := got.Status.ContainerStatuses[0].State.Terminated
			if s == nil || s.ExitCode != tc.code || s.Reason != tc.reason || !strings.Contains(s.Message, tc.message) {
				t.Errorf("%+v", s)
			}
		})
	}
}

func TestRealProbesAndHooks(t *testing.T) {
	f := newRealFixture(t)
	c := shell("c", "trap 'cat /data/hook >> /data/log; exit 0' TERM; touch /tmp/ok; while true; do sleep 0.1; done")
	c.VolumeMounts = []corev1.VolumeMount{{Name: "data", MountPath: "/data", SubPath: "sub"}}
	c.Lifecycle = &corev1.Lifecycle{
		PostStart: &corev1.LifecycleHandler{Exec: &corev1.ExecAction{Command: []string{"/bin/sh", "-c", "echo post > /data/post"}}},
		PreStop:   &corev1.LifecycleHandler{Exec: &corev1.ExecAction{Command: []string{"/bin/sh", "-c", "echo pre > /data/hook"}}},
	}
	c.LivenessProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{"cat", "/tmp/ok"}}}, PeriodSeconds: 1, FailureThreshold: 1, InitialDelaySeconds: 1}
	c.StartupProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{"cat", "/tmp/ok"}}}, PeriodSeconds: 1, FailureThreshold: 30}
	host := t.TempDir()
	pod := newPod("p", c)
	pod.Spec.Volumes = []corev1.Volume{{Name: "data", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: host}}}}
	f.create(pod)
	f.await("p", "ready", ready)
	if b, err := os.ReadFile(host + "/sub/post"); err != nil || string(b) != "post\n" {
		t.Errorf("postStart: %q, %v", b, err)
	}
	if _, err := f.exec("p", "c", false, nil, "/bin/sh", "-c", "rm /tmp/ok"); err != nil {
		// rm is not in the image; busybox has it.
		if _, err := f.exec("p", "c", false, nil, "busybox", "rm", "/tmp/ok"); err != nil {
			t.Fatal(err)
		}
	}
	f.await("p", "restarted and ready", func(p *corev1.Pod) bool {
		return p != nil && p.Status.ContainerStatuses[0].RestartCount == 1 && ready(p)
	})
	if b, err := os.ReadFile(host + "/sub/log"); err != nil || string(b) != "pre\n" {
		t.Errorf("preStop before the signal: %q, %v", b, err)
	}
	f.markDeleted("p", 5)
	f.await("p", "deleted", func(p *corev1.Pod) bool { return p == nil })
	if _, err := os.Stat(host + "/sub/post"); err != nil {
		t.Errorf("the machine's file went with the pod: %v", err)
	}
}
