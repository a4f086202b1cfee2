package namespace

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	corelisters "k8s.io/client-go/listers/core/v1"

	"github.com/pintle-io/pintle/engine/client"
	"github.com/pintle-io/pintle/engine/controllers/catalog"
	"github.com/pintle-io/pintle/engine/reconcile"
)

type observer struct {
	client     *client.Client
	catalog    *catalog.Catalog
	namespaces corelisters.NamespaceLister
}

// New builds the controller.
func New(env reconcile.Env, c *catalog.Catalog) (*reconcile.Controller, error) {
	namespaces := env.Informers().Core().V1().Namespaces()
	o := &observer{client: env.WriterFor("namespace-controller"), catalog: c, namespaces: namespaces.Lister()}
	return env.Controller(reconcile.Config{
		Name:       "namespace-controller",
		Workers:    8,
		Reconcile:  o.reconcile,
		MaxBackoff: time.Minute,
		Watches: []reconcile.Watch{
			reconcile.On(namespaces.Informer(), func(ns *corev1.Namespace) []reconcile.Key {
				if ns.DeletionTimestamp == nil {
					return nil
				}
				return []reconcile.Key{{Name: ns.Name}}
			}),
		},
	})
}

func (o *observer) reconcile(ctx context.Context, key reconcile.Key, now time.Time) (reconcile.Result, error) {
	ns, err := o.namespaces.Get(key.Name)
	if apierrors.IsNotFound(err) {
		return reconcile.Result{}, nil
	}
	if err != nil || ns.DeletionTimestamp == nil {
		return reconcile.Result{}, err
	}
	observed := Observed{Namespace: ns, Now: now}
	others, err := o.catalog.Others()
	observed.DiscoveryErr = err
	var failed []error
	for _, list := range [][]catalog.Resource{o.catalog.BuiltIn(), {o.catalog.Events()}, others} {
		for _, r := range list {
			if !r.Namespaced {
				continue
			}
			content, err := o.content(ctx, ns.Name, r)
			if err != nil {
				failed = append(failed, fmt.Errorf("list %s: %w", r.GroupVersionResource.GroupResource(), err))
			} else if content.Count > 0 {
				observed.Left = append(observed.Left, content)
			}
		}
	}
	observed.ListErr = errors.Join(failed...)
	return Plan(observed), nil
}

func (o *observer) content(ctx context.Context, namespace string, r catalog.Resource) (Content, error) {
	content := Content{Resource: r.GroupVersionResource}
	list, err := o.list(ctx, namespace, r)
	if apierrors.IsNotFound(err) || apierrors.IsMethodNotSupported(err) {
		return content, nil // the resource has gone since discovery
	}
	if err != nil {
		return content, err
	}
	err = meta.EachListItem(list, func(obj runtime.Object) error {
		m, err := meta.Accessor(obj)
		if err != nil {
			return err
		}
		content.Count++
		if m.GetDeletionTimestamp() == nil {
			content.Living++
		}
		for _, f := range m.GetFinalizers() {
			if content.Finalizers == nil {
				content.Finalizers = map[string]int{}
			}
			content.Finalizers[f]++
		}
		return nil
	})
	return content, err
}

func (o *observer) list(ctx context.Context, namespace string, r catalog.Resource) (runtime.Object, error) {
	if r.BuiltIn {
		return o.client.List(ctx, r.GroupVersionResource, namespace, client.ListOptions{})
	}
	return o.client.Metadata().Resource(r.GroupVersionResource).Namespace(namespace).List(ctx, metav1.ListOptions{})
}
