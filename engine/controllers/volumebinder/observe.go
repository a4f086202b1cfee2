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
	"k8s.io/component-helpers/storage/volume"

	"github.com/pintle-io/pintle/engine/client"
	"github.com/pintle-io/pintle/engine/reconcile"
)

// observer serves two kinds with one queue: a key without a namespace is a
// volume's.
type observer struct {
	client  *client.Client
	claims  corelisters.PersistentVolumeClaimLister
	volumes corelisters.PersistentVolumeLister
	pods    corelisters.PodLister
	nodes   corelisters.NodeLister
	classes storagelisters.StorageClassLister
}

// New builds the controller.
func New(env reconcile.Env) (*reconcile.Controller, error) {
	core := env.Informers().Core().V1()
	classes := env.Informers().Storage().V1().StorageClasses()
	writer := env.WriterFor("persistent-volume-binder")
	o := &observer{
		client: writer, claims: core.PersistentVolumeClaims().Lister(), volumes: core.PersistentVolumes().Lister(),
		pods: core.Pods().Lister(), nodes: core.Nodes().Lister(), classes: classes.Lister(),
	}
	podWatch := reconcile.On(core.Pods().Informer(), o.claimsOf)
	podWatch.Skip = func(old, obj any) bool { return old.(*corev1.Pod).Spec.NodeName == obj.(*corev1.Pod).Spec.NodeName }
	return env.Controller(reconcile.Config{
		Name:      "persistent-volume-binder",
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
			reconcile.On(classes.Informer(), func(class *storagev1.StorageClass) []reconcile.Key { return o.pending(class.Name) }),
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

// claimsOf names the unbound claims of a placed pod.
func (o *observer) claimsOf(pod *corev1.Pod) []reconcile.Key {
	if pod.Spec.NodeName == "" {
		return nil
	}
	var keys []reconcile.Key
	for i := range pod.Spec.Volumes {
		name := claimName(pod, &pod.Spec.Volumes[i])
		if name == "" {
			continue
		}
		if claim, err := o.claims.PersistentVolumeClaims(pod.Namespace).Get(name); err == nil && claim.Spec.VolumeName == "" {
			keys = append(keys, reconcile.KeyOf(claim))
		}
	}
	return keys
}

func claimName(pod *corev1.Pod, v *corev1.Volume) string {
	switch {
	case v.PersistentVolumeClaim != nil:
		return v.PersistentVolumeClaim.ClaimName
	case v.Ephemeral != nil:
		return pod.Name + "-" + v.Name
	}
	return ""
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
	if name := volume.GetPersistentVolumeClaimClass(claim); name != "" && claim.Spec.VolumeName == "" {
		if observed.Class, err = o.classes.Get(name); err != nil && !apierrors.IsNotFound(err) {
			return reconcile.Result{}, err
		}
		if err != nil {
			observed.Class = nil
		}
		observed.Node = o.consumer(claim)
	}
	return PlanClaim(observed), nil
}

// consumer is the node of a pod that uses a claim, nil if none is placed.
func (o *observer) consumer(claim *corev1.PersistentVolumeClaim) *corev1.Node {
	pods, err := o.pods.Pods(claim.Namespace).List(labels.Everything())
	if err != nil {
		return nil
	}
	for _, pod := range pods {
		for i := range pod.Spec.Volumes {
			if pod.Spec.NodeName != "" && claimName(pod, &pod.Spec.Volumes[i]) == claim.Name {
				if node, err := o.nodes.Get(pod.Spec.NodeName); err == nil {
					return node
				}
			}
		}
	}
	return nil
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
	}
	return PlanVolume(observed), nil
}
