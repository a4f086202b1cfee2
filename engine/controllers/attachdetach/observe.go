package attachdetach

import (
	"context"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/labels"
	corelisters "k8s.io/client-go/listers/core/v1"
	storagelisters "k8s.io/client-go/listers/storage/v1"
	"k8s.io/client-go/tools/cache"

	"github.com/pintle-io/pintle/engine/controllers/bynode"
	"github.com/pintle-io/pintle/engine/controllers/podclaim"
	"github.com/pintle-io/pintle/engine/controllers/podset"
	"github.com/pintle-io/pintle/engine/reconcile"
)

type observer struct {
	nodes       corelisters.NodeLister
	pods        cache.Indexer
	claims      corelisters.PersistentVolumeClaimLister
	volumes     corelisters.PersistentVolumeLister
	attachments storagelisters.VolumeAttachmentLister
	drivers     storagelisters.CSIDriverLister

	mu struct {
		sync.Mutex
		// unused is since when a volume attached to a node is, by node/volume.
		unused map[string]time.Time
	}
}

// New builds the controller; its keys are nodes.
func New(env reconcile.Env) (*reconcile.Controller, error) {
	core, storage := env.Informers().Core().V1(), env.Informers().Storage().V1()
	pods := core.Pods().Informer()
	if err := bynode.Index(pods); err != nil {
		return nil, err
	}
	if err := podclaim.Index(pods); err != nil {
		return nil, err
	}
	o := &observer{
		nodes: core.Nodes().Lister(), pods: pods.GetIndexer(), claims: core.PersistentVolumeClaims().Lister(), volumes: core.PersistentVolumes().Lister(),
		attachments: storage.VolumeAttachments().Lister(), drivers: storage.CSIDrivers().Lister(),
	}
	o.mu.unused = map[string]time.Time{}
	podWatch := reconcile.On(pods, func(pod *corev1.Pod) []reconcile.Key {
		if pod.Spec.NodeName == "" || len(podclaim.Names(pod)) == 0 {
			return nil
		}
		return []reconcile.Key{{Name: pod.Spec.NodeName}}
	})
	podWatch.Skip = func(old, obj any) bool {
		was, pod := old.(*corev1.Pod), obj.(*corev1.Pod)
		return was.Spec.NodeName == pod.Spec.NodeName && podset.IsFinished(was) == podset.IsFinished(pod)
	}
	nodeWatch := reconcile.Self[*corev1.Node](core.Nodes().Informer())
	nodeWatch.Skip = func(old, obj any) bool {
		was, node := old.(*corev1.Node), obj.(*corev1.Node)
		return healthy(was) == healthy(node) && outOfService(was) == outOfService(node) && (was.DeletionTimestamp == nil) == (node.DeletionTimestamp == nil) &&
			apiequality.Semantic.DeepEqual(was.Status.VolumesInUse, node.Status.VolumesInUse) &&
			apiequality.Semantic.DeepEqual(was.Status.VolumesAttached, node.Status.VolumesAttached)
	}
	return env.Controller(reconcile.Config{
		Name: "attachdetach-controller", Reconcile: o.reconcile,
		Watches: []reconcile.Watch{
			podWatch, nodeWatch,
			reconcile.On(core.PersistentVolumeClaims().Informer(), func(claim *corev1.PersistentVolumeClaim) []reconcile.Key {
				var keys []reconcile.Key
				for _, pod := range podclaim.Pods(o.pods, claim.Namespace, claim.Name) {
					if pod.Spec.NodeName != "" {
						keys = append(keys, reconcile.Key{Name: pod.Spec.NodeName})
					}
				}
				return keys
			}),
			reconcile.On(storage.VolumeAttachments().Informer(), o.attachmentKeys),
		},
	})
}

// attachmentKeys names the node of an attachment and those that wait for its volume.
func (o *observer) attachmentKeys(a *storagev1.VolumeAttachment) []reconcile.Key {
	keys := []reconcile.Key{{Name: a.Spec.NodeName}}
	if pv, err := o.volumes.Get(volumeOf(a)); err == nil && pv.Spec.ClaimRef != nil {
		for _, pod := range podclaim.Pods(o.pods, pv.Spec.ClaimRef.Namespace, pv.Spec.ClaimRef.Name) {
			if pod.Spec.NodeName != "" && pod.Spec.NodeName != a.Spec.NodeName {
				keys = append(keys, reconcile.Key{Name: pod.Spec.NodeName})
			}
		}
	}
	return keys
}

func (o *observer) reconcile(_ context.Context, key reconcile.Key, now time.Time) (reconcile.Result, error) {
	observed := Observed{Name: key.Name, Uses: map[string]Use{}, Volumes: map[string]*corev1.PersistentVolume{}, Unused: map[string]time.Time{}, Now: now}
	node, err := o.nodes.Get(key.Name)
	if err != nil && !apierrors.IsNotFound(err) {
		return reconcile.Result{}, err
	}
	if err == nil {
		observed.Node = node
	}
	for _, pod := range bynode.Pods(o.pods, key.Name) {
		if !podset.IsFinished(pod) {
			o.uses(&observed, pod)
		}
	}
	all, err := o.attachments.List(labels.Everything())
	if err != nil {
		return reconcile.Result{}, err
	}
	for _, a := range all {
		switch _, used := observed.Uses[volumeOf(a)]; {
		case a.Spec.NodeName == key.Name:
			observed.Attachments = append(observed.Attachments, a)
			if pv, err := o.volumes.Get(volumeOf(a)); err == nil {
				observed.Volumes[pv.Name] = pv
			}
		case used:
			observed.Elsewhere = append(observed.Elsewhere, a)
		}
	}
	o.note(&observed)
	return Plan(observed), nil
}

// uses adds the CSI volumes of a pod whose driver wants them attached.
func (o *observer) uses(observed *Observed, pod *corev1.Pod) {
	for _, name := range podclaim.Names(pod) {
		claim, err := o.claims.PersistentVolumeClaims(pod.Namespace).Get(name)
		if err != nil || claim.Status.Phase != corev1.ClaimBound {
			continue
		}
		pv, err := o.volumes.Get(claim.Spec.VolumeName)
		if err != nil || pv.Spec.CSI == nil {
			continue
		}
		if driver, err := o.drivers.Get(pv.Spec.CSI.Driver); err == nil && driver.Spec.AttachRequired != nil && !*driver.Spec.AttachRequired {
			continue
		}
		observed.Uses[pv.Name] = Use{Volume: pv, Pod: pod}
	}
}

// note remembers since when attached volumes are unused.
func (o *observer) note(observed *Observed) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, a := range observed.Attachments {
		name := volumeOf(a)
		key := observed.Name + "/" + name
		if _, used := observed.Uses[name]; used {
			delete(o.mu.unused, key)
			continue
		}
		if _, known := o.mu.unused[key]; !known {
			o.mu.unused[key] = observed.Now
		}
		observed.Unused[name] = o.mu.unused[key]
	}
}
