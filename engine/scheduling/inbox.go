package scheduling

import (
	"context"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/cache"
)

// event is one thing that happened; exactly one field group is set. Objects are
// shared and never changed.
type event struct {
	oldNode, newNode *corev1.Node // add: old nil; delete: new nil
	oldPod, newPod   *corev1.Pod
	bound            *bindResult
	spared           *corev1.Pod // a victim that could not be deleted
	volumes          bool        // something about volumes changed
	asked            *question
}

// inbox carries events to the loop: never blocks a sender, keeps order.
type inbox struct {
	ready chan struct{} // holds a token while there may be something to do
	mu    struct {
		sync.Mutex
		events []event
	}
}

func newInbox() *inbox { return &inbox{ready: make(chan struct{}, 1)} }

func (i *inbox) put(e event) {
	i.mu.Lock()
	i.mu.events = append(i.mu.events, e)
	i.mu.Unlock()
	i.wake()
}

func (i *inbox) wake() {
	select {
	case i.ready <- struct{}{}:
	default:
	}
}

func (i *inbox) take() []event {
	i.mu.Lock()
	defer i.mu.Unlock()
	events := i.mu.events
	i.mu.events = nil
	return events
}

// subscribe feeds the inbox from the informers.
func (s *Scheduler) subscribe() error {
	nodes := s.config.Informers.Core().V1().Nodes().Informer()
	_, err := nodes.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(o any) { s.inbox.put(event{newNode: as[corev1.Node](o)}) },
		UpdateFunc: func(old, o any) { s.inbox.put(event{oldNode: as[corev1.Node](old), newNode: as[corev1.Node](o)}) },
		DeleteFunc: func(o any) { s.inbox.put(event{oldNode: as[corev1.Node](o)}) },
	})
	if err != nil {
		return err
	}
	s.config.Informers.Core().V1().Namespaces().Informer()
	s.cluster.namespaces = s.config.Informers.Core().V1().Namespaces().Lister()
	if err := s.cluster.defaults.subscribe(s.config.Informers); err != nil {
		return err
	}
	if err := s.cluster.volumes.subscribe(s.config.Informers, func() { s.inbox.put(event{volumes: true}) }); err != nil {
		return err
	}
	pods := s.config.Informers.Core().V1().Pods().Informer()
	_, err = pods.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(o any) { s.inbox.put(event{newPod: as[corev1.Pod](o)}) },
		UpdateFunc: func(old, o any) { s.inbox.put(event{oldPod: as[corev1.Pod](old), newPod: as[corev1.Pod](o)}) },
		DeleteFunc: func(o any) { s.inbox.put(event{oldPod: as[corev1.Pod](o)}) },
	})
	return err
}

func (s *Scheduler) waitForSync(ctx context.Context) bool {
	core := s.config.Informers.Core().V1()
	return cache.WaitForCacheSync(ctx.Done(), core.Nodes().Informer().HasSynced,
		core.Pods().Informer().HasSynced, core.Namespaces().Informer().HasSynced)
}

// as unwraps what an informer hands out, tombstones included.
func as[T any](o any) *T {
	if gone, ok := o.(cache.DeletedFinalStateUnknown); ok {
		o = gone.Obj
	}
	t, _ := o.(*T)
	return t
}
