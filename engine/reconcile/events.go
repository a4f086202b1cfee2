package reconcile

import (
	"context"
	"encoding/json"
	"errors"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/record"

	"github.com/pintle-io/pintle/engine/client"
)

// Events records events through the in-process client with client-go's
// correlator: equal events are counted, similar ones aggregated, floods dropped.
type Events struct {
	client      *client.Client
	broadcaster record.EventBroadcaster
}

// NewEvents builds the event pipeline; nothing is written until Run.
func NewEvents(c *client.Client) *Events {
	return &Events{client: c, broadcaster: record.NewBroadcaster()}
}

// Run writes recorded events until ctx ends.
func (e *Events) Run(ctx context.Context) error {
	sink := e.broadcaster.StartRecordingToSink(&eventSink{ctx: func() context.Context { return ctx }, client: e.client})
	<-ctx.Done()
	sink.Stop()
	e.broadcaster.Shutdown()
	return nil
}

// Recorder returns a recorder whose events name a component.
func (e *Events) Recorder(component string) record.EventRecorder {
	return &recorder{
		client: e.client,
		inner:  e.broadcaster.NewRecorder(e.client.Scheme(), corev1.EventSource{Component: component}),
	}
}

// recorder names the served kind of the object an event is about, which the
// scheme alone cannot (the hub type is registered under two versions).
type recorder struct {
	client *client.Client
	inner  record.EventRecorder
}

func (r *recorder) reference(obj runtime.Object) runtime.Object {
	row, ok := r.client.ResourceOf(obj)
	if !ok {
		return obj
	}
	m, err := meta.Accessor(obj)
	if err != nil {
		return obj
	}
	apiVersion, kind := row.GVK.ToAPIVersionAndKind()
	return &corev1.ObjectReference{
		APIVersion: apiVersion, Kind: kind,
		Namespace: m.GetNamespace(), Name: m.GetName(), UID: m.GetUID(),
		ResourceVersion: m.GetResourceVersion(),
	}
}

func (r *recorder) Event(obj runtime.Object, eventType, reason, message string) {
	r.inner.Event(r.reference(obj), eventType, reason, message)
}

func (r *recorder) Eventf(obj runtime.Object, eventType, reason, format string, args ...any) {
	r.inner.Eventf(r.reference(obj), eventType, reason, format, args...)
}

func (r *recorder) AnnotatedEventf(obj runtime.Object, annotations map[string]string, eventType, reason, format string, args ...any) {
	r.inner.AnnotatedEventf(r.reference(obj), annotations, eventType, reason, format, args...)
}

// eventSink writes events in process.
type eventSink struct {
	ctx    func() context.Context
	client *client.Client
}

// Create drops events about what goes away with its namespace.
func (s *eventSink) Create(event *corev1.Event) (*corev1.Event, error) {
	created, err := client.Create(s.ctx(), s.client, event.DeepCopy())
	if apierrors.IsNotFound(err) || quiet(err) || errors.Is(err, context.Canceled) {
		return event, nil
	}
	return created, err
}

func (s *eventSink) Update(event *corev1.Event) (*corev1.Event, error) {
	return client.Update(s.ctx(), s.client, event.DeepCopy())
}

// Patch merges the correlator's patch, which sets plain fields only.
func (s *eventSink) Patch(old *corev1.Event, data []byte) (*corev1.Event, error) {
	return client.UpdateFunc(s.ctx(), s.client, old.Namespace, old.Name, func(event *corev1.Event) error {
		return json.Unmarshal(data, event)
	})
}
