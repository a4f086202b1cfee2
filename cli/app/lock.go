package app

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// RunningError says that another process works on the data directory.
type RunningError struct {
	DataDir string
	PID     int
}

func (e *RunningError) Error() string {
	return fmt.Sprintf("a Pintle (process %d) already runs on %s; stop it with `pintle down --data %s`, or choose another --data", e.PID, e.DataDir, e.DataDir)
}

// runLock is held by the process that works on a data directory. The kernel
// frees it when the process ends, however it ends.
type runLock struct{ f *os.File }

func lockFile(data string) string { return filepath.Join(runDir(data), "lock") }

// acquire takes the lock of a data directory and writes our process id into it.
func acquire(data string) (*runLock, error) {
	if err := os.MkdirAll(runDir(data), 0o700); err != nil {
		return nil, fmt.Errorf("make the data directory: %w", err)
	}
	f, err := os.OpenFile(lockFile(data), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the data directory's lock: %w", err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		defer f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, &RunningError{DataDir: data, PID: readPID(f)}
		}
		return nil, fmt.Errorf("lock %s: %w", f.Name(), err)
	}
	if err := f.Truncate(0); err != nil {
		return nil, err
	}
	if _, err := f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0); err != nil {
		return nil, err
	}
	return &runLock{f}, nil
}

func (l *runLock) release() { _ = l.f.Close() }

func readPID(f *os.File) int {
	buf := make([]byte, 32)
	n, _ := f.ReadAt(buf, 0)
	pid, _ := strconv.Atoi(strings.TrimSpace(string(buf[:n])))
	return pid
}

// holder returns the process that holds the lock of a data directory, 0 if none.
func holder(data string) (int, error) {
	f, err := os.OpenFile(lockFile(data), os.O_RDWR, 0)
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer f.Close()
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return readPID(f), nil
	}
	return 0, err
}

// stopHolder asks the process that works on the data directory to end, and ends
// it by force when it has not after the time given. It reports whether there was one.
func stopHolder(data string, patience time.Duration) (bool, error) {
	pid, err := holder(data)
	if err != nil || pid == 0 {
		return false, err
	}
	if err := unix.Kill(pid, unix.SIGTERM); err != nil && !errors.Is(err, unix.ESRCH) {
		return true, fmt.Errorf("stop process %d: %w", pid, err)
	}
	deadline := time.Now().Add(patience)
	for {
		now, err := holder(data)
		if err != nil || now != pid {
			return true, err
		}
		if time.Now().After(deadline) {
			if err := unix.Kill(pid, unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
				return true, fmt.Errorf("kill process %d: %w", pid, err)
			}
			deadline = deadline.Add(patience)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
