package app

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"

	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/pintle-io/pintle/engine/auth/bootstrap"
	"github.com/pintle-io/pintle/runtime/policy"
)

// NodeProcess is a node that the cluster's process runs as a child. IP may be two
// addresses, divided by a comma.
type NodeProcess struct {
	Name, IP, Netns, DataDir string
	Overlay                  bool
}

// RunNodeProcess runs the node until ctx ends, with the credentials that the
// parent wrote. It is called inside the node's network namespace.
func RunNodeProcess(ctx context.Context, p NodeProcess, log *slog.Logger) error {
	spec := nodeSpec{Name: p.Name, Netns: p.Netns, DataDir: p.DataDir, Overlay: p.Overlay}
	if err := spec.setIPs(p.IP); err != nil {
		return fmt.Errorf("--ip: %w", err)
	}
	cfg, err := clientcmd.BuildConfigFromFlags("", nodeKubeconfig(spec))
	if err != nil {
		return err
	}
	api, err := remoteAPI(cfg)
	if err != nil {
		return err
	}
	return runNode(ctx, spec, api, log)
}

// remoteAPI reaches the API server over the network, in protobuf; what the node's
// network needs to know is read by an identity of its own.
func remoteAPI(cfg *rest.Config) (nodeAPI, error) {
	cfg = rest.CopyConfig(cfg)
	cfg.ContentType, cfg.AcceptContentTypes = "application/vnd.kubernetes.protobuf", "application/vnd.kubernetes.protobuf,application/json"
	cfg.QPS, cfg.Burst = -1, -1
	client, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		return nodeAPI{}, err
	}
	cfg.Impersonate.UserName = bootstrap.NetworkUser
	network, err := kubernetes.NewForConfig(cfg)
	if err != nil {
		return nodeAPI{}, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(cfg.CAData) {
		return nodeAPI{}, errors.New("the cluster's certificate authority cannot be read")
	}
	return nodeAPI{client: client, informers: informers.NewSharedInformerFactoryWithOptions(network, 0, informers.WithTransform(policy.Trim)), ca: pool}, nil
}
