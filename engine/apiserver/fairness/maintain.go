package fairness

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"
	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/informers"
	client "k8s.io/client-go/kubernetes/typed/flowcontrol/v1"
	"k8s.io/client-go/tools/cache"
)

const (
	// every is how often what was changed is put back at the latest.
	every = time.Minute
	// retryAfter is the pause after a failed round.
	retryAfter   = time.Second
	fieldManager = "api-priority-and-fairness-config-producer-v1"
)

// object is a flow schema or a priority level.
type object interface {
	metav1.Object
	runtime.Object
}

// Maintainer keeps the default flow schemas and priority levels. Objects with the
// annotation apf.kubernetes.io/autoupdate-spec "false" stay as they are, but for the
// mandatory ones, which are always put back.
type Maintainer struct {
	schemas kind[*flowcontrolv1.FlowSchema]
	levels  kind[*flowcontrolv1.PriorityLevelConfiguration]
	synced  []cache.InformerSynced
	changed chan struct{}
	log     *slog.Logger
}

// NewMaintainer uses the factory's informers; the caller starts the factory.
func NewMaintainer(factory informers.SharedInformerFactory, c client.FlowcontrolV1Interface, scheme *runtime.Scheme, log *slog.Logger) (*Maintainer, error) {
	group := factory.Flowcontrol().V1()
	m := &Maintainer{
		schemas: kind[*flowcontrolv1.FlowSchema]{
			name: "flow schema", all: flowSchemas(scheme), spec: schemaSpec, list: group.FlowSchemas().Lister().List, client: c.FlowSchemas(),
		},
		levels: kind[*flowcontrolv1.PriorityLevelConfiguration]{
			name: "priority level", all: priorityLevels(scheme), spec: levelSpec, list: group.PriorityLevelConfigurations().Lister().List, client: c.PriorityLevelConfigurations(),
		},
		changed: make(chan struct{}, 1),
		log:     log,
	}
	for _, informer := range []cache.SharedIndexInformer{group.FlowSchemas().Informer(), group.PriorityLevelConfigurations().Informer()} {
		m.synced = append(m.synced, informer.HasSynced)
		_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
			UpdateFunc: func(old, obj any) {
				if old.(metav1.Object).GetGeneration() != obj.(metav1.Object).GetGeneration() {
					m.wake()
				}
			},
			DeleteFunc: func(any) { m.wake() },
		})
		if err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *Maintainer) wake() {
	select {
	case m.changed <- struct{}{}:
	default:
	}
}

// Ensure waits for the caches, then writes what is missing until all is there.
func (m *Maintainer) Ensure(ctx context.Context) error {
	if !cache.WaitForCacheSync(ctx.Done(), m.synced...) {
		return ctx.Err()
	}
	for {
		err := m.round(ctx)
		if err == nil {
			return nil
		}
		m.log.Warn("default flow schemas and priority levels could not be written", "err", err)
		if !pause(ctx, retryAfter) {
			return errors.Join(err, ctx.Err())
		}
	}
}

// Run puts back what others change, until ctx ends.
func (m *Maintainer) Run(ctx context.Context) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-m.changed:
			// A burst of changes is one round, and two servers that disagree do not
			// write as fast as they can.
			if !pause(ctx, retryAfter) {
				return
			}
		}
		if err := m.round(ctx); err != nil && ctx.Err() == nil {
			m.log.Warn("default flow schemas and priority levels could not be put back", "err", err)
		}
	}
}

func (m *Maintainer) round(ctx context.Context) error {
	if err := m.levels.maintain(ctx); err != nil {
		return err
	}
	return m.schemas.maintain(ctx)
}

// pause returns false if ctx ended first.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// kind reads and writes one of the two kinds.
type kind[T object] struct {
	name   string
	all    []defaultObject[T]
	spec   specOf[T]
	list   func(labels.Selector) ([]T, error)
	client writer[T]
}

type writer[T object] interface {
	Create(ctx context.Context, obj T, opts metav1.CreateOptions) (T, error)
	Update(ctx context.Context, obj T, opts metav1.UpdateOptions) (T, error)
	Delete(ctx context.Context, name string, opts metav1.DeleteOptions) error
}

// maintain executes the plan. Whatever somebody else wrote meanwhile is looked at
// again in the next round.
func (k *kind[T]) maintain(ctx context.Context) error {
	list, err := k.list(labels.Everything())
	if err != nil {
		return err
	}
	have := make(map[string]T, len(list))
	for _, obj := range list {
		have[obj.GetName()] = obj
	}
	p := planFor(have, k.all, k.spec)
	group, ctx := errgroup.WithContext(ctx)
	for _, obj := range p.create {
		group.Go(func() error {
			_, err := k.client.Create(ctx, obj.DeepCopyObject().(T), metav1.CreateOptions{FieldManager: fieldManager})
			return k.wrap("create", obj.GetName(), err)
		})
	}
	for _, obj := range p.update {
		group.Go(func() error {
			_, err := k.client.Update(ctx, obj, metav1.UpdateOptions{FieldManager: fieldManager})
			return k.wrap("update", obj.GetName(), err)
		})
	}
	for _, name := range p.remove {
		group.Go(func() error { return k.wrap("delete", name, k.client.Delete(ctx, name, metav1.DeleteOptions{})) })
	}
	return group.Wait()
}

func (k *kind[T]) wrap(verb, name string, err error) error {
	if err == nil || apierrors.IsAlreadyExists(err) || apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		return nil
	}
	return fmt.Errorf("%s %s %s: %w", verb, k.name, name, err)
}
