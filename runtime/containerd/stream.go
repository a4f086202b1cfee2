package containerd

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/containerd/containerd/v2/pkg/cio"
	"github.com/containerd/fifo"
	"golang.org/x/sys/unix"

	"github.com/pintle-io/pintle/runtime/logs"
)

// pipeSize is how much output waits in each pipe while no agent runs, before
// the container's writes block.
const pipeSize = 256 << 10

// stream copies one running container's output from its named pipes into its
// log and to whoever is attached.
//
// Protocol: the shim holds both ends of the pipes, so they outlive this process;
// the next one opens them again and goes on where this one stopped. When the
// container has exited the shim closes its ends, the copiers see the end of the
// stream, and done is closed.
type stream struct {
	flags ioFlags
	stdin io.WriteCloser // nil without stdin
	pipes []io.Closer
	done  chan struct{}
	outs  [2]fanout // stdout, stderr
	// closed is set before the pipes are closed on this side.
	closed atomic.Bool
}

func (r *Runtime) fifos(id string, f ioFlags) cio.Config {
	dir := filepath.Join(r.cfg.StateDir, "io", id)
	cfg := cio.Config{Terminal: f.TTY, Stdout: filepath.Join(dir, "stdout")}
	if !f.TTY {
		cfg.Stderr = filepath.Join(dir, "stderr")
	}
	if f.Stdin {
		cfg.Stdin = filepath.Join(dir, "stdin")
	}
	return cfg
}

// openStream connects to the pipes of a container, making them if need be, and
// starts copying.
func (r *Runtime) openStream(id string, f ioFlags, logPath string) (*stream, error) {
	cfg := r.fifos(id, f)
	if err := os.MkdirAll(filepath.Dir(cfg.Stdout), 0o700); err != nil {
		return nil, err
	}
	w, err := logs.NewWriter(logPath, r.cfg.LogLimits)
	if err != nil {
		return nil, err
	}
	s := &stream{flags: f, done: make(chan struct{})}
	open := func(path string, flag int) io.ReadWriteCloser {
		if path == "" || err != nil {
			return nil
		}
		var p io.ReadWriteCloser
		if p, err = fifo.OpenFifo(context.Background(), path, flag|syscall.O_CREAT|syscall.O_NONBLOCK, 0o600); err == nil {
			s.pipes = append(s.pipes, p)
		}
		return p
	}
	stdout, stderr := open(cfg.Stdout, syscall.O_RDONLY), open(cfg.Stderr, syscall.O_RDONLY)
	stdin := open(cfg.Stdin, syscall.O_WRONLY)
	if err != nil {
		s.close()
		return nil, errors.Join(err, w.Close())
	}
	if stdin != nil {
		s.stdin = stdin
	}
	var wg sync.WaitGroup
	for i, src := range []io.Reader{stdout, stderr} {
		if i == 1 && cfg.Stderr == "" {
			continue
		}
		name := [2]string{logs.Stdout, logs.Stderr}[i]
		wg.Go(func() {
			tee := io.TeeReader(src, &s.outs[i])
			if err := w.Copy(name, tee); err != nil && !s.closed.Load() {
				r.cfg.Logger.Error("write container log", "path", logPath, "err", err)
				// A full disk must not block the container.
				_, _ = io.Copy(io.Discard, tee)
			}
		})
	}
	go func() {
		wg.Wait()
		close(s.done)
		if err := w.Close(); err != nil {
			r.cfg.Logger.Error("close container log", "path", logPath, "err", err)
		}
	}()
	r.mu.Lock()
	r.mu.streams[id] = s
	r.mu.Unlock()
	return s, nil
}

// widen enlarges the pipes; only a comfort, so failing is fine.
func (r *Runtime) widen(id string, f ioFlags) {
	cfg := r.fifos(id, f)
	for _, path := range []string{cfg.Stdout, cfg.Stderr} {
		if path == "" {
			continue
		}
		if fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0); err == nil {
			_, _ = unix.FcntlInt(uintptr(fd), unix.F_SETPIPE_SZ, pipeSize)
			_ = unix.Close(fd)
		}
	}
}

func (r *Runtime) stream(id string) *stream {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.mu.streams[id]
}

// closeStream waits a moment for the last output, then disconnects and removes
// the pipes.
func (r *Runtime) closeStream(id string) {
	r.mu.Lock()
	s := r.mu.streams[id]
	delete(r.mu.streams, id)
	r.mu.Unlock()
	if s != nil {
		select {
		case <-s.done:
		case <-time.After(2 * time.Second):
		}
		s.close()
	}
	if err := os.RemoveAll(filepath.Join(r.cfg.StateDir, "io", id)); err != nil {
		r.cfg.Logger.Error("remove output pipes", "err", err)
	}
}

func (s *stream) close() {
	s.closed.Store(true)
	for _, p := range s.pipes {
		// Closing what may be closed already.
		_ = p.Close()
	}
}

// taskIO presents pipes that a stream owns to containerd's client.
type taskIO struct{ cfg cio.Config }

func (t taskIO) Config() cio.Config { return t.cfg }
func (taskIO) Cancel()              {}
func (taskIO) Wait()                {}
func (taskIO) Close() error         { return nil }

// fanout writes to everyone attached; who is too slow or gone is dropped by
// returning an error from Write.
type fanout struct {
	mu struct {
		sync.Mutex
		next int
		to   map[int]io.Writer
	}
}

func (f *fanout) Write(b []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for k, w := range f.mu.to {
		if _, err := w.Write(b); err != nil {
			delete(f.mu.to, k)
		}
	}
	return len(b), nil
}

// add attaches a writer and returns how to detach it.
func (f *fanout) add(w io.Writer) func() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.mu.to == nil {
		f.mu.to = map[int]io.Writer{}
	}
	k := f.mu.next
	f.mu.next++
	f.mu.to[k] = w
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.mu.to, k)
	}
}
