package reconcile

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/pintle-io/pintle/engine/client"
)

// Writer is what actions are executed with; engine/client satisfies it.
type Writer interface {
	Create(ctx context.Context, obj runtime.Object, opts metav1.CreateOptions) (runtime.Object, error)
	UpdateSubresource(ctx context.Context, obj runtime.Object, subresource string, opts metav1.UpdateOptions) (runtime.Object, error)
	Delete(ctx context.Context, gvr schema.GroupVersionResource, namespace, name string, opts metav1.DeleteOptions) error
	Patch(ctx context.Context, gvr schema.GroupVersionResource, namespace, name string, kind types.PatchType, data []byte, opts metav1.PatchOptions, subresources ...string) (runtime.Object, error)
	DeleteCollection(ctx context.Context, gvr schema.GroupVersionResource, namespace string, opts metav1.DeleteOptions, list client.ListOptions) error
	Request(ctx context.Context, method, path string) error
}

// execution runs the actions of one plan and gathers what it wrote.
type execution struct {
	controller *Controller
	key        Key

	mu      sync.Mutex
	written []written
	// moved is, by object and the resourceVersion it was planned with, the one
	// that our own last write gave it.
	moved map[version]string
}

// version is one state of one object.
type version struct {
	uid             types.UID
	resourceVersion string
}

// all runs the plan; the error is that of the first action that failed, or of
// reporting it.
func (e *execution) all(ctx context.Context, result Result) error {
	for _, action := range result.Actions {
		done, err := e.one(ctx, action)
		if err == nil {
			continue
		}
		if result.OnFailure != nil {
			for _, last := range result.OnFailure(Failure{Action: action, Err: err, Done: done}) {
				if _, lastErr := e.one(ctx, last); lastErr != nil {
					return errors.Join(err, lastErr)
				}
			}
		}
		return err
	}
	return nil
}

// one runs one action; done counts the members of a batch that succeeded.
func (e *execution) one(ctx context.Context, action Action) (done int, err error) {
	writer := e.controller.cfg.Writer
	switch a := action.(type) {
	case Create:
		obj, err := writer.Create(ctx, a.Object, metav1.CreateOptions{})
		e.wrote(obj, err)
		e.announce(a.Announce, obj, err)
		return 0, wrap(err, "create", a.Object)
	case Update:
		planned := e.catchUp(a.Object)
		obj, err := writer.UpdateSubresource(ctx, a.Object, a.Subresource, metav1.UpdateOptions{})
		e.wrote(obj, err)
		e.moveOn(planned, obj, err)
		e.announce(a.Announce, obj, err)
		return 0, wrap(err, "update", a.Object)
	case UpdateStatus:
		planned := e.catchUp(a.Object)
		obj, err := writer.UpdateSubresource(ctx, a.Object, "status", metav1.UpdateOptions{})
		e.wrote(obj, err)
		e.moveOn(planned, obj, err)
		return 0, wrap(err, "update status of", a.Object)
	case Patch:
		return 0, e.patch(ctx, a)
	case Delete:
		return 0, e.delete(ctx, a)
	case DeleteCollection:
		if err := writer.DeleteCollection(ctx, a.Resource, a.Namespace, metav1.DeleteOptions{}, client.ListOptions{}); err != nil {
			return 0, fmt.Errorf("delete all %s in %s: %w", a.Resource.Resource, a.Namespace, err)
		}
		return 0, nil
	case Request:
		if err := writer.Request(ctx, a.Method, a.Path); err != nil {
			return 0, fmt.Errorf("%s %s: %w", a.Method, a.Path, err)
		}
		return 0, nil
	case Event:
		e.controller.cfg.Recorder.Event(a.About, a.Type, a.Reason, a.Message)
		return 0, nil
	case Batch:
		return e.batch(ctx, a)
	}
	return 0, fmt.Errorf("reconcile: unknown action %T", action)
}

func (e *execution) patch(ctx context.Context, a Patch) error {
	var sub []string
	if a.Subresource != "" {
		sub = []string{a.Subresource}
	}
	_, err := e.controller.cfg.Writer.Patch(ctx, a.Resource, a.Namespace, a.Name, a.Type, a.Data, metav1.PatchOptions{}, sub...)
	if err != nil {
		return fmt.Errorf("patch %s %s/%s: %w", a.Resource.Resource, a.Namespace, a.Name, err)
	}
	return nil
}

func (e *execution) delete(ctx context.Context, a Delete) error {
	opts := metav1.DeleteOptions{GracePeriodSeconds: a.GracePeriodSeconds}
	if a.UID != "" || a.ResourceVersion != "" {
		opts.Preconditions = &metav1.Preconditions{}
		if a.UID != "" {
			opts.Preconditions.UID = &a.UID
		}
		if a.ResourceVersion != "" {
			opts.Preconditions.ResourceVersion = &a.ResourceVersion
		}
	}
	if a.Propagation != "" {
		opts.PropagationPolicy = &a.Propagation
	}
	err := e.controller.cfg.Writer.Delete(ctx, a.Resource, a.Namespace, a.Name, opts)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err == nil && a.UID != "" {
		e.mu.Lock()
		e.written = append(e.written, writtenDelete(a, time.Now()))
		e.mu.Unlock()
	}
	e.announceName(a.Announce, a.Name, err)
	if err != nil {
		return fmt.Errorf("delete %s %s/%s: %w", a.Resource.Resource, a.Namespace, a.Name, err)
	}
	return nil
}

// maxParallel bounds one round of a batch. Writes wait for the disk together, so
// more in flight means fewer syncs.
const maxParallel = 256

// batch runs rounds that double in size while all goes well.
func (e *execution) batch(ctx context.Context, batch Batch) (done int, err error) {
	size := 1
	for len(batch) > 0 {
		round := batch[:min(size, len(batch), maxParallel)]
		batch = batch[len(round):]
		errs := make([]error, len(round))
		var wg sync.WaitGroup
		for i, action := range round {
			wg.Go(func() { _, errs[i] = e.one(ctx, action) })
		}
		wg.Wait()
		for _, oneErr := range errs {
			if oneErr == nil {
				done++
			} else if err == nil {
				err = oneErr
			}
		}
		if err != nil {
			return done, err
		}
		size *= 2
	}
	return done, nil
}

// catchUp gives an object that this plan already wrote the resourceVersion of that
// write, so that a plan may change status and metadata of one object: the
// precondition still refuses what somebody else wrote in between. It returns the
// state the object was planned in.
func (e *execution) catchUp(obj runtime.Object) version {
	m, err := meta.Accessor(obj)
	if err != nil {
		return version{}
	}
	planned := version{m.GetUID(), m.GetResourceVersion()}
	e.mu.Lock()
	defer e.mu.Unlock()
	if now, ok := e.moved[planned]; ok {
		m.SetResourceVersion(now)
	}
	return planned
}

func (e *execution) moveOn(planned version, written runtime.Object, err error) {
	if err != nil || written == nil || planned.uid == "" {
		return
	}
	m, err := meta.Accessor(written)
	if err != nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.moved == nil {
		e.moved = map[version]string{}
	}
	e.moved[planned] = m.GetResourceVersion()
}

func (e *execution) wrote(obj runtime.Object, err error) {
	if err != nil || obj == nil {
		return
	}
	if w, ok := writtenObject(obj, time.Now()); ok {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.written = append(e.written, w)
	}
}

func (e *execution) announce(a *Announce, obj runtime.Object, err error) {
	if a == nil {
		return
	}
	name := ""
	if err == nil {
		name = nameOf(obj)
	}
	e.announceName(a, name, err)
}

func (e *execution) announceName(a *Announce, name string, err error) {
	if a == nil || quiet(err) {
		return
	}
	message, argument := a.Done, any(name)
	if err != nil {
		message, argument = a.Failed, err
	}
	if message.Reason == "" {
		return
	}
	eventType := message.Type
	if eventType == "" {
		eventType = corev1.EventTypeNormal
	}
	e.controller.cfg.Recorder.Eventf(a.About, eventType, message.Reason, message.Format, argument)
}

// quiet are failures not worth an event: the namespace is going away.
func quiet(err error) bool {
	return err != nil && apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause)
}

func wrap(err error, verb string, obj runtime.Object) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s %T %s: %w", verb, obj, nameOf(obj), err)
}
