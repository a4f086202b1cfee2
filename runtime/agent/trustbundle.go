package agent

import (
	"context"
	"errors"
	"fmt"
	"sync"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"
)

// bundles watches all ClusterTrustBundles, from the first pod that asks for some on.
type bundles struct {
	once   sync.Once
	store  cache.Store
	synced cache.InformerSynced
	cancel context.CancelFunc
}

// TrustBundles implements volume.Source. A change of any wakes the pod.
func (o *objects) TrustBundles(ctx context.Context, pod *corev1.Pod) ([]*certificatesv1.ClusterTrustBundle, error) {
	o.mu.Lock()
	stopped := o.mu.stopped
	if !stopped {
		o.mu.trusting[string(pod.UID)] = true
		o.watchBundles()
	}
	o.mu.Unlock()
	if stopped {
		return nil, errors.New("the agent is stopping")
	}
	ctx, cancel := context.WithTimeout(ctx, syncTimeout)
	defer cancel()
	if !cache.WaitForCacheSync(ctx.Done(), o.bundles.synced) {
		return nil, fmt.Errorf("ClusterTrustBundles are not read yet: %w", ctx.Err())
	}
	var out []*certificatesv1.ClusterTrustBundle
	for _, obj := range o.bundles.store.List() {
		out = append(out, obj.(*certificatesv1.ClusterTrustBundle))
	}
	return out, nil
}

// watchBundles starts the watch, once; o.mu is held.
func (o *objects) watchBundles() {
	o.bundles.once.Do(func() {
		var ctx context.Context
		ctx, o.bundles.cancel = context.WithCancel(context.Background())
		wake := func() {
			o.mu.Lock()
			defer o.mu.Unlock()
			for uid := range o.mu.trusting {
				go o.changed(uid)
			}
		}
		store, controller := newInformer(o.client, o.client.CertificatesV1().ClusterTrustBundles(), &certificatesv1.ClusterTrustBundle{},
			func(*metav1.ListOptions) {}, cache.ResourceEventHandlerDetailedFuncs{
				AddFunc: func(_ any, initial bool) {
					if !initial {
						wake()
					}
				},
				UpdateFunc: func(any, any) { wake() }, DeleteFunc: func(any) { wake() },
			})
		o.bundles.store, o.bundles.synced = store, controller.HasSynced
		o.wg.Go(func() { controller.RunWithContext(ctx) })
	})
}
