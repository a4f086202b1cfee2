package strategies

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/tools/cache"

	"github.com/pintle-io/pintle/engine/apis/pintle"
	"github.com/pintle-io/pintle/engine/reconcile"
)

const (
	// Name and BindingName are the service accounts that the loops act as.
	Name        = "strategy-controller"
	BindingName = "strategy-binding-controller"
	// again is how often what a strategy did is brought into its status, and files
	// are looked at.
	again = 5 * time.Second
	// settling is how soon bindings are looked at again while Strategies are loaded at
	// the start.
	settling = 200 * time.Millisecond
)

// Config of the controllers. All but Registry is required.
type Config struct {
	Env       reconcile.Env
	Host      Host
	Router    Router
	Scheduler Scheduler
	// Dir is what files of Strategies are below; KeepDir is for modules that were
	// loaded.
	Dir, KeepDir string
	// Builtin gives the modules that come with the server, by name.
	Builtin func(name string) ([]byte, bool)
	// Registry pulls modules.
	Registry Registry
	Logger   *slog.Logger
}

// Controllers are the two loops, and the informers that they need started once the
// kinds are served.
type Controllers struct {
	finder     finder
	host       Host
	table      *table
	log        *slog.Logger
	strategies cache.SharedIndexInformer
	bindings   cache.SharedIndexInformer
	configMaps cache.InformerSynced
	loops      []*reconcile.Controller

	mu struct {
		sync.Mutex
		// refused are modules that the host did not take, by digest and type.
		refused map[string]*Fault
		// pending are the objects of the first list that were not worked on yet.
		pending map[string]bool
		listed  bool
	}
	settled chan struct{}
}

// New builds the controllers.
func New(cfg Config) (*Controllers, error) {
	if cfg.Host == nil || cfg.Router == nil || cfg.Scheduler == nil || cfg.Builtin == nil || cfg.Registry == nil ||
		cfg.Dir == "" || cfg.KeepDir == "" || cfg.Logger == nil {
		return nil, errors.New("strategies: Host, Router, Scheduler, Builtin, Registry, Dir, KeepDir and Logger are required")
	}
	configMaps := cfg.Env.Informers().Core().V1().ConfigMaps()
	c := &Controllers{
		finder: finder{configMaps: configMaps.Lister(), dir: cfg.Dir, builtin: cfg.Builtin, registry: cfg.Registry, keep: keep{cfg.KeepDir}},
		host:   cfg.Host, table: newTable(cfg.Router, cfg.Scheduler), log: cfg.Logger,
		configMaps: configMaps.Informer().HasSynced, settled: make(chan struct{}),
	}
	c.mu.refused = map[string]*Fault{}
	client := cfg.Env.WriterFor(Name).Dynamic()
	informer := func(gvr schema.GroupVersionResource) cache.SharedIndexInformer {
		return dynamicinformer.NewFilteredDynamicInformer(client, gvr, "", 0, cache.Indexers{}, nil).Informer()
	}
	c.strategies, c.bindings = informer(pintle.Strategies), informer(pintle.StrategyBindings)
	own, err := cfg.Env.Controller(reconcile.Config{
		Name: Name, Workers: 1, Reconcile: c.reconcile,
		Watches: []reconcile.Watch{
			reconcile.Self[*unstructured.Unstructured](c.strategies),
			reconcile.On(configMaps.Informer(), c.usersOf),
		},
	})
	if err != nil {
		return nil, err
	}
	all := func(*unstructured.Unstructured) []reconcile.Key { return []reconcile.Key{{Name: "bindings"}} }
	bound, err := cfg.Env.Controller(reconcile.Config{
		Name: BindingName, Workers: 1, Reconcile: c.reconcileBindings,
		Watches: []reconcile.Watch{reconcile.On(c.bindings, all), reconcile.On(c.strategies, all)},
	})
	if err != nil {
		return nil, err
	}
	c.loops = []*reconcile.Controller{own, bound}
	return c, nil
}

// Loops are the controllers to run.
func (c *Controllers) Loops() []*reconcile.Controller { return c.loops }

// Watch runs the informers of the two kinds, which must be served, until ctx ends.
func (c *Controllers) Watch(ctx context.Context) error {
	var wait sync.WaitGroup
	for _, informer := range []cache.SharedIndexInformer{c.strategies, c.bindings} {
		wait.Go(func() { informer.RunWithContext(ctx) })
	}
	if cache.WaitForCacheSync(ctx.Done(), c.strategies.HasSynced, c.bindings.HasSynced) {
		c.list()
	}
	wait.Wait()
	return nil
}

// Settled is closed when what the API held at the start is in force.
func (c *Controllers) Settled() <-chan struct{} { return c.settled }

// list notes what has to be worked on until all is settled. What the loops have
// worked on before is worked on again.
func (c *Controllers) list() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mu.pending = map[string]bool{"bindings/": true}
	c.loops[1].Enqueue(reconcile.Key{Name: "bindings"})
	for _, key := range c.strategies.GetStore().ListKeys() {
		c.mu.pending["strategies/"+key] = true
		c.loops[0].Enqueue(reconcile.Key{Name: key})
	}
}

// done strikes an object off the list.
func (c *Controllers) done(what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.mu.pending == nil {
		return
	}
	delete(c.mu.pending, what)
	if len(c.mu.pending) == 0 && !c.mu.listed {
		c.mu.listed = true
		close(c.settled)
	}
}

// worked reports that every Strategy of the first list was worked on.
func (c *Controllers) worked() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for what := range c.mu.pending {
		if strings.HasPrefix(what, "strategies/") {
			return false
		}
	}
	return c.mu.pending != nil
}

// usersOf are the Strategies whose module a ConfigMap has.
func (c *Controllers) usersOf(cm *corev1.ConfigMap) []reconcile.Key {
	var keys []reconcile.Key
	for _, s := range c.all() {
		if ref := s.Spec.Module.ConfigMap; ref != nil && ref.Namespace == cm.Namespace && ref.Name == cm.Name {
			keys = append(keys, reconcile.KeyOf(s))
		}
	}
	return keys
}

// all are the Strategies; one that cannot be read is left out.
func (c *Controllers) all() []*pintle.Strategy {
	var out []*pintle.Strategy
	for _, obj := range c.strategies.GetStore().List() {
		if s, err := pintle.StrategyOf(obj.(*unstructured.Unstructured)); err == nil {
			out = append(out, s)
		}
	}
	return out
}

// reconcile works on one Strategy.
func (c *Controllers) reconcile(ctx context.Context, key reconcile.Key, now time.Time) (reconcile.Result, error) {
	obj, exists, err := c.strategies.GetStore().GetByKey(key.Name)
	if err != nil {
		return reconcile.Result{}, err
	}
	if !exists {
		defer c.done("strategies/" + key.Name)
		return reconcile.Result{}, errors.Join(c.table.drop(key.Name), c.tidy())
	}
	u := obj.(*unstructured.Unstructured)
	s, err := pintle.StrategyOf(u)
	if err != nil {
		return reconcile.Result{}, err
	}
	fault, err := c.run(ctx, s)
	if err != nil {
		return reconcile.Result{}, err
	}
	c.done("strategies/" + key.Name)
	status, notes := Plan(Observed{Strategy: s, Running: c.table.get(s.Name).observed(), Fault: fault, Now: now})
	result := reconcile.Result{RequeueAfter: again}
	if err := say(&result, pintle.Strategies, u, s.Status, status, notes); err != nil {
		return result, err
	}
	return result, nil
}

// run brings what runs in line with what the spec asks for, as far as can be: if the
// module cannot be had, what ran before stays, or, after a start, is loaded again.
func (c *Controllers) run(ctx context.Context, s *pintle.Strategy) (*Fault, error) {
	have := c.table.get(s.Name)
	if have != nil && have.uid != string(s.UID) {
		if err := c.table.drop(s.Name); err != nil {
			return nil, err
		}
		have = nil
	}
	if s.Spec.Module.ConfigMap != nil && !c.configMaps() {
		return nil, errors.New("the ConfigMaps are not there yet")
	}
	want, err := c.find(ctx, s, have)
	var fault *Fault
	if err != nil && !errors.As(err, &fault) {
		fault = &Fault{NotFound, err.Error()}
	}
	if err == nil {
		if fault, err = c.load(ctx, s, want, have); err != nil || fault == nil {
			return nil, err
		}
	}
	if have != nil || s.Status.Active == nil {
		return fault, nil
	}
	module, err := c.finder.keep.get(s.Status.Active.Digest)
	if err != nil {
		return fault, nil
	}
	if _, err := c.load(ctx, s, found{s.Status.Active.Digest, s.Status.Active.Source, module}, nil); err != nil {
		return nil, err
	}
	return fault, nil
}

// find is finder.find, except that an artifact, which cannot change, is not pulled
// again.
func (c *Controllers) find(ctx context.Context, s *pintle.Strategy, have *running) (found, error) {
	if s.Spec.Module.OCI == nil || s.Spec.RollbackTo != "" {
		return c.finder.find(ctx, s)
	}
	source := s.Spec.Module.String()
	if have != nil && have.generation == s.Generation && have.source == source {
		return found{digest: have.digest, source: source}, nil
	}
	if a := s.Status.Active; have == nil && a != nil && a.Source == source && s.Status.ObservedGeneration == s.Generation {
		if module, err := c.finder.keep.get(a.Digest); err == nil {
			return found{a.Digest, source, module}, nil
		}
	}
	return c.finder.find(ctx, s)
}

// load has a module decide, if it does not already as the spec says.
func (c *Controllers) load(ctx context.Context, s *pintle.Strategy, want found, have *running) (*Fault, error) {
	if have != nil && have.digest == want.digest && have.generation == s.Generation {
		return nil, nil
	}
	next := &running{
		kind: s.Spec.Type, name: s.Name, digest: want.digest, generation: s.Generation, uid: string(s.UID), source: want.source,
		hold: s.Spec.OnFailure == pintle.Hold,
	}
	if s.Spec.Config != nil {
		raw, err := json.Marshal(s.Spec.Config)
		if err != nil {
			return nil, err
		}
		next.config = raw
	}
	if have != nil && have.digest == want.digest {
		next.loaded = have.loaded
	} else {
		loaded, fault := c.compile(ctx, s, want)
		if fault != nil {
			return fault, nil
		}
		next.loaded = loaded
		if err := c.finder.keep.put(want); err != nil {
			return nil, err
		}
	}
	next.health = newHealth(s, want.digest, func() { c.loops[0].Enqueue(reconcile.Key{Name: s.Name}) })
	c.log.Info("strategy in use", "name", s.Name, "decider", s.Name+"@"+want.digest)
	return nil, errors.Join(c.table.put(next), c.tidy())
}

// compile remembers what is refused: trying again costs much and cannot help.
func (c *Controllers) compile(ctx context.Context, s *pintle.Strategy, want found) (Loaded, *Fault) {
	key := s.Spec.Type + "/" + want.digest
	c.mu.Lock()
	fault := c.mu.refused[key]
	c.mu.Unlock()
	if fault != nil {
		return Loaded{}, fault
	}
	loaded, err := c.host.Load(ctx, s.Spec.Type, s.Name, want.module)
	if err == nil {
		return loaded, nil
	}
	fault = &Fault{Refused, fmt.Sprintf("%s of %s: %v", want.digest, want.source, err)}
	c.mu.Lock()
	defer c.mu.Unlock()
	const most = 1000
	if len(c.mu.refused) >= most {
		clear(c.mu.refused)
	}
	c.mu.refused[key] = fault
	return Loaded{}, fault
}

// tidy removes kept modules that no Strategy runs, ran, or asks for.
func (c *Controllers) tidy() error {
	if !c.strategies.HasSynced() {
		return nil
	}
	keep := map[string]bool{}
	for _, s := range c.all() {
		keep[s.Spec.RollbackTo] = true
		for _, r := range []*pintle.Revision{s.Status.Active, s.Status.Previous} {
			if r != nil {
				keep[r.Digest] = true
			}
		}
		if r := c.table.get(s.Name); r != nil {
			keep[r.digest] = true
		}
	}
	return c.finder.keep.retain(keep)
}

// reconcileBindings works on all bindings.
func (c *Controllers) reconcileBindings(_ context.Context, _ reconcile.Key, now time.Time) (reconcile.Result, error) {
	o := ObservedBindings{Types: map[string]string{}, Running: map[string]*Running{}, Fresh: map[string]bool{}, Now: now}
	for _, s := range c.all() {
		o.Types[s.Name] = s.Spec.Type
		if r := c.table.get(s.Name); r != nil {
			o.Running[s.Name] = r.observed()
		} else if len(s.Status.Conditions) == 0 {
			o.Fresh[s.Name] = true
		}
	}
	objects := map[types.UID]*unstructured.Unstructured{}
	for _, obj := range c.bindings.GetStore().List() {
		u := obj.(*unstructured.Unstructured)
		b, err := pintle.BindingOf(u)
		if err != nil {
			return reconcile.Result{}, err
		}
		objects[b.UID] = u
		o.Bindings = append(o.Bindings, b)
	}
	routes, plans := PlanBindings(o)
	c.table.bind(routes)
	c.done("bindings/")
	var result reconcile.Result
	if !c.worked() {
		// What is not loaded yet is not worth a word.
		result.RequeueAfter = settling
		return result, nil
	}
	for _, p := range plans {
		if err := say(&result, pintle.StrategyBindings, objects[p.Binding.UID], p.Binding.Status, p.Status, p.Notes); err != nil {
			return result, err
		}
	}
	return result, nil
}

// say has a status written, if it says anything new, and events recorded after it.
func say(result *reconcile.Result, gvr schema.GroupVersionResource, u *unstructured.Unstructured, old, status any, notes []Note) error {
	if !same(old, status) {
		// A replacement: what is no longer said must go.
		data, err := json.Marshal([]any{
			map[string]any{"op": "replace", "path": "/metadata/resourceVersion", "value": u.GetResourceVersion()},
			map[string]any{"op": "add", "path": "/status", "value": status},
		})
		if err != nil {
			return err
		}
		result.Add(reconcile.Patch{Resource: gvr, Name: u.GetName(), Type: types.JSONPatchType, Data: data, Subresource: "status"})
	}
	for _, n := range notes {
		result.Add(reconcile.Event{About: u, Type: n.Type, Reason: n.Reason, Message: n.Message})
	}
	return nil
}

func same(a, b any) bool {
	x, err := json.Marshal(a)
	if err != nil {
		return false
	}
	y, err := json.Marshal(b)
	return err == nil && reflect.DeepEqual(x, y)
}
