package launch

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// endTimeout is how long a process may take to end when asked to.
const endTimeout = 5 * time.Second

// processID names a process for good: numbers are used again, start times
// (clock ticks since boot) with them are not; the boot tells ticks apart.
type processID struct {
	pid   int
	start string
	boot  string
}

// identify reads the identity of a running process.
func identify(pid int) (processID, error) {
	data, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return processID{pid: pid}, err
	}
	fields := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))
	const startTime = 22 - 3 // field 22 of proc(5), counted after the name (field 2)
	if len(fields) <= startTime {
		return processID{pid: pid}, fmt.Errorf("process %d: unreadable state", pid)
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return processID{pid: pid, start: fields[startTime], boot: strings.TrimSpace(string(boot))}, err
}

// alive reports whether the very process still runs (a zombie does not).
func (id processID) alive() bool {
	if id.pid <= 1 || id.start == "" {
		return false
	}
	now, err := identify(id.pid)
	return err == nil && now == id && !zombie(id.pid)
}

func zombie(pid int) bool {
	data, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return true
	}
	rest := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))
	return len(rest) > 0 && (rest[0] == "Z" || rest[0] == "X")
}

// end asks the process to end, then kills it.
func (id processID) end(ctx context.Context, logger *slog.Logger) {
	if !id.alive() {
		return
	}
	_ = unix.Kill(id.pid, unix.SIGTERM)
	if id.awaitEnd(ctx, endTimeout) {
		return
	}
	logger.Warn("killing a process that did not end", "pid", id.pid)
	_ = unix.Kill(id.pid, unix.SIGKILL)
	id.awaitEnd(ctx, endTimeout)
}

// awaitEnd watches the process; it may be nobody's child of ours.
func (id processID) awaitEnd(ctx context.Context, limit time.Duration) bool {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	fd, err := unix.PidfdOpen(id.pid, 0)
	if err != nil {
		return !id.alive()
	}
	defer unix.Close(fd)
	for ctx.Err() == nil && id.alive() {
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		if n, err := unix.Poll(fds, 100); err == nil && n > 0 {
			return true
		}
	}
	return !id.alive()
}

func readPidFile(path string) (processID, bool) {
	data, err := os.ReadFile(path)
	fields := strings.Fields(string(data))
	if err != nil || len(fields) != 3 {
		return processID{}, false
	}
	pid, err := strconv.Atoi(fields[0])
	return processID{pid: pid, start: fields[1], boot: fields[2]}, err == nil
}

func writePidFile(path string, id processID) error {
	tmp := path + ".tmp"
	if err := os.WriteFile(tmp, fmt.Appendf(nil, "%d %s %s\n", id.pid, id.start, id.boot), 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}

// shimsOf lists the running shims of the containerd at the socket.
func shimsOf(socket string) []processID {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var out []processID
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		cmdline, err := os.ReadFile(filepath.Join("/proc", e.Name(), "cmdline"))
		args := strings.Split(string(cmdline), "\x00")
		if err != nil || !strings.HasPrefix(filepath.Base(args[0]), "containerd-shim") || !slices.Contains(args, socket) {
			continue
		}
		if id, err := identify(pid); err == nil {
			out = append(out, id)
		}
	}
	return out
}

// children lists the direct children of a process.
func children(pid int) []processID {
	entries, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	if err != nil {
		return nil
	}
	var out []processID
	for _, path := range entries {
		data, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		for _, field := range strings.Fields(string(data)) {
			if child, err := strconv.Atoi(field); err == nil {
				if id, err := identify(child); err == nil {
					out = append(out, id)
				}
			}
		}
	}
	return out
}
