package resourcequota

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	quota "k8s.io/apiserver/pkg/quota/v1"
	"k8s.io/apiserver/pkg/quota/v1/generic"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"

	measure "github.com/pintle-io/pintle/engine/admission/quota"
	"github.com/pintle-io/pintle/engine/client"
	"github.com/pintle-io/pintle/engine/controllers/catalog"
	"github.com/pintle-io/pintle/engine/reconcile"
)

const (
	// gather is how long changes of counted objects collect before a count.
	gather = 20 * time.Millisecond

	countPrefix = "count/"
)

type observer struct {
	client   *client.Client
	catalog  *catalog.Catalog
	quotas   corelisters.ResourceQuotaLister
	monitors *monitors

	mu struct {
		sync.Mutex
		seen map[reconcile.Key]version
	}
}

// version is when a resourceVersion of a quota was first seen.
type version struct {
	name string
	at   time.Time
}

// New builds the controller.
func New(env reconcile.Env, kinds *catalog.Catalog) (*reconcile.Controller, error) {
	quotas := env.Informers().Core().V1().ResourceQuotas()
	writer := env.WriterFor("resourcequota-controller")
	o := &observer{client: writer, catalog: kinds, quotas: quotas.Lister()}
	o.mu.seen = map[reconcile.Key]version{}
	o.monitors = newMonitors(writer, o.counting)
	watches := []reconcile.Watch{reconcile.Self[*corev1.ResourceQuota](quotas.Informer())}
	for _, e := range measure.Evaluators(func(schema.GroupVersionResource) generic.ListFuncByNamespace { return nil }) {
		informer, err := env.Informers().ForResource(e.GroupResource().WithVersion("v1"))
		if err != nil {
			return nil, err
		}
		watches = append(watches, o.watch(e, informer.Informer()))
	}
	return env.Controller(reconcile.Config{
		Name:      "resourcequota-controller",
		Writer:    writer,
		Workers:   5,
		Reconcile: o.reconcile,
		Watches:   watches,
		Start:     o.monitors.run,
	})
}

// watch wakes the quotas of a namespace that count the objects of an evaluator.
func (o *observer) watch(e quota.Evaluator, informer cache.SharedIndexInformer) reconcile.Watch {
	w := reconcile.On(informer, func(obj metav1.Object) []reconcile.Key {
		return o.counting(obj.GetNamespace(), func(names []corev1.ResourceName) bool { return len(e.MatchingResources(names)) > 0 })
	})
	w.Delay = gather
	w.Skip = sameUsage
	return w
}

// sameUsage: nothing that is counted changes but in the spec, or when a pod ends.
func sameUsage(old, obj any) bool {
	was, wasPod := old.(*corev1.Pod)
	is, isPod := obj.(*corev1.Pod)
	if wasPod && isPod {
		now := time.Now()
		return was.Generation == is.Generation && (was.DeletionTimestamp == nil) == (is.DeletionTimestamp == nil) &&
			measure.Ended(was, now) == measure.Ended(is, now) && sameAllocated(was.Status.ContainerStatuses, is.Status.ContainerStatuses)
	}
	switch obj.(type) {
	case *corev1.Service, *corev1.PersistentVolumeClaim, *resourcev1.ResourceClaim:
		return false
	}
	return true
}

// sameAllocated: what a node has set aside for a pod's containers counts while it
// is more than what they ask for.
func sameAllocated(was, is []corev1.ContainerStatus) bool {
	return slices.EqualFunc(was, is, func(a, b corev1.ContainerStatus) bool {
		return quota.Equals(a.AllocatedResources, b.AllocatedResources) && apiequality.Semantic.DeepEqual(a.Resources, b.Resources)
	})
}

// counting names the quotas of a namespace (of all, if it is empty) whose
// resources match.
func (o *observer) counting(namespace string, match func(names []corev1.ResourceName) bool) []reconcile.Key {
	all, err := o.quotas.ResourceQuotas(namespace).List(labels.Everything())
	if err != nil {
		return nil
	}
	var keys []reconcile.Key
	for _, q := range all {
		if match(quota.ResourceNames(q.Spec.Hard)) {
			keys = append(keys, reconcile.KeyOf(q))
		}
	}
	return keys
}

func (o *observer) reconcile(ctx context.Context, key reconcile.Key, now time.Time) (reconcile.Result, error) {
	q, err := o.quotas.ResourceQuotas(key.Namespace).Get(key.Name)
	if apierrors.IsNotFound(err) {
		o.forget(key)
		return reconcile.Result{}, nil
	}
	if err != nil {
		return reconcile.Result{}, err
	}
	registry := generic.NewRegistry(o.evaluators(ctx, q))
	used, err := quota.CalculateUsage(q.Namespace, q.Spec.Scopes, q.Spec.Hard, registry, q.Spec.ScopeSelector)
	if err != nil && len(used) == 0 {
		return reconcile.Result{}, err
	}
	return Plan(Observed{Quota: q, Used: used, Since: o.since(key, q, now), Now: now}), nil
}

// since remembers when a version of a quota was first seen.
func (o *observer) since(key reconcile.Key, q *corev1.ResourceQuota, now time.Time) time.Time {
	o.mu.Lock()
	defer o.mu.Unlock()
	seen, ok := o.mu.seen[key]
	if !ok || seen.name != q.ResourceVersion {
		seen = version{q.ResourceVersion, now}
		o.mu.seen[key] = seen
	}
	return seen.at
}

func (o *observer) forget(key reconcile.Key) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.mu.seen, key)
}

// evaluators are those of the kinds with quota resources of their own, and one for
// every other kind that the quota counts.
func (o *observer) evaluators(ctx context.Context, q *corev1.ResourceQuota) []quota.Evaluator {
	out := measure.Evaluators(func(gvr schema.GroupVersionResource) generic.ListFuncByNamespace {
		return o.lister(ctx, catalog.Resource{GroupVersionResource: gvr, BuiltIn: true})
	})
	for name := range q.Spec.Hard {
		resource, ok := strings.CutPrefix(string(name), countPrefix)
		if !ok || slices.ContainsFunc(out, func(e quota.Evaluator) bool { return len(e.MatchingResources([]corev1.ResourceName{name})) > 0 }) {
			continue
		}
		if r, ok := o.find(schema.ParseGroupResource(resource)); ok {
			o.monitors.want(ctx, r)
			out = append(out, generic.NewObjectCountEvaluator(r.GroupResource(), o.lister(ctx, r), ""))
		}
	}
	return out
}

// find looks a resource up: what is built in first, since that costs nothing.
func (o *observer) find(gr schema.GroupResource) (catalog.Resource, bool) {
	is := func(r catalog.Resource) bool { return r.Namespaced && r.GroupResource() == gr }
	if i := slices.IndexFunc(o.catalog.BuiltIn(), is); i >= 0 {
		return o.catalog.BuiltIn()[i], true
	}
	others, _ := o.catalog.Others() // what cannot be found now is looked for again
	if i := slices.IndexFunc(others, is); i >= 0 {
		return others[i], true
	}
	return catalog.Resource{}, false
}

// lister lists from the store, not from caches: an object counts as soon as it is
// there.
func (o *observer) lister(ctx context.Context, r catalog.Resource) generic.ListFuncByNamespace {
	return func(namespace string) ([]runtime.Object, error) {
		var list runtime.Object
		var err error
		if r.BuiltIn {
			list, err = o.client.List(ctx, r.GroupVersionResource, namespace, client.ListOptions{})
		} else {
			list, err = o.client.Metadata().Resource(r.GroupVersionResource).Namespace(namespace).List(ctx, metav1.ListOptions{})
		}
		if err != nil {
			return nil, err
		}
		return meta.ExtractList(list)
	}
}
