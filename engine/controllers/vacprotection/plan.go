// Package vacprotection keeps a VolumeAttributesClass that is being deleted until no
// volume or claim uses it: it holds the class's finalizer.
package vacprotection

import (
	"context"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/utils/ptr"

	"github.com/pintle-io/pintle/engine/reconcile"
)

// Finalizer is what classes have.
const Finalizer = "kubernetes.io/vac-protection"

// Observed is one class, and everything that may use it if it is being deleted.
type Observed struct {
	Class   *storagev1.VolumeAttributesClass
	Claims  []*corev1.PersistentVolumeClaim
	Volumes []*corev1.PersistentVolume
}

// Plan decides whether the class has the finalizer.
func Plan(o Observed) reconcile.Result {
	var result reconcile.Result
	at := slices.Index(o.Class.Finalizers, Finalizer)
	going := o.Class.DeletionTimestamp != nil
	updated := o.Class.DeepCopy()
	switch {
	case !going && at < 0:
		updated.Finalizers = append(updated.Finalizers, Finalizer)
		result.Add(reconcile.Update{Object: updated})
	case going && at >= 0 && !o.used():
		updated.Finalizers = slices.Delete(updated.Finalizers, at, at+1)
		result.Add(reconcile.Update{Object: updated})
	}
	return result
}

func (o *Observed) used() bool {
	return slices.ContainsFunc(o.Claims, func(c *corev1.PersistentVolumeClaim) bool { return slices.Contains(claimClasses(c), o.Class.Name) }) ||
		slices.ContainsFunc(o.Volumes, func(v *corev1.PersistentVolume) bool {
			return ptr.Deref(v.Spec.VolumeAttributesClassName, "") == o.Class.Name
		})
}

// claimClasses are those a claim asks for, has, and is on its way to.
func claimClasses(claim *corev1.PersistentVolumeClaim) []string {
	out := []string{ptr.Deref(claim.Spec.VolumeAttributesClassName, ""), ptr.Deref(claim.Status.CurrentVolumeAttributesClassName, "")}
	if m := claim.Status.ModifyVolumeStatus; m != nil {
		out = append(out, m.TargetVolumeAttributesClassName)
	}
	return out
}

// New builds the controller; its keys are classes.
func New(env reconcile.Env) (*reconcile.Controller, error) {
	core, classes := env.Informers().Core().V1(), env.Informers().Storage().V1().VolumeAttributesClasses()
	keys := func(names ...string) (out []reconcile.Key) {
		for _, name := range names {
			if name != "" {
				out = append(out, reconcile.Key{Name: name})
			}
		}
		return out
	}
	return env.Controller(reconcile.Config{
		Name: "volumeattributesclass-protection-controller",
		Watches: []reconcile.Watch{
			reconcile.Self[*storagev1.VolumeAttributesClass](classes.Informer()),
			reconcile.On(core.PersistentVolumeClaims().Informer(), func(c *corev1.PersistentVolumeClaim) []reconcile.Key { return keys(claimClasses(c)...) }),
			reconcile.On(core.PersistentVolumes().Informer(), func(v *corev1.PersistentVolume) []reconcile.Key {
				return keys(ptr.Deref(v.Spec.VolumeAttributesClassName, ""))
			}),
		},
		Reconcile: func(_ context.Context, key reconcile.Key, _ time.Time) (reconcile.Result, error) {
			class, err := classes.Lister().Get(key.Name)
			if apierrors.IsNotFound(err) {
				return reconcile.Result{}, nil
			}
			if err != nil {
				return reconcile.Result{}, err
			}
			observed := Observed{Class: class}
			if class.DeletionTimestamp != nil {
				if observed.Claims, err = core.PersistentVolumeClaims().Lister().List(labels.Everything()); err != nil {
					return reconcile.Result{}, err
				}
				if observed.Volumes, err = core.PersistentVolumes().Lister().List(labels.Everything()); err != nil {
					return reconcile.Result{}, err
				}
			}
			return Plan(observed), nil
		},
	})
}
