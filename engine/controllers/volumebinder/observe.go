package volumebinder

import (
	"context"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/labels"
	corelisters "k8s.io/client-go/listers/core/v1"
	storagelisters "k8s.io/client-go/listers/storage/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/component-helpers/storage/volume"

	"github.com/pintle-io/pintle/engine/client"
	"github.com/pintle-io/pintle/engine/controllers/podclaim"
	"github.com/pintle-io/pintle/engine/reconcile"
)

// observer serves two kinds with one queue: a key without a namespace is a
// volume's.
type observer struct {
	client  *client.Client
	claims  corelisters.PersistentVolumeClaimLister
	volumes corelisters.PersistentVolumeLister
	pods    cache.Indexer
	nodes   corelisters.NodeLister
	classes storagelisters.StorageClassLister
}

// New builds the controller.
func New(env reconcile.Env) (*reconcile.Controller, error) {
	core := env.Informers().Core().V1()
	classes := env.Informers().Storage().V1().StorageClasses()
	writer := env.WriterFor("persistent-volume-binder")
	pods := core.Pods().Informer()
	if err := podclaim.Index(pods); err != nil {
		return nil, err
	}
	o := &observer{
		client: writer, claims: core.PersistentVolumeClaims().Lister(), volumes: core.PersistentVolumes().Lister(),
		pods: pods.GetIndexer(), nodes: core.Nodes().Lister(), classes: classes.Lister(),
	}
	podWatch := reconcile.On(pods, o.claimsOf)
	podWatch.Skip = func(old, obj any) bool { return old.(*corev1.Pod).Spec.NodeName == obj.(*corev1.Pod).Spec.NodeName }
	return env.Controller(reconcile.Config{
		Name:      "persistentvolume-controller",
		Writer:    writer,
		Reconcile: o.reconcile,
		Watches: []reconcile.Watch{
			reconcile.On(core.PersistentVolumeClaims().Informer(), func(claim *corev1.PersistentVolumeClaim) []reconcile.Key {
				keys := []reconcile.Key{reconcile.KeyOf(claim)}
				if claim.Spec.VolumeName != "" {
					keys = append(keys, reconcile.Key{Name: claim.Spec.VolumeName})
				}
				return keys
			}),
			reconcile.On(core.PersistentVolumes().Informer(), o.volumeKeys),
			reconcile.On(classes.Informer(), o.classKeys),
			podWatch,
		},
	})
}

// volumeKeys names a volume, the claim it is promised to, the claims that name it,
// and if it is free those that could have it.
func (o *observer) volumeKeys(pv *corev1.PersistentVolume) []reconcile.Key {
	keys := []reconcile.Key{reconcile.KeyOf(pv)}
	if ref := pv.Spec.ClaimRef; ref != nil {
		keys = append(keys, reconcile.Key{Namespace: ref.Namespace, Name: ref.Name})
	} else {
		keys = append(keys, o.pending(volume.GetPersistentVolumeClass(pv))...)
	}
	return append(keys, o.claimsWhere(func(c *corev1.PersistentVolumeClaim) bool { return c.Spec.VolumeName == pv.Name })...)
}

// classKeys names the claims that wait for a class, and for a default one those
// that name none.
func (o *observer) classKeys(class *storagev1.StorageClass) []reconcile.Key {
	keys := o.pending(class.Name)
	if isDefault(class) {
		keys = append(keys, o.claimsWhere(func(c *corev1.PersistentVolumeClaim) bool {
			return c.Spec.VolumeName == "" && !volume.PersistentVolumeClaimHasClass(c)
		})...)
	}
	return keys
}

// pending names the unbound claims of a class.
func (o *observer) pending(class string) []reconcile.Key {
	return o.claimsWhere(func(c *corev1.PersistentVolumeClaim) bool {
		return c.Spec.VolumeName == "" && volume.GetPersistentVolumeClaimClass(c) == class
	})
}

func (o *observer) claimsWhere(is func(*corev1.PersistentVolumeClaim) bool) []reconcile.Key {
	all, err := o.claims.List(labels.Everything())
	if err != nil {
		return nil
	}
	var keys []reconcile.Key
	for _, claim := range all {
		if is(claim) {
			keys = append(keys, reconcile.KeyOf(claim))
		}
	}
	return keys
}

// claimsOf names the unbound claims of a pod.
func (o *observer) claimsOf(pod *corev1.Pod) []reconcile.Key {
	var keys []reconcile.Key
	for _, name := range podclaim.Names(pod) {
		if claim, err := o.claims.PersistentVolumeClaims(pod.Namespace).Get(name); err == nil && claim.Spec.VolumeName == "" {
			keys = append(keys, reconcile.KeyOf(claim))
		}
	}
	return keys
}

func (o *observer) reconcile(ctx context.Context, key reconcile.Key, now time.Time) (reconcile.Result, error) {
	if key.Namespace == "" {
		return o.reconcileVolume(ctx, key, now)
	}
	claim, err := o.claims.PersistentVolumeClaims(key.Namespace).Get(key.Name)
	if apierrors.IsNotFound(err) {
		return reconcile.Result{}, nil
	}
	if err != nil {
		return reconcile.Result{}, err
	}
	observed := ClaimObserved{Claim: claim, Now: now}
	if observed.Volumes, err = o.volumes.List(labels.Everything()); err != nil {
		return reconcile.Result{}, err
	}
	if claim.Spec.VolumeName == "" {
		if err := o.forUnbound(&observed); err != nil {
			return reconcile.Result{}, err
		}
	}
	return PlanClaim(observed), nil
}

// forUnbound adds what only claims without a volume need.
func (o *observer) forUnbound(observed *ClaimObserved) error {
	classes, err := o.classes.List(labels.Everything())
	if err != nil {
		return err
	}
	name := volume.GetPersistentVolumeClaimClass(observed.Claim)
	for _, class := range classes {
		if class.Name == name {
			observed.Class = class
		}
		if isDefault(class) && newer(class, observed.Default) {
			observed.Default = class
		}
	}
	observed.Pods = podclaim.Pods(o.pods, observed.Claim.Namespace, observed.Claim.Name)
	observed.Nodes, err = o.nodes.List(labels.Everything())
	return err
}

func isDefault(class *storagev1.StorageClass) bool {
	return class.Annotations["storageclass.kubernetes.io/is-default-class"] == "true" ||
		class.Annotations["storageclass.beta.kubernetes.io/is-default-class"] == "true"
}

// newer prefers the class made last, and of two as old the first by name.
func newer(class, than *storagev1.StorageClass) bool {
	if than == nil {
		return true
	}
	if !class.CreationTimestamp.Equal(&than.CreationTimestamp) {
		return than.CreationTimestamp.Before(&class.CreationTimestamp)
	}
	return class.Name < than.Name
}

func (o *observer) reconcileVolume(ctx context.Context, key reconcile.Key, now time.Time) (reconcile.Result, error) {
	pv, err := o.volumes.Get(key.Name)
	if apierrors.IsNotFound(err) {
		return reconcile.Result{}, nil
	}
	if err != nil {
		return reconcile.Result{}, err
	}
	observed := VolumeObserved{Volume: pv, Now: now}
	if ref := pv.Spec.ClaimRef; ref != nil {
		// From the store: a claim that the cache does not show yet is not gone.
		observed.Claim, err = client.Get[*corev1.PersistentVolumeClaim](ctx, o.client, ref.Namespace, ref.Name)
		if err != nil && !apierrors.IsNotFound(err) {
			return reconcile.Result{}, err
		}
		if err != nil {
			observed.Claim = nil
		}
		observed.Pods = podclaim.Pods(o.pods, ref.Namespace, ref.Name)
	}
	if name := pv.Annotations[nodeAnnotation]; name != "" {
		if observed.Node, err = o.nodes.Get(name); err != nil && !apierrors.IsNotFound(err) {
			return reconcile.Result{}, err
		}
		if err != nil {
			observed.Node = nil
		}
	}
	return PlanVolume(observed), nil
}
