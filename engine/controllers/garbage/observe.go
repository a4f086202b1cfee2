package garbage

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/pintle-io/pintle/engine/client"
	"github.com/pintle-io/pintle/engine/controllers/catalog"
	"github.com/pintle-io/pintle/engine/reconcile"
)

type observer struct {
	client   *client.Client
	graph    *graph
	monitors *monitors
	// controller is the loop this observer works for.
	controller *reconcile.Controller
}

// New builds the controller; its keys are UIDs.
func New(env reconcile.Env, c *catalog.Catalog) (*reconcile.Controller, error) {
	writer := env.WriterFor("generic-garbage-collector")
	g := newGraph()
	m := newMonitors(writer, c, g)
	o := &observer{client: writer, graph: g, monitors: m}
	var err error
	o.controller, err = env.Controller(reconcile.Config{
		Name:      "generic-garbage-collector",
		Workers:   20,
		Writer:    writer,
		Reconcile: o.reconcile,
		Start:     m.run,
	})
	return o.controller, err
}

func (o *observer) reconcile(ctx context.Context, key reconcile.Key, _ time.Time) (reconcile.Result, error) {
	uid := types.UID(key.Name)
	n, ok := o.graph.locate(uid)
	if !ok {
		return reconcile.Result{}, nil
	}
	item, ok, err := o.live(ctx, n.resource, n.namespace, n.name, uid)
	if err != nil {
		return reconcile.Result{}, err
	}
	if !ok {
		enqueue(o.controller, o.graph.drop(uid))
		return reconcile.Result{}, nil
	}
	observed := Observed{Item: item}
	deleting := item.Meta.GetDeletionTimestamp() != nil
	if !deleting {
		if observed.Owners, err = o.owners(ctx, item.Meta); err != nil {
			return reconcile.Result{}, err
		}
	}
	if deleting || anyWaiting(observed.Owners) {
		if observed.Dependents, err = o.dependents(ctx, uid); err != nil {
			return reconcile.Result{}, err
		}
	}
	return Plan(observed), nil
}

// live reads an object as it is now; false if it, with this UID, is gone.
func (o *observer) live(ctx context.Context, r catalog.Resource, namespace, name string, uid types.UID) (Item, bool, error) {
	var obj runtime.Object
	var err error
	if r.BuiltIn {
		obj, err = o.client.Get(ctx, r.GroupVersionResource, namespace, name)
	} else {
		obj, err = o.client.Metadata().Resource(r.GroupVersionResource).Namespace(namespace).Get(ctx, name, metav1.GetOptions{})
	}
	if apierrors.IsNotFound(err) {
		return Item{}, false, nil
	}
	if err != nil {
		return Item{}, false, fmt.Errorf("look at %s %s/%s: %w", r.Resource, namespace, name, err)
	}
	m, err := meta.Accessor(obj)
	if err != nil {
		return Item{}, false, err
	}
	return Item{Resource: r.GroupVersionResource, Object: obj, Meta: m}, m.GetUID() == uid, nil
}

// owners looks each owner up. One of a kind nobody knows counts as present:
// better to keep too much than to delete what discovery failed to show.
func (o *observer) owners(ctx context.Context, m metav1.Object) ([]Owner, error) {
	var out []Owner
	for _, ref := range m.GetOwnerReferences() {
		owner := Owner{OwnerReference: ref}
		gv, err := schema.ParseGroupVersion(ref.APIVersion)
		r, known := o.monitors.resourceOf(schema.GroupKind{Group: gv.Group, Kind: ref.Kind})
		if err != nil || !known || r.Namespaced && m.GetNamespace() == "" {
			out = append(out, owner)
			continue
		}
		namespace := ""
		if r.Namespaced {
			namespace = m.GetNamespace()
		}
		item, found, err := o.live(ctx, r, namespace, ref.Name, ref.UID)
		switch {
		case err != nil:
			return nil, err
		case !found:
			owner.State = Absent
		case item.Meta.GetDeletionTimestamp() != nil && has(item.Meta, metav1.FinalizerDeleteDependents):
			owner.State = Waiting
		}
		out = append(out, owner)
	}
	return out, nil
}

// dependents reads the objects that refer to uid and still exist.
func (o *observer) dependents(ctx context.Context, uid types.UID) ([]Dependent, error) {
	var out []Dependent
	for id, n := range o.graph.dependentsOf(uid) {
		item, found, err := o.live(ctx, n.resource, n.namespace, n.name, id)
		if err != nil {
			return nil, err
		}
		if !found {
			continue
		}
		for _, ref := range item.Meta.GetOwnerReferences() {
			if ref.UID == uid {
				blocks := ref.BlockOwnerDeletion != nil && *ref.BlockOwnerDeletion
				out = append(out, Dependent{Item: item, Blocks: blocks})
				break
			}
		}
	}
	return out, nil
}

func anyWaiting(owners []Owner) bool {
	for _, owner := range owners {
		if owner.State == Waiting {
			return true
		}
	}
	return false
}
