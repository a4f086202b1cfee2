package scheduling

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"k8s.io/component-helpers/storage/volume"
)

const (
	volumeWait = 10 * time.Minute
	volumePoll = 100 * time.Millisecond
)

var (
	claimsResource  = corev1.SchemeGroupVersion.WithResource("persistentvolumeclaims")
	volumesResource = corev1.SchemeGroupVersion.WithResource("persistentvolumes")
)

// bindVolumes writes what was chosen for the pod's claims, a volume or the node for
// which one is to be made, and waits until every claim has its volume.
func (s *Scheduler) bindVolumes(ctx context.Context, b binding) error {
	ctx, cancel := context.WithTimeout(ctx, volumeWait)
	defer cancel()
	for i := range b.choices {
		c := &b.choices[i]
		written, err := s.writeChoice(ctx, c, b.node)
		if err != nil {
			return err
		}
		if c.volume == nil {
			c.claim = written
		}
	}
	tick := time.NewTicker(volumePoll)
	defer tick.Stop()
	for {
		done, err := s.volumesBound(b)
		if done || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("binding volumes: %w", ctx.Err())
		case <-tick.C:
		}
	}
}

// writeChoice returns the claim as it was written, if it was.
func (s *Scheduler) writeChoice(ctx context.Context, c *choice, node string) (*corev1.PersistentVolumeClaim, error) {
	if c.volume != nil {
		_, err := s.config.Client.UpdateFunc(ctx, volumesResource, "", c.volume.Name, "", func(obj runtime.Object) error {
			pv, ok := obj.(*corev1.PersistentVolume)
			if !ok {
				return errors.New("not a volume")
			}
			bound, changed, err := volume.GetBindVolumeToClaim(pv, c.claim)
			if err == nil && changed {
				bound.DeepCopyInto(pv)
			}
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("bind volume %s: %w", c.volume.Name, err)
		}
		return nil, nil
	}
	out, err := s.config.Client.UpdateFunc(ctx, claimsResource, c.claim.Namespace, c.claim.Name, "", func(obj runtime.Object) error {
		claim, ok := obj.(*corev1.PersistentVolumeClaim)
		if !ok || claim.UID != c.claim.UID {
			return errors.New("the claim was replaced")
		}
		metav1.SetMetaDataAnnotation(&claim.ObjectMeta, volume.AnnSelectedNode, node)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("select a node for claim %s/%s: %w", c.claim.Namespace, c.claim.Name, err)
	}
	claim, ok := out.(*corev1.PersistentVolumeClaim)
	if !ok {
		return nil, fmt.Errorf("select a node for claim %s/%s: %T came back", c.claim.Namespace, c.claim.Name, out)
	}
	return claim, nil
}

// volumesBound reports whether all claims have volumes; an error means that they
// will not get them for this node.
func (s *Scheduler) volumesBound(b binding) (bool, error) {
	lister := s.config.Informers.Core().V1().PersistentVolumeClaims().Lister()
	for _, c := range b.choices {
		claim, err := lister.PersistentVolumeClaims(c.claim.Namespace).Get(c.claim.Name)
		if err != nil {
			return false, fmt.Errorf("claim %s/%s: %w", c.claim.Namespace, c.claim.Name, err)
		}
		switch {
		case metav1.HasAnnotation(claim.ObjectMeta, volume.AnnBindCompleted) && claim.Spec.VolumeName != "":
			continue
		case c.volume == nil && newer(claim, c.claim) && claim.Annotations[volume.AnnSelectedNode] != b.node:
			return false, fmt.Errorf("no volume for claim %s/%s could be made on node %s", claim.Namespace, claim.Name, b.node)
		}
		return false, nil
	}
	return true, nil
}

// newer reports whether the cache has passed what was written.
func newer(have, written *corev1.PersistentVolumeClaim) bool {
	order, err := resourceversion.CompareResourceVersion(have.ResourceVersion, written.ResourceVersion)
	return err == nil && order >= 0
}
