package custom

import (
	"context"
	"fmt"

	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/pintle-io/pintle/conformance/suite"
)

const (
	manyObjects  = 1000
	manyWatchers = 20
)

func many() suite.Case {
	return suite.Case{
		Name:    "custom/many",
		Promise: "a thousand custom resources reach every watcher in one order, and pages of a list hold each of them once",
		Run: func(ctx context.Context, e *suite.Env) error {
			remove, err := define(ctx, e, plain("many.conformance.example", "ant", "Ant"))
			defer remove()
			if err != nil {
				return err
			}
			api := e.Dynamic.Resource(schema.GroupVersionResource{Group: "many.conformance.example", Version: "v1", Resource: "ants"}).Namespace(e.Namespace)
			start, err := api.List(ctx, metav1.ListOptions{})
			if err != nil {
				return err
			}
			watchers, watching := errgroup.WithContext(ctx)
			orders := make([][]string, manyWatchers)
			for i := range manyWatchers {
				watchers.Go(func() (err error) {
					w, err := api.Watch(watching, metav1.ListOptions{ResourceVersion: start.GetResourceVersion()})
					if err != nil {
						return err
					}
					defer w.Stop()
					orders[i], err = seen(watching, w)
					return err
				})
			}
			writers, writing := errgroup.WithContext(ctx)
			writers.SetLimit(16)
			for i := range manyObjects {
				writers.Go(func() error {
					ant := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "many.conformance.example/v1", "kind": "Ant", "spec": map[string]any{"n": int64(i)}}}
					ant.SetName(fmt.Sprintf("ant-%d", i))
					_, err := api.Create(writing, ant, metav1.CreateOptions{})
					return err
				})
			}
			if err := writers.Wait(); err != nil {
				return err
			}
			if err := watchers.Wait(); err != nil {
				return err
			}
			for i, order := range orders {
				if fmt.Sprint(order) != fmt.Sprint(orders[0]) {
					return fmt.Errorf("watcher %d saw another order than the first", i)
				}
			}
			return paged(ctx, func(opts metav1.ListOptions) (*unstructured.UnstructuredList, error) { return api.List(ctx, opts) })
		},
	}
}

// seen returns the names of all objects in the order of a watch.
func seen(ctx context.Context, w watch.Interface) ([]string, error) {
	var order []string
	for len(order) < manyObjects {
		select {
		case ev, ok := <-w.ResultChan():
			obj, isObject := ev.Object.(*unstructured.Unstructured)
			if !ok || !isObject || ev.Type != watch.Added {
				return nil, fmt.Errorf("after %d objects: %s %v", len(order), ev.Type, ev.Object)
			}
			order = append(order, obj.GetName())
		case <-ctx.Done():
			return nil, fmt.Errorf("saw %d of %d: %w", len(order), manyObjects, ctx.Err())
		}
	}
	return order, nil
}

func paged(ctx context.Context, list func(metav1.ListOptions) (*unstructured.UnstructuredList, error)) error {
	names := map[string]int{}
	for opts := (metav1.ListOptions{Limit: 300}); ; {
		page, err := list(opts)
		if err != nil {
			return err
		}
		for i := range page.Items {
			names[page.Items[i].GetName()]++
		}
		if opts.Continue = page.GetContinue(); opts.Continue == "" {
			break
		}
	}
	for name, times := range names {
		if times != 1 {
			return fmt.Errorf("%s is in the pages %d times", name, times)
		}
	}
	if len(names) != manyObjects {
		return fmt.Errorf("the pages hold %d objects, want %d", len(names), manyObjects)
	}
	return ctx.Err()
}
