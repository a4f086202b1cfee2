package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/pintle-io/pintle/conformance/harness"
)

// server is one running API server on data of its own.
type server interface {
	// start runs it on what data there is, and returns once a request is answered
	// through TLS, with the time that took from exec.
	start(ctx context.Context) (time.Duration, error)
	// kill ends it as a crash would.
	kill() error
	// remove deletes the data of a server that has ended.
	remove() error
	// pids are the processes that do its work.
	pids() []int
	// holdScheduling keeps pods from getting nodes until release is called, which
	// frees all of them at once.
	holdScheduling(ctx context.Context, kube kubernetes.Interface) (release func(context.Context) error, err error)
	// config is the admin's, without rate limits.
	config() (*rest.Config, error)
}

// system makes servers; there are two of them, Pintle and upstream.
type system interface {
	// newServer makes a server without data. controllers adds those that upstream
	// runs in processes of their own; in Pintle they always run.
	newServer(controllers bool, args ...string) (server, error)
}

// pintle is the binary under test.
type pintle struct{ binary, dir string }

func (p pintle) newServer(_ bool, args ...string) (server, error) {
	dir, err := os.MkdirTemp(p.dir, "pintle")
	if err != nil {
		return nil, err
	}
	c, err := harness.NewCluster(p.binary, dir, "server", args...)
	return pintleServer{c}, err
}

type pintleServer struct{ *harness.Cluster }

func (s pintleServer) start(ctx context.Context) (time.Duration, error) { return s.Start(ctx) }
func (s pintleServer) kill() error                                      { return s.Kill() }
func (s pintleServer) remove() error                                    { return os.RemoveAll(filepath.Dir(s.DataDir)) }
func (s pintleServer) pids() []int                                      { return []int{s.PID()} }
func (s pintleServer) config() (*rest.Config, error)                    { return s.REST() }

// holdScheduling puts a pod on a node that can stand no pod of a phase on any: the
// scheduler is in the server's process and cannot be stopped alone.
func (s pintleServer) holdScheduling(ctx context.Context, kube kubernetes.Interface) (func(context.Context) error, error) {
	pod := unscheduled("hold")
	pod.Spec.NodeName = benchNode(0)
	pod.Spec.Affinity = &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{
		RequiredDuringSchedulingIgnoredDuringExecution: []corev1.PodAffinityTerm{{
			TopologyKey: everyLabel,
			LabelSelector: &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{
				Key: phaseLabel, Operator: metav1.LabelSelectorOpExists,
			}}},
		}},
	}}
	pods := kube.CoreV1().Pods(metav1.NamespaceDefault)
	_, err := pods.Create(ctx, pod, metav1.CreateOptions{})
	return func(ctx context.Context) error {
		now := int64(0)
		return pods.Delete(ctx, pod.Name, metav1.DeleteOptions{GracePeriodSeconds: &now})
	}, err
}

// encoding is how requests and answers are written.
type encoding struct{ name, contentType string }

var (
	protobuf = encoding{"protobuf", "application/vnd.kubernetes.protobuf"}
	jsonText = encoding{"json", "application/json"}
)

func clientFor(s server, e encoding) (kubernetes.Interface, error) {
	cfg, err := s.config()
	if err != nil {
		return nil, err
	}
	cfg.ContentType, cfg.AcceptContentTypes = e.contentType, e.contentType
	return kubernetes.NewForConfig(cfg)
}

// withServer runs do against a fresh server.
func withServer(ctx context.Context, s system, controllers bool, do func(server) error, args ...string) (err error) {
	srv, err := s.newServer(controllers, args...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, srv.remove()) }()
	if _, err := srv.start(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, srv.kill()) }()
	return do(srv)
}
