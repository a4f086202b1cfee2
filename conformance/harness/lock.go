package harness

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// machineOwner is where Pintle keeps the data directory of the cluster whose nodes
// are on the machine.
const machineOwner = "/run/pintle.lock"

// LockNodes waits until no other test of this machine runs a cluster with nodes,
// of which a machine holds one at a time, and keeps the rest away until release
// is called or the process ends. What a test left that was killed before it
// could clean up is taken down with binary.
func LockNodes(ctx context.Context, binary string) (release func(), err error) {
	release, err = lock(ctx)
	if err != nil {
		return nil, err
	}
	if err := takeDownLeftover(ctx, binary); err != nil {
		release()
		return nil, err
	}
	return release, nil
}

// takeDownLeftover ends the nodes of a test's cluster, known by its directory,
// and leaves a person's cluster alone.
func takeDownLeftover(ctx context.Context, binary string) error {
	raw, err := os.ReadFile(machineOwner)
	data := strings.TrimSpace(string(raw))
	if err != nil || !strings.HasPrefix(data, filepath.Join(os.TempDir(), "Test")) {
		return nil
	}
	if out, err := exec.CommandContext(ctx, binary, "down", "--data", data).CombinedOutput(); err != nil {
		return fmt.Errorf("take down what a killed test left in %s: %w\n%s", data, err, out)
	}
	return nil
}

func lock(ctx context.Context) (release func(), err error) {
	f, err := os.OpenFile(filepath.Join(os.TempDir(), "pintle-nodes.lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the machine's nodes: %w", err)
	}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { f.Close() }, nil
		}
		if err != unix.EWOULDBLOCK && err != unix.EINTR {
			f.Close()
			return nil, fmt.Errorf("lock %s: %w", f.Name(), err)
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, fmt.Errorf("wait for %s: %w", f.Name(), ctx.Err())
		case <-tick.C:
		}
	}
}
