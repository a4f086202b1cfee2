// Package robustness holds the built binary to its promises under crashes, load
// and bad input, from outside and through unmodified clients. Tests with nodes
// take the machine's lock for them; the others run on servers of their own.
package robustness

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"

	"github.com/pintle-io/pintle/conformance/fixtures"
	"github.com/pintle-io/pintle/conformance/harness"
)

// newCluster describes a cluster that is taken down with the test.
func newCluster(t *testing.T, verb string, args ...string) *harness.Cluster {
	t.Helper()
	binary, err := harness.Binary()
	if err != nil {
		t.Fatal(err)
	}
	c, err := harness.NewCluster(binary, t.TempDir(), verb, args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 90*time.Second)
		defer cancel()
		if err := c.Down(ctx); err != nil {
			t.Error(err)
		}
	})
	return c
}

// server starts a control plane alone.
func server(t *testing.T, args ...string) (*harness.Cluster, kubernetes.Interface) {
	t.Helper()
	c := newCluster(t, "server", args...)
	start(t, c)
	return c, client(t, c)
}

func start(t *testing.T, c *harness.Cluster) time.Duration {
	t.Helper()
	took, err := c.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return took
}

func client(t *testing.T, c *harness.Cluster) kubernetes.Interface {
	t.Helper()
	kube, err := c.Client()
	if err != nil {
		t.Fatal(err)
	}
	return kube
}

// needNodes skips where containers cannot run, and takes the machine's lock.
func needNodes(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("running containers needs root")
	}
	binary, err := harness.Binary()
	if err != nil {
		t.Fatal(err)
	}
	release, err := harness.LockNodes(t.Context(), binary)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(release)
}

func importBusybox(t *testing.T, c *harness.Cluster) {
	t.Helper()
	archive := filepath.Join(t.TempDir(), "busybox.tar")
	if err := fixtures.WriteBusybox(archive); err != nil {
		t.Fatal(err)
	}
	if out, err := c.Pintle(t.Context(), "image", "import", "--data", c.DataDir, archive); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// eventually asks done until it is true, and returns how long that took.
func eventually(t *testing.T, d time.Duration, what string, done func(ctx context.Context) (bool, string)) time.Duration {
	t.Helper()
	began := time.Now()
	var last string
	err := wait.PollUntilContextTimeout(t.Context(), 20*time.Millisecond, d, true, func(ctx context.Context) (bool, error) {
		var ok bool
		ok, last = done(ctx)
		return ok, nil
	})
	if err != nil {
		t.Fatalf("waited %s for %s; last seen: %s", d, what, last)
	}
	return time.Since(began)
}

// result is how a command line ended.
type result struct {
	status         int
	stdout, stderr string
}

// run runs a command line of the binary to its end.
func run(t *testing.T, cmd *exec.Cmd) result {
	t.Helper()
	var out, errOut strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errOut
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return result{cmd.ProcessState.ExitCode(), out.String(), errOut.String()}
}

// command is a command line of the binary, ended after half a minute, with the
// cluster's kubeconfig and standard input from in.
func command(t *testing.T, c *harness.Cluster, in string, args ...string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, c.Binary, args...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+c.Kubeconfig)
	cmd.Stdin = strings.NewReader(in)
	return cmd
}
