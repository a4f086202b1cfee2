package harness

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// Cluster is one data directory and the process that serves it, if it runs.
type Cluster struct {
	Binary     string
	DataDir    string
	Kubeconfig string
	Listen     string
	// Verb is "up" or "server"; Args are further flags.
	Verb string
	Args []string

	cmd *exec.Cmd
	// done is closed when the process has ended, after ended is set.
	done  chan struct{}
	ended error
}

// NewCluster describes a cluster below dir on a free loopback port. It starts nothing.
func NewCluster(binary, dir, verb string, args ...string) (*Cluster, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	defer l.Close()
	return &Cluster{
		Binary: binary, DataDir: filepath.Join(dir, "data"), Kubeconfig: filepath.Join(dir, "kubeconfig"),
		Listen: l.Addr().String(), Verb: verb, Args: args,
	}, nil
}

// PID is the serving process.
func (c *Cluster) PID() int { return c.cmd.Process.Pid }

// LogFile holds what every process of the cluster printed.
func (c *Cluster) LogFile() string { return filepath.Join(filepath.Dir(c.DataDir), "output.log") }

// Start runs the binary and returns once the API answers through TLS, with the
// time that took from exec.
func (c *Cluster) Start(ctx context.Context) (time.Duration, error) {
	if err := os.MkdirAll(filepath.Dir(c.DataDir), 0o755); err != nil {
		return 0, err
	}
	out, err := os.OpenFile(c.LogFile(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return 0, err
	}
	args := append([]string{c.Verb, "--data", c.DataDir, "--listen", c.Listen, "--kubeconfig", c.Kubeconfig}, c.Args...)
	c.cmd = exec.Command(c.Binary, args...)
	c.cmd.Stdout, c.cmd.Stderr = out, out
	done := make(chan struct{})
	started := time.Now()
	if err := c.cmd.Start(); err != nil {
		out.Close()
		return 0, err
	}
	c.done = done
	go func() {
		c.ended = c.cmd.Wait()
		out.Close()
		close(done)
	}()
	if err := c.waitReady(ctx); err != nil {
		_ = c.Kill()
		return 0, fmt.Errorf("%w\n%s", err, c.tail())
	}
	return time.Since(started), nil
}

func (c *Cluster) waitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 60*time.Second)
	defer cancel()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	var client kubernetes.Interface
	var last error
	for {
		if client == nil {
			if cfg, err := c.REST(); err == nil {
				client, last = kubernetes.NewForConfig(cfg)
			} else {
				last = err
			}
		}
		if client != nil {
			// A request that needs authentication, authorization and the store.
			_, last = client.CoreV1().RESTClient().Get().AbsPath("/api/v1/namespaces/kube-system").DoRaw(ctx)
			if last == nil {
				return nil
			}
		}
		select {
		case <-c.done:
			return fmt.Errorf("the process ended before it was ready: %v", c.ended)
		case <-ctx.Done():
			return fmt.Errorf("not ready after a minute: %w", last)
		case <-tick.C:
		}
	}
}

// REST is the admin's configuration without client-side rate limits.
func (c *Cluster) REST() (*rest.Config, error) {
	cfg, err := clientcmd.BuildConfigFromFlags("", c.Kubeconfig)
	if err != nil {
		return nil, err
	}
	cfg.QPS, cfg.Burst = -1, -1
	return cfg, nil
}

// Client is the admin's typed client.
func (c *Cluster) Client() (kubernetes.Interface, error) {
	cfg, err := c.REST()
	if err != nil {
		return nil, err
	}
	return kubernetes.NewForConfig(cfg)
}

// Kill ends the process as a crash would.
func (c *Cluster) Kill() error {
	if err := c.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-c.done
	return nil
}

// Down runs `pintle down` and waits for the process to end.
func (c *Cluster) Down(ctx context.Context) error {
	out, err := c.Pintle(ctx, "down", "--data", c.DataDir)
	if err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	if c.done == nil {
		return nil
	}
	select {
	case <-c.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("the process outlived `pintle down`: %w", ctx.Err())
	}
}

// Pintle runs the binary with the cluster's kubeconfig and returns all output.
func (c *Cluster) Pintle(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, c.Binary, args...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+c.Kubeconfig)
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("pintle %s: %w", strings.Join(args, " "), err)
	}
	return string(out), err
}

// tail is the end of the cluster's output.
func (c *Cluster) tail() string {
	raw, err := os.ReadFile(c.LogFile())
	if err != nil {
		return err.Error()
	}
	lines := bytes.Split(bytes.TrimSpace(raw), []byte("\n"))
	return string(bytes.Join(lines[max(0, len(lines)-30):], []byte("\n")))
}
