package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// upstream is the published control plane: kube-apiserver and etcd, for some parts
// also kube-controller-manager and kube-scheduler, from one folder.
type upstream struct{ bin, dir string }

func newUpstream(bin, dir string) (upstream, error) {
	for _, name := range []string{"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"} {
		if _, err := os.Stat(filepath.Join(bin, name)); err != nil {
			return upstream{}, fmt.Errorf("--upstream: %w", err)
		}
	}
	return upstream{bin, dir}, nil
}

func (u upstream) newServer(controllers bool, _ ...string) (server, error) {
	dir, err := os.MkdirTemp(u.dir, "upstream")
	if err != nil {
		return nil, err
	}
	s := &upstreamServer{bin: u.bin, dir: dir, controllers: controllers}
	if s.keys, err = newKeys(dir); err != nil {
		return nil, err
	}
	for _, port := range []*string{&s.port, &s.etcdPort, &s.peerPort} {
		if *port, err = freePort(); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, err
}

type upstreamServer struct {
	bin, dir                 string
	controllers              bool
	keys                     keys
	port, etcdPort, peerPort string
	running                  []*exec.Cmd
}

func (s *upstreamServer) start(ctx context.Context) (time.Duration, error) {
	began := time.Now()
	client, peer := "http://127.0.0.1:"+s.etcdPort, "http://127.0.0.1:"+s.peerPort
	err := errors.Join(
		s.run("etcd", "--name=default", "--data-dir="+s.dir+"/etcd",
			"--listen-client-urls="+client, "--advertise-client-urls="+client,
			"--listen-peer-urls="+peer, "--initial-advertise-peer-urls="+peer, "--initial-cluster=default="+peer),
		s.run("kube-apiserver", "--etcd-servers="+client, "--bind-address=127.0.0.1", "--secure-port="+s.port,
			"--cert-dir="+s.dir+"/serving", "--client-ca-file="+s.keys.ca, "--authorization-mode=Node,RBAC",
			"--service-account-issuer=https://kubernetes.default.svc",
			"--service-account-key-file="+s.keys.accounts, "--service-account-signing-key-file="+s.keys.accounts,
			"--service-cluster-ip-range=10.96.0.0/16", "--endpoint-reconciler-type=none"),
	)
	if err == nil {
		err = s.waitReady(ctx)
	}
	took := time.Since(began)
	if err == nil && s.controllers {
		err = s.startControllers()
	}
	if err == nil {
		err = s.makeAccounts(ctx)
	}
	if err != nil {
		return 0, errors.Join(err, s.kill())
	}
	return took, nil
}

func (s *upstreamServer) startControllers() error {
	file, err := s.kubeconfig()
	if err != nil {
		return err
	}
	return errors.Join(
		s.run("kube-controller-manager", "--kubeconfig="+file, "--leader-elect=false", "--secure-port=0",
			"--service-account-private-key-file="+s.keys.accounts, "--use-service-account-credentials=false",
			"--kube-api-qps=1000", "--kube-api-burst=2000", "--node-monitor-grace-period=1h"),
		s.run("kube-scheduler", "--kubeconfig="+file, "--leader-elect=false", "--secure-port=0",
			"--kube-api-qps=1000", "--kube-api-burst=2000"),
	)
}

func (s *upstreamServer) run(name string, args ...string) error {
	out, err := os.OpenFile(filepath.Join(s.dir, name+".log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	defer out.Close()
	cmd := exec.Command(filepath.Join(s.bin, name), args...)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		return err
	}
	s.running = append(s.running, cmd)
	return nil
}

func (s *upstreamServer) waitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	kube, err := clientFor(s, jsonText)
	if err != nil {
		return err
	}
	for {
		_, err := kube.CoreV1().RESTClient().Get().AbsPath("/api/v1/namespaces/kube-system").DoRaw(ctx)
		if err == nil {
			return nil
		}
		if pause(ctx, 2*time.Millisecond) != nil {
			return fmt.Errorf("upstream is not ready after a minute (see %s): %w", s.dir, err)
		}
	}
}

// makeAccounts makes the service accounts that pods need, which is a controller's
// work.
func (s *upstreamServer) makeAccounts(ctx context.Context) error {
	kube, err := clientFor(s, jsonText)
	if err != nil {
		return err
	}
	for _, namespace := range []string{metav1.NamespaceDefault, metav1.NamespacePublic} {
		if err := makeAccount(ctx, kube, namespace); err != nil {
			return err
		}
	}
	return nil
}

func makeAccount(ctx context.Context, kube kubernetes.Interface, namespace string) error {
	for {
		_, err := kube.CoreV1().ServiceAccounts(namespace).Create(ctx,
			&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "default"}}, metav1.CreateOptions{})
		switch {
		case err == nil, apierrors.IsAlreadyExists(err):
			return nil
		case !apierrors.IsNotFound(err): // the namespace appears a little later
			return err
		}
		if err := pause(ctx, 10*time.Millisecond); err != nil {
			return err
		}
	}
}

// holdScheduling stops the scheduler's process, the last that was started.
func (s *upstreamServer) holdScheduling(context.Context, kubernetes.Interface) (func(context.Context) error, error) {
	scheduler := s.running[len(s.running)-1].Process
	return func(context.Context) error { return scheduler.Signal(syscall.SIGCONT) }, scheduler.Signal(syscall.SIGSTOP)
}

func (s *upstreamServer) kill() error {
	for _, cmd := range s.running {
		_ = cmd.Process.Kill()
	}
	for _, cmd := range s.running {
		_ = cmd.Wait() // says that it was killed
	}
	s.running = nil
	return nil
}

func (s *upstreamServer) remove() error { return os.RemoveAll(s.dir) }

func (s *upstreamServer) pids() []int {
	var all []int
	for _, cmd := range s.running {
		all = append(all, cmd.Process.Pid)
	}
	return all
}

func (s *upstreamServer) config() (*rest.Config, error) {
	return &rest.Config{
		Host: "https://127.0.0.1:" + s.port, QPS: -1, Burst: -1,
		TLSClientConfig: rest.TLSClientConfig{Insecure: true, CertFile: s.keys.admin, KeyFile: s.keys.admin},
	}, nil
}

func (s *upstreamServer) kubeconfig() (string, error) {
	cfg := clientcmdapi.NewConfig()
	cfg.Clusters["c"] = &clientcmdapi.Cluster{Server: "https://127.0.0.1:" + s.port, InsecureSkipTLSVerify: true}
	cfg.AuthInfos["u"] = &clientcmdapi.AuthInfo{ClientCertificate: s.keys.admin, ClientKey: s.keys.admin}
	cfg.Contexts["x"] = &clientcmdapi.Context{Cluster: "c", AuthInfo: "u"}
	cfg.CurrentContext = "x"
	file := filepath.Join(s.dir, "kubeconfig")
	return file, clientcmd.WriteToFile(*cfg, file)
}
