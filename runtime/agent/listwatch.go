package agent

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
)

// listWatcher is what the typed clients of every resource offer.
type listWatcher[L runtime.Object] interface {
	List(ctx context.Context, opts metav1.ListOptions) (L, error)
	Watch(ctx context.Context, opts metav1.ListOptions) (watch.Interface, error)
}

// setListWatch makes lw list and watch through a typed client.
func setListWatch[L runtime.Object](lw *cache.ListWatch, c listWatcher[L], tweak func(*metav1.ListOptions)) {
	lw.ListWithContextFunc = func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
		tweak(&o)
		return c.List(ctx, o)
	}
	lw.WatchFuncWithContext = func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
		tweak(&o)
		return c.Watch(ctx, o)
	}
}

// newInformer watches through a typed client; handlers may be nil.
func newInformer[L runtime.Object](client any, c listWatcher[L], kind runtime.Object, tweak func(*metav1.ListOptions), h cache.ResourceEventHandler) (cache.Store, cache.Controller) {
	lw := &cache.ListWatch{}
	setListWatch(lw, c, tweak)
	if h == nil {
		h = cache.ResourceEventHandlerFuncs{}
	}
	return cache.NewInformerWithOptions(cache.InformerOptions{
		ListerWatcher: cache.ToListWatcherWithWatchListSemantics(lw, client), ObjectType: kind, Handler: h,
	})
}
