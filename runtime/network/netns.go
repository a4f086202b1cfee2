package network

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// nsfsMagic identifies a mounted namespace file.
const nsfsMagic = 0x6e736673

// threadNetns is the calling thread's own network namespace.
const threadNetns = "/proc/thread-self/ns/net"

// createNetns makes a network namespace with loopback up and holds it by a bind
// mount at path. A namespace that is already there is left as it is.
func createNetns(path string) error {
	if NetnsAlive(path) {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_RDONLY|os.O_CREATE, 0o400)
	if err != nil {
		return err
	}
	_ = f.Close()
	err = onThread(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("unshare network namespace: %w", err)
		}
		if err := loopbackUp(); err != nil {
			return err
		}
		if err := unix.Mount(threadNetns, path, "none", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("hold network namespace at %s: %w", path, err)
		}
		return nil
	})
	if err != nil {
		_ = os.Remove(path)
	}
	return err
}

func loopbackUp() error {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return fmt.Errorf("find loopback: %w", err)
	}
	if err := netlink.LinkSetUp(lo); err != nil {
		return fmt.Errorf("bring loopback up: %w", err)
	}
	return nil
}

// deleteNetns lets go of the namespace at path; no error when there is none.
func deleteNetns(path string) error {
	for NetnsAlive(path) {
		if err := unix.Unmount(path, unix.MNT_DETACH); err != nil {
			return fmt.Errorf("unmount %s: %w", path, err)
		}
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// NetnsAlive reports whether a namespace is mounted at path, and can be entered
// (after a reboot the file is there, the namespace is not).
func NetnsAlive(path string) bool {
	var st unix.Statfs_t
	return unix.Statfs(path, &st) == nil && st.Type == nsfsMagic
}

// InNetns runs fn on a thread inside the namespace at path; "" is the caller's own.
// fn must not start goroutines that rely on being inside.
func InNetns(path string, fn func() error) error {
	if path == "" {
		return fn()
	}
	return onThread(func() error {
		target, err := os.Open(path)
		if err != nil {
			return fmt.Errorf("open network namespace: %w", err)
		}
		defer target.Close()
		if err := unix.Setns(int(target.Fd()), unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("enter network namespace %s: %w", path, err)
		}
		return fn()
	})
}

// StartIn starts cmd inside the namespace at path ("" is the caller's own). Only the
// network differs: mounts, and with them the cgroup file system, stay visible,
// which is not so under `ip netns exec`. Do not set cmd.SysProcAttr.Pdeathsig:
// it would follow the thread, not the process.
func StartIn(path string, cmd *exec.Cmd) error {
	return InNetns(path, cmd.Start)
}

// onThread runs fn on a thread of its own and puts the thread's namespace back
// afterwards. Should that fail, the thread is left locked and dies with its
// goroutine, so no other goroutine ever runs in the wrong namespace.
func onThread(fn func() error) error {
	done := make(chan error, 1)
	go func() {
		err := errors.New("the function did not return") // it panicked or ended its goroutine
		defer func() { done <- err }()
		runtime.LockOSThread()
		home, openErr := os.Open(threadNetns)
		if openErr != nil {
			runtime.UnlockOSThread()
			err = fmt.Errorf("open own network namespace: %w", openErr)
			return
		}
		defer home.Close()
		err = fn()
		if back := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); back != nil {
			err = errors.Join(err, fmt.Errorf("return to own network namespace: %w", back))
			return
		}
		runtime.UnlockOSThread()
	}()
	return <-done
}
