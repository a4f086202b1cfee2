package operator

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
)

const finalizer = group + "/farewell"

// reconciler makes a ConfigMap for each flower of a bouquet.
type reconciler struct {
	client.Client
	name string
}

// Reconcile implements reconcile.Reconciler.
func (r *reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	var b Bouquet
	if err := r.Get(ctx, req.NamespacedName, &b); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if b.DeletionTimestamp != nil {
		return ctrl.Result{}, r.farewell(ctx, &b)
	}
	if controllerutil.AddFinalizer(&b, finalizer) {
		if err := r.Update(ctx, &b); err != nil {
			return ctrl.Result{}, err
		}
	}
	if err := r.flowers(ctx, &b); err != nil {
		return ctrl.Result{}, err
	}
	want := BouquetStatus{Flowers: b.Spec.Flowers, ObservedGeneration: b.Generation, By: r.name}
	if b.Status == want {
		return ctrl.Result{}, nil
	}
	b.Status = want
	return ctrl.Result{}, r.Status().Update(ctx, &b)
}

func flower(b *Bouquet, i int64) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: b.Namespace, Name: fmt.Sprintf("%s-%d", b.Name, i)}}
}

func (r *reconciler) flowers(ctx context.Context, b *Bouquet) error {
	for i := range b.Spec.Flowers {
		cm := flower(b, i)
		_, err := controllerutil.CreateOrUpdate(ctx, r.Client, cm, func() error {
			cm.Data = map[string]string{"colour": b.Spec.Colour}
			return controllerutil.SetControllerReference(b, cm, r.Scheme())
		})
		if err != nil {
			return err
		}
	}
	for i := b.Spec.Flowers; i < b.Status.Flowers; i++ {
		if err := r.Delete(ctx, flower(b, i)); client.IgnoreNotFound(err) != nil {
			return err
		}
	}
	return nil
}

// farewell leaves a note and lets the bouquet go.
func (r *reconciler) farewell(ctx context.Context, b *Bouquet) error {
	note := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: b.Namespace, Name: "farewell-" + b.Name}}
	if err := r.Create(ctx, note); client.IgnoreAlreadyExists(err) != nil {
		return err
	}
	controllerutil.RemoveFinalizer(b, finalizer)
	return client.IgnoreNotFound(r.Update(ctx, b))
}
