// Package agent is the node agent: it makes the machine run the pods that the
// API says belong to its node, and reports what it sees.
//
// It never decides where a pod runs and keeps no state of its own that matters:
// everything is observed again from the container runtime (by labels) and from
// the API, so it may be killed at any moment. One worker goroutine per pod does
// observe, plan, act; plans are pure (package podplan).
package agent

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"

	"github.com/pintle-io/pintle/runtime/container"
	"github.com/pintle-io/pintle/runtime/probe"
	"github.com/pintle-io/pintle/runtime/stats"
	"github.com/pintle-io/pintle/runtime/volume"
)

// Agent runs the pods of one node.
type Agent struct {
	cfg     Config
	log     *slog.Logger
	prober  *probe.Prober
	volumes *volume.Manager
	objects *objects
	status  *statusWriter
	events  *events
	stats   *stats.Collector
	metrics *metrics
	// runtimeName begins container ids; memory is the machine's.
	runtimeName, runtimeVersion string
	memory                      int64
	imagesAt                    time.Time // when the node's images were listed

	// nodeChanged asks for the node's status to be looked at now.
	nodeChanged chan struct{}

	podStore     cache.Store
	serviceStore cache.Store
	nodeStore    cache.Store

	// rooms are the pods that were admitted, which the API may not show yet.
	rooms struct {
		sync.Mutex
		held map[types.UID]bool
	}

	mu struct {
		sync.Mutex
		workers map[string]*worker // by pod UID
		wg      *sync.WaitGroup
		ctx     context.Context // of Run, for workers
	}
}

// New checks the configuration. It starts nothing.
func New(cfg Config) (*Agent, error) {
	cfg.defaults()
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	a := &Agent{cfg: cfg, log: cfg.Logger.With("node", cfg.NodeName), prober: &probe.Prober{Dial: cfg.Dial}}
	a.mu.workers = map[string]*worker{}
	a.rooms.held = map[types.UID]bool{}
	a.nodeChanged = make(chan struct{}, 1)
	a.objects = newObjects(cfg.Client, cfg.NodeName, a.objectChanged)
	a.volumes = volume.New(filepath.Join(cfg.DataDir, "pods"), a.objects)
	a.status = newStatusWriter(cfg.Client, a.log)
	a.events = newEvents(context.Background(), cfg.Client, cfg.NodeName)
	a.memory = machineMemory()
	a.metrics = newMetrics()
	a.stats = a.newCollector()
	return a, nil
}

// Run serves the node until ctx ends. Containers keep running afterwards; use
// Shutdown to end them too.
func (a *Agent) Run(ctx context.Context) error {
	version, err := a.cfg.Runtime.Version(ctx)
	if err != nil {
		return fmt.Errorf("container runtime: %w", err)
	}
	a.runtimeVersion = version
	a.runtimeName, _, _ = strings.Cut(version, "://")
	g, ctx := errgroup.WithContext(ctx)
	var workers sync.WaitGroup
	a.mu.Lock()
	a.mu.ctx, a.mu.wg = ctx, &workers
	a.mu.Unlock()
	a.events.start()
	defer a.events.stop()
	defer a.objects.stop()
	defer workers.Wait()

	core := a.cfg.Client.CoreV1()
	onNode := func(o *metav1.ListOptions) {
		o.FieldSelector = fields.OneTermEqualSelector("spec.nodeName", a.cfg.NodeName).String()
	}
	onlyNode := func(o *metav1.ListOptions) {
		o.FieldSelector = fields.OneTermEqualSelector("metadata.name", a.cfg.NodeName).String()
	}
	all := func(*metav1.ListOptions) {}
	var pods, services, nodes cache.Controller
	a.serviceStore, services = newInformer(a.cfg.Client, core.Services(""), &corev1.Service{}, all, nil)
	a.nodeStore, nodes = newInformer(a.cfg.Client, core.Nodes(), &corev1.Node{}, onlyNode, a.nodeHandler())
	a.podStore, pods = newInformer(a.cfg.Client, core.Pods(""), &corev1.Pod{}, onNode, a.podHandler())

	g.Go(func() error { return a.serve(ctx) })
	g.Go(func() error { a.status.run(ctx); return nil })
	g.Go(func() error { a.runNode(ctx); return nil })
	g.Go(func() error { a.stats.Run(ctx); return nil })
	for _, c := range []cache.Controller{services, nodes} {
		g.Go(func() error { c.RunWithContext(ctx); return nil })
	}
	g.Go(func() error {
		// Services first: their variables belong into the first container.
		if cache.WaitForCacheSync(ctx.Done(), services.HasSynced, nodes.HasSynced) {
			a.sweepNetwork(ctx)
			pods.RunWithContext(ctx)
		}
		return nil
	})
	g.Go(func() error {
		if cache.WaitForCacheSync(ctx.Done(), pods.HasSynced) {
			a.followRuntime(ctx)
		}
		return nil
	})
	return g.Wait()
}

func (a *Agent) podHandler() cache.ResourceEventHandler {
	return cache.ResourceEventHandlerFuncs{
		AddFunc:    func(obj any) { a.have(obj.(*corev1.Pod)) },
		UpdateFunc: func(_, obj any) { a.have(obj.(*corev1.Pod)) },
		DeleteFunc: func(obj any) {
			if t, ok := obj.(cache.DeletedFinalStateUnknown); ok {
				obj = t.Obj
			}
			if pod, ok := obj.(*corev1.Pod); ok {
				a.status.forget(pod.UID)
				a.metrics.forget(pod.Namespace, pod.Name, string(pod.UID))
				if w := a.worker(string(pod.UID)); w != nil {
					w.gone()
				}
			}
		},
	}
}

func refOf(pod *corev1.Pod) container.PodRef {
	return container.PodRef{UID: string(pod.UID), Namespace: pod.Namespace, Name: pod.Name}
}

func (a *Agent) have(pod *corev1.Pod) {
	if w := a.worker(string(pod.UID)); w != nil {
		w.update(pod)
		return
	}
	a.begin(refOf(pod), pod)
}

func (a *Agent) worker(uid string) *worker {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.mu.workers[uid]
}

// begin starts the worker of a pod; pod is nil for one the API does not have.
func (a *Agent) begin(ref container.PodRef, pod *corev1.Pod) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.mu.workers[ref.UID] != nil || a.mu.ctx.Err() != nil {
		return
	}
	w := newWorker(a, ref, pod)
	a.mu.workers[ref.UID] = w
	a.mu.wg.Go(func() {
		w.run(a.mu.ctx)
		a.mu.Lock()
		defer a.mu.Unlock()
		delete(a.mu.workers, ref.UID)
		a.leave(types.UID(ref.UID))
	})
}

func (a *Agent) wake(uid string) {
	if w := a.worker(uid); w != nil {
		w.wakeUp()
	}
}

func (a *Agent) objectChanged(uid string) {
	if w := a.worker(uid); w != nil {
		w.tryAgain()
	}
}

func (a *Agent) wakeAll() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, w := range a.mu.workers {
		w.wakeUp()
	}
}

// sweepEvery is how often remains of unknown pods are looked for.
const sweepEvery = time.Minute

// followRuntime wakes workers when their containers change, and looks for
// remains of pods that nobody knows.
func (a *Agent) followRuntime(ctx context.Context) {
	events := a.cfg.Runtime.Events(ctx)
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	a.sweep(ctx)
	for {
		select {
		case <-ctx.Done():
			return
		case e, ok := <-events:
			switch {
			case !ok:
				return
			case e.PodUID == "":
				a.wakeAll()
			default:
				a.wake(e.PodUID)
			}
		case <-tick.C:
			a.sweep(ctx)
		}
	}
}

// sweep gives a worker to every pod that has remains here, so that they are
// removed if the API does not have it.
func (a *Agent) sweep(ctx context.Context) {
	if err := a.trySweep(ctx); err != nil && ctx.Err() == nil {
		a.log.Error("look for remains of pods", "err", err)
	}
}

func (a *Agent) trySweep(ctx context.Context) error {
	refs, err := a.cfg.Runtime.Pods(ctx)
	if err != nil {
		return err
	}
	uids, err := a.volumes.Pods()
	if err != nil {
		return err
	}
	for _, uid := range uids {
		refs = append(refs, container.PodRef{UID: uid, Namespace: "unknown", Name: "unknown"})
	}
	for _, ref := range refs {
		if !a.inAPI(ref.UID) {
			a.begin(ref, nil)
		}
	}
	return nil
}

// sweepNetwork takes pods that nobody knows off the network. It runs before
// there are workers, so that it cannot meet a pod that is being set up; it is
// tried until it succeeds.
func (a *Agent) sweepNetwork(ctx context.Context) {
	for ctx.Err() == nil {
		live, err := a.livePods(ctx)
		if err == nil {
			err = a.cfg.Network.Sweep(ctx, live)
		}
		if err == nil || ctx.Err() != nil {
			return
		}
		a.log.Info("look for remains on the network, will retry", "err", err)
		pause(ctx, retryNode)
	}
}

// livePods are those of the API and those that have containers here.
func (a *Agent) livePods(ctx context.Context) (map[string]bool, error) {
	pods, err := a.cfg.Client.CoreV1().Pods("").List(ctx, metav1.ListOptions{
		FieldSelector: fields.OneTermEqualSelector("spec.nodeName", a.cfg.NodeName).String(),
	})
	if err != nil {
		return nil, err
	}
	refs, err := a.cfg.Runtime.Pods(ctx)
	if err != nil {
		return nil, err
	}
	live := map[string]bool{}
	for _, p := range pods.Items {
		live[string(p.UID)] = true
	}
	for _, r := range refs {
		live[r.UID] = true
	}
	return live, nil
}

func (a *Agent) inAPI(uid string) bool {
	for _, o := range a.podStore.List() {
		if string(o.(*corev1.Pod).UID) == uid {
			return true
		}
	}
	return false
}

func (a *Agent) logDir(ref container.PodRef) string {
	return filepath.Join(a.cfg.DataDir, "logs", ref.Namespace+"_"+ref.Name+"_"+ref.UID)
}

func (a *Agent) netnsPath(uid string) string { return filepath.Join(a.cfg.RunDir, "netns", uid) }

// services of a namespace, and those of default; informers' objects are not
// to be changed.
func (a *Agent) services(namespace string) []*corev1.Service {
	var out []*corev1.Service
	for _, o := range a.serviceStore.List() {
		if s := o.(*corev1.Service); s.Namespace == namespace || s.Namespace == corev1.NamespaceDefault {
			out = append(out, s)
		}
	}
	return out
}

func (a *Agent) fields(pod *corev1.Pod, ips []string) podFields {
	return podFields{pod: pod, podIPs: ips, hostIPs: a.cfg.NodeIPs, allocatable: a.capacity()}
}

// runtimeHandler resolves the pod's RuntimeClass.
func (a *Agent) runtimeHandler(ctx context.Context, pod *corev1.Pod) (string, error) {
	name := pod.Spec.RuntimeClassName
	if name == nil || *name == "" {
		return "", nil
	}
	rc, err := a.cfg.Client.NodeV1().RuntimeClasses().Get(ctx, *name, metav1.GetOptions{})
	if err != nil {
		return "", fmt.Errorf("runtime class %s: %w", *name, err)
	}
	return rc.Handler, nil
}
