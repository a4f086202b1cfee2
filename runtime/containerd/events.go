package containerd

import (
	"context"
	"fmt"
	"time"

	"github.com/containerd/containerd/api/events"
	eventtypes "github.com/containerd/containerd/v2/core/events"
	"github.com/containerd/typeurl/v2"

	"github.com/pintle-io/pintle/runtime/container"
)

// Events reports exits. When the connection to containerd breaks it tries again
// every second, and then asks for everything to be looked at.
func (r *Runtime) Events(ctx context.Context) <-chan container.Event {
	out := make(chan container.Event, 64)
	go func() {
		defer close(out)
		for ctx.Err() == nil {
			r.subscribe(ctx, out)
			select {
			case <-ctx.Done():
			case <-time.After(time.Second):
			}
		}
	}()
	return out
}

func (r *Runtime) subscribe(ctx context.Context, out chan<- container.Event) {
	ctx, cancel := context.WithCancel(r.scope(ctx))
	defer cancel()
	envelopes, errs := r.client.Subscribe(ctx,
		fmt.Sprintf(`topic=="/tasks/exit",namespace==%q`, r.cfg.Namespace))
	send := func(uid string) bool {
		select {
		case out <- container.Event{PodUID: uid}:
			return true
		case <-ctx.Done():
			return false
		}
	}
	if !send("") {
		return
	}
	for {
		select {
		case <-ctx.Done():
			return
		case err := <-errs:
			if err != nil && ctx.Err() == nil {
				r.cfg.Logger.Info("containerd event stream ended", "err", err)
			}
			return
		case e := <-envelopes:
			if uid := r.podOfExit(e); uid != "" && !send(uid) {
				return
			}
		}
	}
}

// podOfExit is empty for exits of exec processes and of containers of others.
func (r *Runtime) podOfExit(e *eventtypes.Envelope) string {
	v, err := typeurl.UnmarshalAny(e.Event)
	if err != nil {
		return ""
	}
	exit, ok := v.(*events.TaskExit)
	if !ok || exit.ID != exit.ContainerID {
		return ""
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.mu.pods[exit.ContainerID]
}
