package agent

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/pintle-io/pintle/runtime/container"
	"github.com/pintle-io/pintle/runtime/probe"
)

// hook runs a lifecycle handler of a container to its end.
func (a *Agent) hook(ctx context.Context, h *corev1.LifecycleHandler, c *corev1.Container, id, podIP string) error {
	switch {
	case h.Exec != nil:
		var out lockedBuffer
		code, err := a.cfg.Runtime.Exec(ctx, id, container.ExecOptions{Command: h.Exec.Command, Stdout: &out, Stderr: &out})
		if err == nil && code != 0 {
			err = fmt.Errorf("command %q exited with %d: %s", h.Exec.Command, code, out.String())
		}
		return err
	case h.HTTPGet != nil:
		return a.httpHook(ctx, h.HTTPGet, c, podIP)
	case h.Sleep != nil:
		t := time.NewTimer(time.Duration(h.Sleep.Seconds) * time.Second)
		defer t.Stop()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-t.C:
		}
	}
	return nil
}

func (a *Agent) httpHook(ctx context.Context, h *corev1.HTTPGetAction, c *corev1.Container, podIP string) error {
	req, err := probe.HTTPRequest(ctx, h, probe.Target{PodIP: podIP, Container: c}, "kube-lifecycle/1.37")
	if err != nil {
		return err
	}
	resp, err := a.prober.Client().Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return err
	}
	if resp.StatusCode < http.StatusOK || resp.StatusCode >= http.StatusMultipleChoices {
		return fmt.Errorf("HTTP status %d", resp.StatusCode)
	}
	return nil
}

// kill ends one container: the preStop hook and the stop share the grace period.
func (w *worker) kill(ctx context.Context, pod *corev1.Pod, id string, c *corev1.Container, grace time.Duration, reason string) error {
	if c != nil {
		w.event(pod, c, corev1.EventTypeNormal, "Killing", reason)
	}
	deadline := time.Now().Add(grace)
	if c != nil && c.Lifecycle != nil && c.Lifecycle.PreStop != nil && grace > 0 && w.firstKill(id) {
		hctx, cancel := context.WithDeadline(ctx, deadline)
		err := w.a.hook(hctx, c.Lifecycle.PreStop, c, id, firstOf(w.ips))
		cancel()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			w.event(pod, c, corev1.EventTypeWarning, "FailedPreStopHook", "PreStopHook failed: "+err.Error())
		}
		// The process still gets a moment after a hook that took all the time.
		grace = max(time.Until(deadline), 2*time.Second)
	}
	return w.a.cfg.Runtime.StopContainer(ctx, id, grace)
}

// lockedBuffer collects what two goroutines write.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lockedBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// lockedWriter serializes writes to w.
type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(b)
}
