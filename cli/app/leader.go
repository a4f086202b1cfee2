package app

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/pintle-io/pintle/engine/leader"
	"github.com/pintle-io/pintle/engine/registry"
)

// engineLease names the Lease whose holder runs controllers and scheduler.
const engineLease = "pintle-engine"

// newLeader builds this server's part in the election of who runs what must run once.
func (c *controlPlane) newLeader(reg *registry.Registry) (*leader.Leader, error) {
	identity, err := serverIdentity(c.cfg.DataDir)
	if err != nil {
		return nil, err
	}
	leases := coordinationv1.SchemeGroupVersion.WithResource("leases").GroupResource()
	return leader.New(leader.Config{
		Namespace: metav1.NamespaceSystem, Name: engineLease, Identity: identity,
		Leases: leader.InProcess{Client: c.client.AsController("kube-controller-manager").WithFieldManager("pintle")},
		Fence: func(ctx context.Context, holds func(*coordinationv1.Lease) bool) context.Context {
			return reg.Fenced(ctx, leases, metav1.NamespaceSystem, engineLease, func(obj runtime.Object) bool {
				lease, _ := obj.(*coordinationv1.Lease)
				return holds(lease)
			})
		},
		Logger: c.log.With("part", "leader"),
	})
}

// serverIdentity is the name under which the server of a data directory stands for
// election, the same after each start: only one server at a time works in it, so what
// holds the Lease under this name is either this server or no more.
func serverIdentity(data string) (string, error) {
	file := filepath.Join(data, "server-id")
	raw, err := os.ReadFile(file)
	if id := strings.TrimSpace(string(raw)); err == nil && id != "" {
		return id, nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("read the server's identity: %w", err)
	}
	host, err := os.Hostname()
	if err != nil {
		return "", err
	}
	id := host + "_" + strings.ToLower(rand.Text())
	if err := os.WriteFile(file, []byte(id+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("write the server's identity: %w", err)
	}
	return id, nil
}
