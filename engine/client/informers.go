package client

import (
	"context"
	"fmt"
	"reflect"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metainternalversion "k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/informers/admissionregistration"
	"k8s.io/client-go/informers/apps"
	"k8s.io/client-go/informers/autoscaling"
	"k8s.io/client-go/informers/batch"
	"k8s.io/client-go/informers/certificates"
	"k8s.io/client-go/informers/coordination"
	"k8s.io/client-go/informers/core"
	"k8s.io/client-go/informers/discovery"
	"k8s.io/client-go/informers/events"
	"k8s.io/client-go/informers/flowcontrol"
	"k8s.io/client-go/informers/internalinterfaces"
	"k8s.io/client-go/informers/networking"
	"k8s.io/client-go/informers/node"
	"k8s.io/client-go/informers/policy"
	"k8s.io/client-go/informers/rbac"
	"k8s.io/client-go/informers/resource"
	"k8s.io/client-go/informers/scheduling"
	informerstorage "k8s.io/client-go/informers/storage"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"

	"github.com/pintle-io/pintle/engine/apis"
)

// Informers returns the one factory of this process: client-go's, except that
// the informers of served kinds list and watch in process and share object
// pointers with the store's index. Every call returns the same factory; whoever
// asks for an informer must do so before the composition root starts it, or
// start it again.
func (c *Client) Informers() informers.SharedInformerFactory {
	c.factoryOnce.Do(func() {
		c.factory = &factory{shared: c.shared, SharedInformerFactory: informers.NewSharedInformerFactory(c.Clientset(), 0)}
	})
	return c.factory
}

// factory overrides how informers are made. The group accessors are repeated
// because upstream's bind to its own InformerFor.
type factory struct {
	informers.SharedInformerFactory
	shared *shared
}

// InformerFor returns the shared informer of a kind, made in process if the kind
// is served.
func (f *factory) InformerFor(obj runtime.Object, fallback internalinterfaces.NewInformerFunc) cache.SharedIndexInformer {
	if row, ok := f.shared.byType[reflect.TypeOf(obj)]; ok {
		return f.SharedInformerFactory.InformerFor(obj, f.shared.informerFunc(row))
	}
	return f.SharedInformerFactory.InformerFor(obj, func(kube kubernetes.Interface, resync time.Duration) cache.SharedIndexInformer {
		return f.shared.latecomers.note(schema.GroupResource{}, fallback(kube, resync))
	})
}

// ForResource returns the informer of a served resource.
func (f *factory) ForResource(gvr schema.GroupVersionResource) (informers.GenericInformer, error) {
	row, ok := f.shared.byGVR[gvr]
	if !ok {
		return nil, fmt.Errorf("client: no informer for %s: it is not served", gvr)
	}
	return &genericInformer{informer: f.InformerFor(row.New(), nil), resource: gvr.GroupResource()}, nil
}

type genericInformer struct {
	informer cache.SharedIndexInformer
	resource schema.GroupResource
}

func (g *genericInformer) Informer() cache.SharedIndexInformer { return g.informer }

func (g *genericInformer) Lister() cache.GenericLister {
	return cache.NewGenericLister(g.informer.GetIndexer(), g.resource)
}

func (c *shared) informerFunc(row *apis.Resource) internalinterfaces.NewInformerFunc {
	return func(kubernetes.Interface, time.Duration) cache.SharedIndexInformer {
		return c.latecomers.note(row.GVR().GroupResource(), cache.NewSharedIndexInformerWithOptions(
			&listWatch{shared: c, row: row, informer: true}, row.New(), cache.SharedIndexInformerOptions{
				Indexers:          cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc},
				ObjectDescription: row.GVK.String(),
			}))
	}
}

// ListerWatcher feeds a reflector of its own with a resource: built-in kinds in
// process and shared, others as partial metadata through the handler.
func (c *Client) ListerWatcher(gvr schema.GroupVersionResource) cache.ListerWatcher {
	if row, ok := c.byGVR[gvr]; ok {
		return &listWatch{shared: c.shared, row: row}
	}
	resource := c.Metadata().Resource(gvr)
	return &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
			return resource.List(ctx, options)
		},
		WatchFuncWithContext: resource.Watch,
	}
}

// listWatch feeds a reflector from a storage.
type listWatch struct {
	shared *shared
	row    *apis.Resource
	// informer is set for the informer of the factory, which may have to wait.
	informer bool
}

// IsWatchListSemanticsUnSupported keeps reflectors on list-then-watch: a list of
// shared pointers is cheaper than a stream of events.
func (l *listWatch) IsWatchListSemanticsUnSupported() bool { return true }

// List lists for callers without a context; reflectors use ListWithContext.
func (l *listWatch) List(options metav1.ListOptions) (runtime.Object, error) {
	return l.ListWithContext(context.Background(), options)
}

// Watch watches for callers without a context; reflectors use WatchWithContext.
func (l *listWatch) Watch(options metav1.ListOptions) (watch.Interface, error) {
	return l.WatchWithContext(context.Background(), options)
}

// ListWithContext lists everything at the current revision.
func (l *listWatch) ListWithContext(ctx context.Context, _ metav1.ListOptions) (runtime.Object, error) {
	if l.informer {
		if err := l.shared.latecomers.wait(ctx, l.row.GVR().GroupResource()); err != nil {
			return nil, err
		}
	}
	s, ok := l.shared.storages.Storage(l.row.GVR(), "")
	if !ok {
		return nil, fmt.Errorf("client: %s is not served", l.row.GVR())
	}
	list := &metainternalversion.List{}
	if sl, ok := s.(SharedLister); ok {
		items, rv, err := sl.ListShared(ctx, "")
		list.Items, list.ResourceVersion = items, rv
		return list, err
	}
	lister, ok := s.(rest.Lister)
	if !ok {
		return nil, fmt.Errorf("client: %s does not support list", l.row.GVR())
	}
	obj, err := lister.List(ctx, &metainternalversion.ListOptions{})
	if err != nil {
		return nil, err
	}
	if list.Items, err = meta.ExtractList(obj); err != nil {
		return nil, err
	}
	m, err := meta.ListAccessor(obj)
	if err != nil {
		return nil, err
	}
	list.ResourceVersion = m.GetResourceVersion()
	return list, nil
}

// WatchWithContext streams changes; it has no time limit of its own.
func (l *listWatch) WatchWithContext(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
	internal := &metainternalversion.ListOptions{
		ResourceVersion:     options.ResourceVersion,
		AllowWatchBookmarks: options.AllowWatchBookmarks,
	}
	if w, err := storage[SharedWatcher](l.shared, l.row.GVR(), "", "watch"); err == nil {
		return w.WatchShared(ctx, internal)
	}
	w, err := storage[rest.Watcher](l.shared, l.row.GVR(), "", "watch")
	if err != nil {
		return nil, err
	}
	return w.Watch(ctx, internal)
}

func (f *factory) Admissionregistration() admissionregistration.Interface {
	return admissionregistration.New(f, metav1.NamespaceAll, nil)
}
func (f *factory) Apps() apps.Interface { return apps.New(f, metav1.NamespaceAll, nil) }
func (f *factory) Autoscaling() autoscaling.Interface {
	return autoscaling.New(f, metav1.NamespaceAll, nil)
}
func (f *factory) Batch() batch.Interface { return batch.New(f, metav1.NamespaceAll, nil) }
func (f *factory) Certificates() certificates.Interface {
	return certificates.New(f, metav1.NamespaceAll, nil)
}

func (f *factory) Coordination() coordination.Interface {
	return coordination.New(f, metav1.NamespaceAll, nil)
}
func (f *factory) Core() core.Interface           { return core.New(f, metav1.NamespaceAll, nil) }
func (f *factory) Discovery() discovery.Interface { return discovery.New(f, metav1.NamespaceAll, nil) }
func (f *factory) Events() events.Interface       { return events.New(f, metav1.NamespaceAll, nil) }
func (f *factory) Flowcontrol() flowcontrol.Interface {
	return flowcontrol.New(f, metav1.NamespaceAll, nil)
}

func (f *factory) Networking() networking.Interface {
	return networking.New(f, metav1.NamespaceAll, nil)
}
func (f *factory) Node() node.Interface         { return node.New(f, metav1.NamespaceAll, nil) }
func (f *factory) Policy() policy.Interface     { return policy.New(f, metav1.NamespaceAll, nil) }
func (f *factory) Rbac() rbac.Interface         { return rbac.New(f, metav1.NamespaceAll, nil) }
func (f *factory) Resource() resource.Interface { return resource.New(f, metav1.NamespaceAll, nil) }
func (f *factory) Scheduling() scheduling.Interface {
	return scheduling.New(f, metav1.NamespaceAll, nil)
}

func (f *factory) Storage() informerstorage.Interface {
	return informerstorage.New(f, metav1.NamespaceAll, nil)
}
