package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pintle-io/pintle/engine/auth/pki"
)

// Ready describes a cluster that answers.
type Ready struct {
	URL        string
	Kubeconfig string
	After      time.Duration // since the start of the process's work
}

// Run runs a cluster until ctx ends. ready is called once, when the API answers
// and the kubeconfig is written.
func Run(ctx context.Context, cfg Config, log *slog.Logger, ready func(Ready)) (err error) {
	started := time.Now()
	_, statErr := os.Stat(cfg.DataDir)
	lock, err := acquire(cfg.DataDir)
	if err != nil {
		return err
	}
	defer lock.release()
	if errors.Is(statErr, os.ErrNotExist) {
		// A start that is refused leaves no directory that it alone needed.
		defer func() {
			if err != nil {
				removeUnused(cfg.DataDir)
			}
		}()
	}
	listener, err := listen(ctx, cfg.Listen)
	if err != nil {
		return err
	}
	if cfg.Nodes > 0 {
		machine, err := lockMachine(cfg.DataDir)
		if err != nil {
			return err
		}
		defer machine.Close()
	}
	listener, endpoint, err := listenForPods(ctx, listener, topology(cfg.DataDir).Gateway())
	if err != nil {
		return err
	}
	plane, err := newControlPlane(cfg, listener, endpoint, log)
	defer func() { err = errors.Join(err, plane.close()) }()
	if err != nil {
		return err
	}
	return plane.run(ctx, func() error {
		if err := makeNodeDirs(cfg); err != nil {
			return err
		}
		file := cfg.KubeconfigPath()
		if err := writeKubeconfig(plane.pki, file, plane.url()); err != nil {
			return err
		}
		ready(Ready{URL: plane.url(), Kubeconfig: file, After: time.Since(started)})
		return nil
	})
}

// removeUnused removes a data directory in which there is nothing but the lock.
func removeUnused(data string) {
	entries, err := os.ReadDir(data)
	if err != nil || len(entries) != 1 || entries[0].Name() != filepath.Base(runDir(data)) {
		return
	}
	_ = os.Remove(lockFile(data))
	_ = os.Remove(runDir(data)) // stays if there is a log in it
	_ = os.Remove(data)
}

// makeNodeDirs makes the places of the nodes before anybody is told that the
// cluster is ready: an image imported from then on goes into all of them.
func makeNodeDirs(cfg Config) error {
	for i := range cfg.Nodes {
		if err := os.MkdirAll((nodeSpec{Name: nodeName(i), DataDir: cfg.DataDir}).dir(), 0o700); err != nil {
			return fmt.Errorf("make the place of %s: %w", nodeName(i), err)
		}
	}
	return nil
}

// KubeconfigPath is the file the admin kubeconfig is written to.
func (c Config) KubeconfigPath() string {
	if c.Kubeconfig != "" {
		return c.Kubeconfig
	}
	return KubeconfigFile(c.DataDir)
}

func listen(ctx context.Context, addr string) (net.Listener, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	switch {
	case errors.Is(err, unix.EADDRINUSE):
		return nil, fmt.Errorf("another program already listens on %s; stop it or choose another --listen", addr)
	case errors.Is(err, unix.EADDRNOTAVAIL):
		return nil, fmt.Errorf("this machine has no address %s; choose another --listen", addr)
	case errors.Is(err, unix.EACCES):
		return nil, fmt.Errorf("listening on %s needs root; choose a --listen port above 1023", addr)
	}
	return l, err
}

// writeKubeconfig gives the file to the user who ran the command, also through sudo.
func writeKubeconfig(keys *pki.PKI, file, url string) error {
	uid, gid := os.Getuid(), os.Getgid()
	if id, err := sudoID("SUDO_UID"); err == nil {
		uid = id
	}
	if id, err := sudoID("SUDO_GID"); err == nil {
		gid = id
	}
	err := keys.WriteKubeconfig(pki.Kubeconfig{Path: file, Server: url, UID: uid, GID: gid})
	if err != nil {
		return fmt.Errorf("write the kubeconfig %s: %w", file, err)
	}
	return nil
}
