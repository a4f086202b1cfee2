package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"time"

	"github.com/vishvananda/netns"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/cri-streaming/pkg/streaming/remotecommand"
	utilexec "k8s.io/utils/exec"

	"github.com/pintle-io/pintle/runtime/container"
	"github.com/pintle-io/pintle/runtime/logs"
)

// streamer connects the streaming protocols with the container runtime.
type streamer struct{ a *Agent }

func (s streamer) running(ctx context.Context, uid, name string) (container.Container, error) {
	state, err := s.a.cfg.Runtime.Pod(ctx, uid)
	if err != nil {
		return container.Container{}, err
	}
	for i := len(state.Containers) - 1; i >= 0; i-- {
		if c := state.Containers[i]; c.Name == name && c.State == container.Running {
			return c, nil
		}
	}
	return container.Container{}, fmt.Errorf("container %q is not running", name)
}

// ExecInContainer implements remotecommand.Executor.
func (s streamer) ExecInContainer(ctx context.Context, _, uid, name string, cmd []string, in io.Reader, out, errOut io.WriteCloser, tty bool, resize <-chan remotecommand.TerminalSize, _ time.Duration) error {
	c, err := s.running(ctx, uid, name)
	if err != nil {
		return err
	}
	opts := container.ExecOptions{Command: cmd, TTY: tty, Resize: sizes(ctx, resize), Stdin: in}
	// An absent stream must be a nil interface.
	if out != nil {
		opts.Stdout = out
	}
	if errOut != nil {
		opts.Stderr = errOut
	}
	code, err := s.a.cfg.Runtime.Exec(ctx, c.ID, opts)
	if err == nil && code != 0 {
		return utilexec.CodeExitError{Err: fmt.Errorf("command terminated with exit code %d", code), Code: code}
	}
	return err
}

// AttachContainer implements remotecommand.Attacher.
func (s streamer) AttachContainer(ctx context.Context, _, uid, name string, in io.Reader, out, errOut io.WriteCloser, _ bool, resize <-chan remotecommand.TerminalSize) error {
	c, err := s.running(ctx, uid, name)
	if err != nil {
		return err
	}
	opts := container.AttachOptions{Resize: sizes(ctx, resize), Stdin: in}
	if out != nil {
		opts.Stdout = out
	}
	if errOut != nil {
		opts.Stderr = errOut
	}
	return s.a.cfg.Runtime.Attach(ctx, c.ID, opts)
}

// sizes translates terminal sizes; nil stays nil.
func sizes(ctx context.Context, in <-chan remotecommand.TerminalSize) <-chan container.Size {
	if in == nil {
		return nil
	}
	out := make(chan container.Size)
	go func() {
		defer close(out)
		for {
			select {
			case <-ctx.Done():
				return
			case s, ok := <-in:
				if !ok {
					return
				}
				select {
				case out <- container.Size{Width: s.Width, Height: s.Height}:
				case <-ctx.Done():
					return
				}
			}
		}
	}()
	return out
}

// PortForward implements portforward.PortForwarder: it connects to a port as
// seen inside the pod.
func (s streamer) PortForward(ctx context.Context, name, uid string, port int32, stream io.ReadWriteCloser) error {
	defer stream.Close()
	state, err := s.a.cfg.Runtime.Pod(ctx, uid)
	if err != nil {
		return err
	}
	sb, ok := runningSandbox(state)
	if !ok {
		return fmt.Errorf("pod %s is not running", name)
	}
	conn, err := s.a.dialInside(ctx, sb.NetNSPath, net.JoinHostPort("localhost", strconv.Itoa(int(port))))
	if err != nil {
		return fmt.Errorf("connect to port %d of pod %s: %w", port, name, err)
	}
	defer conn.Close()
	toPod := make(chan struct{})
	go func() {
		defer close(toPod)
		// Errors here are those of a peer that hung up.
		_, _ = io.Copy(conn, stream)
		if t, ok := conn.(*net.TCPConn); ok {
			_ = t.CloseWrite()
		}
	}()
	_, err = io.Copy(stream, conn)
	if err != nil && !errors.Is(err, net.ErrClosed) {
		return err
	}
	// The answer is complete; what the client still sends goes nowhere.
	return nil
}

// dialInside connects from inside a network namespace; empty is the agent's own.
func (a *Agent) dialInside(ctx context.Context, path, addr string) (net.Conn, error) {
	if path == "" {
		return a.cfg.Dial(ctx, "tcp", addr)
	}
	type result struct {
		conn net.Conn
		err  error
	}
	done := make(chan result, 1)
	go func() {
		var r result
		err := inNamespace(path, func() { r.conn, r.err = dialLocal(ctx, addr) })
		if err != nil {
			r.err = fmt.Errorf("enter network namespace %s: %w", path, err)
		}
		done <- r
	}()
	r := <-done
	return r.conn, r.err
}

// dialLocal tries both families in this goroutine alone: a racing dial would
// start a goroutine in another namespace.
func dialLocal(ctx context.Context, addr string) (conn net.Conn, err error) {
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	for _, host := range []string{"127.0.0.1", "::1"} {
		d := &net.Dialer{FallbackDelay: -1}
		if conn, err = d.DialContext(ctx, "tcp", net.JoinHostPort(host, port)); err == nil {
			break
		}
	}
	return conn, err
}

// inNamespace calls fn on a thread inside the network namespace at path. If the
// thread cannot be brought back it stays locked, and ends with its goroutine.
func inNamespace(path string, fn func()) error {
	runtime.LockOSThread()
	home, err := netns.Get()
	if err != nil {
		runtime.UnlockOSThread()
		return err
	}
	defer home.Close()
	inside, err := netns.GetFromPath(path)
	if err != nil {
		runtime.UnlockOSThread()
		return err
	}
	defer inside.Close()
	if err := netns.Set(inside); err != nil {
		runtime.UnlockOSThread()
		return err
	}
	fn()
	if err := netns.Set(home); err != nil {
		return err
	}
	runtime.UnlockOSThread()
	return nil
}

// serveLogs answers with the log of one container.
func (a *Agent) serveLogs(w http.ResponseWriter, r *http.Request) {
	pod := a.podOf(w, r)
	if pod == nil {
		return
	}
	o, err := logQuery(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	name := r.PathValue("container")
	state, err := a.cfg.Runtime.Pod(r.Context(), string(pod.UID))
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	c := chooseLog(state, name, o.Previous)
	if c == nil {
		http.Error(w, noLog(pod, name, o.Previous), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "text/plain")
	out := &flusher{w: w}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	var done chan struct{}
	if o.Follow {
		done = make(chan struct{})
		go a.awaitExit(ctx, string(pod.UID), c.ID, done)
		out.flush()
	}
	err = logs.Read(ctx, c.LogPath, readOptions(o), done, out)
	if err != nil && !errors.Is(err, os.ErrNotExist) && r.Context().Err() == nil && !out.used {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

func readOptions(o corev1.PodLogOptions) logs.Options {
	out := logs.Options{Follow: o.Follow, Timestamps: o.Timestamps, Tail: -1}
	if o.TailLines != nil {
		out.Tail = *o.TailLines
	}
	if o.LimitBytes != nil {
		out.LimitBytes = *o.LimitBytes
	}
	if o.SinceSeconds != nil {
		out.Since = time.Now().Add(-time.Duration(*o.SinceSeconds) * time.Second)
	}
	if o.SinceTime != nil {
		out.Since = o.SinceTime.Time
	}
	if o.Stream != nil {
		out.Stream = map[string]string{corev1.LogStreamStdout: logs.Stdout, corev1.LogStreamStderr: logs.Stderr}[*o.Stream]
	}
	return out
}

// chooseLog takes the latest attempt, or the one that ended before it.
func chooseLog(state container.PodState, name string, previous bool) *container.Container {
	var all []container.Container
	for _, c := range state.Containers {
		if c.Name == name && c.State != container.Created {
			all = append(all, c)
		}
	}
	if previous && len(all) > 0 {
		all = all[:len(all)-1]
	}
	if len(all) == 0 {
		return nil
	}
	return &all[len(all)-1]
}

// noLog says why there is no log.
func noLog(pod *corev1.Pod, name string, previous bool) string {
	if previous {
		return fmt.Sprintf("previous terminated container %q in pod %q not found", name, pod.Name)
	}
	for _, list := range [][]corev1.ContainerStatus{pod.Status.ContainerStatuses, pod.Status.InitContainerStatuses, pod.Status.EphemeralContainerStatuses} {
		for _, s := range list {
			if s.Name == name && s.State.Waiting != nil {
				if r := s.State.Waiting.Reason; r == "ErrImagePull" || r == "ImagePullBackOff" {
					return fmt.Sprintf("container %q in pod %q is waiting to start: trying and failing to pull image", name, pod.Name)
				}
				return fmt.Sprintf("container %q in pod %q is waiting to start: %s", name, pod.Name, s.State.Waiting.Reason)
			}
		}
	}
	return fmt.Sprintf("container %q in pod %q is not available", name, pod.Name)
}

// awaitExit closes done when the container runs no more.
func (a *Agent) awaitExit(ctx context.Context, uid, id string, done chan<- struct{}) {
	defer close(done)
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		state, err := a.cfg.Runtime.Pod(ctx, uid)
		if err == nil && !runsIn(state, id) {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func runsIn(state container.PodState, id string) bool {
	for _, c := range state.Containers {
		if c.ID == id {
			return c.State == container.Running
		}
	}
	return false
}

// flusher sends every write to the client at once.
type flusher struct {
	w    http.ResponseWriter
	used bool
}

func (f *flusher) Write(b []byte) (int, error) {
	f.used = true
	n, err := f.w.Write(b)
	f.flush()
	return n, err
}

func (f *flusher) flush() {
	if fl, ok := f.w.(http.Flusher); ok {
		fl.Flush()
	}
}
