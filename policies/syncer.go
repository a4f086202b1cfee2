package policies

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/yaml"

	"github.com/pintle-io/pintle/policies/definition"
)

//go:embed templates-crd.yaml
var templatesCRD []byte

var (
	definitions = definition.Resource
	templatesR  = schema.GroupVersionResource{Group: TemplateGroup, Version: "v1", Resource: "constrainttemplates"}
)

// Syncer keeps an engine like the templates and constraints in the API, and the
// API's kinds like the templates. One goroutine does all the work, by keys, so
// that a template is always set before its constraints.
type Syncer struct {
	engine *Engine
	client dynamic.Interface
	logger *slog.Logger
	queue  workqueue.TypedRateLimitingInterface[key]
	synced chan struct{}

	templates cache.SharedIndexInformer
	// watches are of the constraints, by kind; only the worker uses them.
	watches map[string]*watch
}

// key names a template (kind empty) or a constraint.
type key struct{ kind, name string }

type watch struct {
	informer cache.SharedIndexInformer
	stop     context.CancelFunc
}

// NewSyncer builds a syncer; the client must be allowed to write definitions,
// templates and constraints.
func NewSyncer(engine *Engine, client dynamic.Interface, logger *slog.Logger) *Syncer {
	limiter := workqueue.NewTypedItemExponentialFailureRateLimiter[key](50*time.Millisecond, 30*time.Second)
	return &Syncer{
		engine: engine, client: client, logger: logger,
		queue:     workqueue.NewTypedRateLimitingQueue(limiter),
		synced:    make(chan struct{}),
		templates: dynamicinformer.NewFilteredDynamicInformer(client, templatesR, metav1.NamespaceAll, 0, cache.Indexers{}, nil).Informer(),
		watches:   map[string]*watch{},
	}
}

// Synced is closed when the templates that existed at the start have been seen.
func (s *Syncer) Synced() <-chan struct{} { return s.synced }

// Run works until ctx is done.
func (s *Syncer) Run(ctx context.Context) error {
	defer s.queue.ShutDown()
	if err := s.serveTemplates(ctx); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return fmt.Errorf("policies: %w", err)
	}
	if _, err := s.templates.AddEventHandler(s.enqueue("")); err != nil {
		return fmt.Errorf("policies: %w", err)
	}
	go s.templates.RunWithContext(ctx)
	if !cache.WaitForCacheSync(ctx.Done(), s.templates.HasSynced) {
		return nil
	}
	close(s.synced)
	go func() { <-ctx.Done(); s.queue.ShutDown() }()
	for s.next(ctx) {
	}
	for _, w := range s.watches {
		w.stop()
	}
	return nil
}

// serveTemplates defines the kind of templates and waits until it is served.
func (s *Syncer) serveTemplates(ctx context.Context) error {
	crd := &unstructured.Unstructured{}
	if err := yaml.Unmarshal(templatesCRD, &crd.Object); err != nil {
		return fmt.Errorf("decode the definition of templates: %w", err)
	}
	return definition.Serve(ctx, s.client, s.logger, crd)
}

func (s *Syncer) enqueue(kind string) cache.ResourceEventHandler {
	add := func(obj any) {
		if name, err := cache.DeletionHandlingMetaNamespaceKeyFunc(obj); err == nil {
			s.queue.Add(key{kind, name})
		}
	}
	return cache.ResourceEventHandlerFuncs{AddFunc: add, UpdateFunc: func(_, obj any) { add(obj) }, DeleteFunc: add}
}

func (s *Syncer) next(ctx context.Context) bool {
	k, shutdown := s.queue.Get()
	if shutdown {
		return false
	}
	defer s.queue.Done(k)
	if err := s.sync(ctx, k); err != nil {
		if !errors.Is(err, definition.ErrNotServed) && !apierrors.IsConflict(err) && ctx.Err() == nil {
			s.logger.Warn("policy is not in force", "kind", k.kind, "name", k.name, "err", err)
		}
		s.queue.AddRateLimited(k)
		return true
	}
	s.queue.Forget(k)
	return true
}

func (s *Syncer) sync(ctx context.Context, k key) error {
	if k.kind != "" {
		return s.syncConstraint(ctx, k)
	}
	obj, exists, err := s.templates.GetIndexer().GetByKey(k.name)
	if err != nil {
		return err
	}
	if !exists {
		return s.dropTemplate(ctx, k.name)
	}
	template := obj.(*unstructured.Unstructured)
	crd, err := s.engine.SetTemplate(ctx, template)
	if err != nil {
		// Trying again cannot help: the next version of the template will.
		s.logger.Warn("policy template cannot be used", "name", k.name, "err", err)
		return s.report(ctx, templatesR, template, err, map[string]any{"created": false})
	}
	if err := definition.Define(ctx, s.client, crd); err != nil {
		return err
	}
	kind, _, _ := unstructured.NestedString(crd.Object, "spec", "names", "kind")
	if err := s.watchConstraints(ctx, kind); err != nil {
		return err
	}
	return s.report(ctx, templatesR, template, nil, map[string]any{"created": true})
}

// dropTemplate forgets a template and, with its kind, its constraints.
func (s *Syncer) dropTemplate(ctx context.Context, name string) error {
	for kind, w := range s.watches {
		if strings.ToLower(kind) == name {
			w.stop()
			delete(s.watches, kind)
		}
	}
	if err := s.engine.RemoveTemplate(ctx, name); err != nil {
		return err
	}
	err := s.client.Resource(definitions).Delete(ctx, name+"."+ConstraintGroup, metav1.DeleteOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

func constraintsOf(kind string) schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: ConstraintGroup, Version: version, Resource: strings.ToLower(kind)}
}

func (s *Syncer) watchConstraints(ctx context.Context, kind string) error {
	if s.watches[kind] != nil {
		return nil
	}
	informer := dynamicinformer.NewFilteredDynamicInformer(s.client, constraintsOf(kind), metav1.NamespaceAll, 0, cache.Indexers{}, nil).Informer()
	if _, err := informer.AddEventHandler(s.enqueue(kind)); err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	s.watches[kind] = &watch{informer, stop}
	go informer.RunWithContext(ctx)
	return nil
}

func (s *Syncer) syncConstraint(ctx context.Context, k key) error {
	w := s.watches[k.kind]
	if w == nil {
		return nil // its template is gone, and the constraint with it
	}
	obj, exists, err := w.informer.GetIndexer().GetByKey(k.name)
	if err != nil {
		return err
	}
	if !exists {
		return s.engine.RemoveConstraint(ctx, k.kind, k.name)
	}
	constraint := obj.(*unstructured.Unstructured)
	err = s.engine.SetConstraint(ctx, constraint)
	if err != nil {
		s.logger.Warn("policy is not in force", "kind", k.kind, "name", k.name, "err", err)
	}
	return s.report(ctx, constraintsOf(k.kind), constraint, err, nil)
}

// report writes the status of a template or constraint, in Gatekeeper's form, if
// it says anything new.
func (s *Syncer) report(ctx context.Context, gvr schema.GroupVersionResource, obj *unstructured.Unstructured, fault error, more map[string]any) error {
	entry := map[string]any{"id": "pintle", "observedGeneration": obj.GetGeneration()}
	if gvr.Group == ConstraintGroup {
		entry["enforced"], entry["constraintUID"] = fault == nil, string(obj.GetUID())
	}
	if fault != nil {
		entry["errors"] = []any{map[string]any{"code": "invalid", "message": fault.Error()}}
	}
	status := map[string]any{"byPod": []any{entry}}
	for k, v := range more {
		status[k] = v
	}
	if definition.Covers(obj.Object["status"], status) {
		return nil
	}
	next := obj.DeepCopy()
	next.Object["status"] = status
	_, err := s.client.Resource(gvr).UpdateStatus(ctx, next, metav1.UpdateOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}
