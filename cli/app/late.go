package app

import (
	"context"
	"runtime/debug"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	corev1listers "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
)

// lateKinds are the kinds of which a cluster has many. Their informers fill once the
// server answers: no request waits for them, except those of node agents (pods), of
// bootstrap tokens (secrets) and of namespaces that become stricter (pods). What is
// added here must be waited for by whatever request looks at its informer.
var lateKinds = []schema.GroupResource{
	{Resource: "pods"}, {Resource: "configmaps"}, {Resource: "secrets"},
	{Resource: "events"}, {Group: "events.k8s.io", Resource: "events"},
	{Group: "apps", Resource: "replicasets"}, {Group: "apps", Resource: "controllerrevisions"}, {Group: "batch", Resource: "jobs"},
}

// loadingGC collects garbage less often until the function it returns is called:
// while indexes and informers fill there is hardly any garbage, and each collection
// would go through all that is already there.
func loadingGC() (restore func()) {
	before := debug.SetGCPercent(400)
	return sync.OnceFunc(func() { debug.SetGCPercent(before) })
}

// fillPatience bounds how long a bootstrap token waits for the secrets at start.
const fillPatience = 10 * time.Second

// filledSecrets are the secrets of kube-system, once they are there.
func (c *controlPlane) filledSecrets() corev1listers.SecretNamespaceLister {
	secrets := c.client.Informers().Core().V1().Secrets()
	return filledSecrets{secrets.Informer(), secrets.Lister().Secrets("kube-system")}
}

type filledSecrets struct {
	informer cache.SharedIndexInformer
	corev1listers.SecretNamespaceLister
}

// Get implements listers.SecretNamespaceLister.
func (f filledSecrets) Get(name string) (*corev1.Secret, error) {
	if !f.informer.HasSynced() {
		ctx, cancel := context.WithTimeout(context.Background(), fillPatience)
		defer cancel()
		cache.WaitFor(ctx, "", f.informer.HasSyncedChecker())
	}
	return f.SecretNamespaceLister.Get(name)
}
