package containerd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/containerd/containerd/v2/client"
	"github.com/containerd/containerd/v2/pkg/cio"
	"github.com/google/uuid"

	"github.com/pintle-io/pintle/runtime/container"
)

// drainTime bounds the wait for output of processes that a finished command
// left behind.
const drainTime = 5 * time.Second

// Exec runs a command in a running container.
func (r *Runtime) Exec(ctx context.Context, id string, opts container.ExecOptions) (code int, err error) {
	scoped := r.scope(ctx)
	c, err := r.client.LoadContainer(scoped, id)
	if err != nil {
		return 0, native(err)
	}
	task, err := c.Task(scoped, nil)
	if err != nil {
		return 0, fmt.Errorf("%w: %w", container.ErrNotRunning, err)
	}
	spec, err := c.Spec(scoped)
	if err != nil {
		return 0, err
	}
	p := spec.Process
	p.Args, p.Terminal, p.ConsoleSize = opts.Command, opts.TTY, nil
	if opts.TTY {
		p.Env = append(p.Env, "TERM=xterm")
	}

	dir := filepath.Join(r.cfg.StateDir, "exec")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return 0, err
	}
	stdin := &execInput{from: opts.Stdin, end: make(chan struct{})}
	ioOpts := []cio.Opt{cio.WithFIFODir(dir), streams(stdin, opts)}
	if opts.TTY {
		ioOpts = append(ioOpts, cio.WithTerminal)
	}
	execID := uuid.NewString()
	proc, err := task.Exec(scoped, execID, p, cio.NewCreator(ioOpts...))
	if err != nil {
		return 0, execError(opts.Command, err)
	}
	// Cleaning up must go on when the caller is gone.
	bg := context.WithoutCancel(scoped)
	defer func() {
		cleanup, cancel := context.WithTimeout(bg, drainTime)
		defer cancel()
		if _, derr := proc.Delete(cleanup, client.WithProcessKill); derr != nil && ignoreNotFound(derr) != nil && err == nil {
			r.cfg.Logger.Debug("delete exec process", "err", derr)
		}
	}()
	exited, err := proc.Wait(bg)
	if err != nil {
		return 0, err
	}
	if err := proc.Start(scoped); err != nil {
		return 0, execError(opts.Command, err)
	}
	feeding, stopFeeding := context.WithCancel(scoped)
	defer stopFeeding()
	go feed(feeding, proc, stdin, opts.Resize)

	select {
	case <-ctx.Done():
		if err := proc.Kill(bg, syscall.SIGKILL); ignoreNotFound(err) != nil {
			return 0, errors.Join(ctx.Err(), err)
		}
		return 0, ctx.Err()
	case status := <-exited:
		drained := make(chan struct{})
		go func() { proc.IO().Wait(); close(drained) }()
		select {
		case <-drained:
		case <-time.After(drainTime):
			proc.IO().Cancel()
		}
		return int(status.ExitCode()), status.Error()
	}
}

// streams gives the client only the streams that are wanted.
func streams(stdin *execInput, opts container.ExecOptions) cio.Opt {
	discard := func(w io.Writer) io.Writer {
		if w == nil {
			return io.Discard
		}
		return w
	}
	var in io.Reader
	if stdin.from != nil {
		in = stdin
	}
	return cio.WithStreams(in, discard(opts.Stdout), discard(opts.Stderr))
}

// feed tells the process that its input has ended and how large its terminal is.
func feed(ctx context.Context, proc client.Process, stdin *execInput, resize <-chan container.Size) {
	end := stdin.end
	for {
		select {
		case <-ctx.Done():
			return
		case <-end:
			end = nil
			// The process may be gone already.
			_ = proc.CloseIO(ctx, client.WithStdinCloser)
		case size, ok := <-resize:
			if !ok {
				resize = nil
				continue
			}
			_ = proc.Resize(ctx, uint32(size.Width), uint32(size.Height))
		}
	}
}

// execInput notes the end of the input.
type execInput struct {
	from io.Reader
	end  chan struct{}
	over bool
}

func (e *execInput) Read(b []byte) (int, error) {
	n, err := e.from.Read(b)
	if err != nil && !e.over {
		e.over = true
		close(e.end)
	}
	return n, err
}

// execError makes runc's report of a missing command readable.
func execError(cmd []string, err error) error {
	if s := err.Error(); strings.Contains(s, "executable file not found") || strings.Contains(s, "no such file or directory") {
		return fmt.Errorf("exec: %q: no such program in the container: %w", cmd[0], err)
	}
	return native(err)
}

// Attach connects to the process of a running container.
func (r *Runtime) Attach(ctx context.Context, id string, opts container.AttachOptions) error {
	s := r.stream(id)
	if s == nil {
		return container.ErrNotRunning
	}
	if opts.Stdout != nil {
		defer s.outs[0].add(opts.Stdout)()
	}
	if opts.Stderr != nil {
		defer s.outs[1].add(opts.Stderr)()
	}
	c, err := r.client.LoadContainer(r.scope(ctx), id)
	if err != nil {
		return native(err)
	}
	task, err := c.Task(r.scope(ctx), nil)
	if err != nil {
		return fmt.Errorf("%w: %w", container.ErrNotRunning, err)
	}
	if opts.Stdin != nil && s.stdin != nil {
		go func() {
			_, _ = io.Copy(s.stdin, opts.Stdin)
			if s.flags.Once {
				_ = s.stdin.Close()
				_ = task.CloseIO(r.scope(ctx), client.WithStdinCloser)
			}
		}()
	}
	for resize := opts.Resize; ; {
		select {
		case <-ctx.Done():
			return nil
		case <-s.done:
			return nil
		case size, ok := <-resize:
			if !ok {
				resize = nil
				continue
			}
			_ = task.Resize(r.scope(ctx), uint32(size.Width), uint32(size.Height))
		}
	}
}
