package agent

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	authv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
)

// objects gives pods' ConfigMaps and Secrets, each watched while a pod on this
// node refers to it, tokens and certificates, renewed before they end, and trust
// bundles. It implements volume.Source.
type objects struct {
	client  kubernetes.Interface
	node    string
	changed func(podUID string)
	bundles bundles

	mu struct {
		sync.Mutex
		watched      map[objectKey]*watched
		tokens       map[tokenKey]token
		certificates map[certificateKey]*certificate
		trusting     map[string]bool // UIDs of the pods with trust bundles
		stopped      bool
	}
	wg sync.WaitGroup
}

const podCertificateRequests = "podcertificaterequests"

type objectKey struct{ resource, namespace, name string }

// watched is the reflector's store for a single object.
type watched struct {
	owner  *objects
	cancel context.CancelFunc
	synced chan struct{}
	// Guarded by owner.mu.
	obj  any
	refs map[string]bool
	once sync.Once
}

func newObjects(client kubernetes.Interface, node string, changed func(string)) *objects {
	o := &objects{client: client, node: node, changed: changed}
	o.mu.certificates, o.mu.trusting = map[certificateKey]*certificate{}, map[string]bool{}
	o.mu.watched = map[objectKey]*watched{}
	o.mu.tokens = map[tokenKey]token{}
	return o
}

// syncTimeout bounds the wait for the first answer about an object.
const syncTimeout = 10 * time.Second

// ConfigMap implements volume.Source.
func (o *objects) ConfigMap(ctx context.Context, pod *corev1.Pod, name string) (*corev1.ConfigMap, error) {
	v, err := o.get(ctx, pod, "configmaps", name, &corev1.ConfigMap{})
	if err != nil {
		return nil, err
	}
	return v.(*corev1.ConfigMap), nil
}

// Secret implements volume.Source.
func (o *objects) Secret(ctx context.Context, pod *corev1.Pod, name string) (*corev1.Secret, error) {
	v, err := o.get(ctx, pod, "secrets", name, &corev1.Secret{})
	if err != nil {
		return nil, err
	}
	return v.(*corev1.Secret), nil
}

// Claim implements volume.Source.
func (o *objects) Claim(ctx context.Context, pod *corev1.Pod, name string) (*corev1.PersistentVolume, error) {
	pvc, err := o.client.CoreV1().PersistentVolumeClaims(pod.Namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	if pvc.Status.Phase != corev1.ClaimBound {
		return nil, fmt.Errorf("persistentvolumeclaim %q is not bound", name)
	}
	return o.client.CoreV1().PersistentVolumes().Get(ctx, pvc.Spec.VolumeName, metav1.GetOptions{})
}

func (o *objects) get(ctx context.Context, pod *corev1.Pod, resource, name string, kind any) (any, error) {
	key := objectKey{resource, pod.Namespace, name}
	w := o.watch(key, string(pod.UID), kind)
	if w == nil {
		return nil, errors.New("the agent is stopping")
	}
	timer := time.NewTimer(syncTimeout)
	defer timer.Stop()
	select {
	case <-w.synced:
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-timer.C:
		return nil, fmt.Errorf("timed out waiting for %s %q from the API server", resource, name)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if w.obj == nil {
		return nil, apierrors.NewNotFound(schema.GroupResource{Resource: resource[:len(resource)-1]}, name)
	}
	return w.obj, nil
}

func (o *objects) watch(key objectKey, uid string, kind any) *watched {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.mu.stopped {
		return nil
	}
	if w := o.mu.watched[key]; w != nil {
		w.refs[uid] = true
		return w
	}
	ctx, cancel := context.WithCancel(context.Background())
	w := &watched{owner: o, cancel: cancel, synced: make(chan struct{}), refs: map[string]bool{uid: true}}
	o.mu.watched[key] = w
	r := cache.NewReflectorWithOptions(o.listWatch(key), kind, w, cache.ReflectorOptions{Name: "agent/" + key.resource})
	o.wg.Go(func() { r.RunWithContext(ctx) })
	return w
}

func (o *objects) listWatch(key objectKey) cache.ListerWatcher {
	byName := func(opts *metav1.ListOptions) {
		opts.FieldSelector = fields.OneTermEqualSelector("metadata.name", key.name).String()
	}
	core := o.client.CoreV1()
	lw := &cache.ListWatch{}
	switch key.resource {
	case "secrets":
		setListWatch(lw, core.Secrets(key.namespace), byName)
	case podCertificateRequests:
		// A node may watch those of its own pods alone.
		setListWatch(lw, o.client.CertificatesV1().PodCertificateRequests(key.namespace), func(opts *metav1.ListOptions) {
			opts.FieldSelector = fields.Set{"metadata.name": key.name, "spec.nodeName": o.node}.String()
		})
	default:
		setListWatch(lw, core.ConfigMaps(key.namespace), byName)
	}
	return cache.ToListWatcherWithWatchListSemantics(lw, o.client)
}

// release ends the pod's interest in all objects.
func (o *objects) release(uid string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for k := range o.mu.watched {
		o.unwatchLocked(k, uid)
	}
	for k := range o.mu.tokens {
		if k.uid == uid {
			delete(o.mu.tokens, k)
		}
	}
	for k := range o.mu.certificates {
		if k.uid == uid {
			delete(o.mu.certificates, k)
		}
	}
	delete(o.mu.trusting, uid)
}

// unwatch ends the pod's interest in one object.
func (o *objects) unwatch(key objectKey, uid string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.unwatchLocked(key, uid)
}

func (o *objects) unwatchLocked(key objectKey, uid string) {
	w := o.mu.watched[key]
	if w == nil {
		return
	}
	delete(w.refs, uid)
	if len(w.refs) == 0 {
		w.cancel()
		delete(o.mu.watched, key)
	}
}

// stop ends all watches and waits for them.
func (o *objects) stop() {
	o.mu.Lock()
	o.mu.stopped = true
	for _, w := range o.mu.watched {
		w.cancel()
	}
	if o.bundles.cancel != nil {
		o.bundles.cancel()
	}
	o.mu.Unlock()
	o.wg.Wait()
}

func (w *watched) set(obj any) {
	w.owner.mu.Lock()
	w.obj = obj
	refs := make([]string, 0, len(w.refs))
	for uid := range w.refs {
		refs = append(refs, uid)
	}
	w.owner.mu.Unlock()
	first := false
	w.once.Do(func() { first = true; close(w.synced) })
	if first {
		return
	}
	for _, uid := range refs {
		w.owner.changed(uid)
	}
}

// The following make watched a cache.ReflectorStore of one object.

// Add implements cache.ReflectorStore.
func (w *watched) Add(obj any) error { w.set(obj); return nil }

// Update implements cache.ReflectorStore.
func (w *watched) Update(obj any) error { w.set(obj); return nil }

// Delete implements cache.ReflectorStore.
func (w *watched) Delete(any) error { w.set(nil); return nil }

// Resync implements cache.ReflectorStore.
func (w *watched) Resync() error { return nil }

// Replace implements cache.ReflectorStore.
func (w *watched) Replace(list []any, _ string) error {
	if len(list) == 0 {
		w.set(nil)
		return nil
	}
	w.set(list[0])
	return nil
}

type tokenKey struct {
	uid, account, audience string
	seconds                int64
}

type token struct {
	text  string
	renew time.Time
}

// Token implements volume.Source. A token is renewed when 80% of its life, or a
// day, has passed.
func (o *objects) Token(ctx context.Context, pod *corev1.Pod, p *corev1.ServiceAccountTokenProjection) (string, error) {
	seconds := int64(3600)
	if p.ExpirationSeconds != nil {
		seconds = *p.ExpirationSeconds
	}
	key := tokenKey{string(pod.UID), pod.Spec.ServiceAccountName, p.Audience, seconds}
	o.mu.Lock()
	t, ok := o.mu.tokens[key]
	o.mu.Unlock()
	if ok && time.Now().Before(t.renew) {
		return t.text, nil
	}
	req := &authv1.TokenRequest{Spec: authv1.TokenRequestSpec{
		ExpirationSeconds: &seconds,
		BoundObjectRef:    &authv1.BoundObjectReference{APIVersion: "v1", Kind: "Pod", Name: pod.Name, UID: pod.UID},
	}}
	if p.Audience != "" {
		req.Spec.Audiences = []string{p.Audience}
	}
	now := time.Now()
	got, err := o.client.CoreV1().ServiceAccounts(pod.Namespace).CreateToken(ctx, pod.Spec.ServiceAccountName, req, metav1.CreateOptions{})
	if err != nil {
		if ok {
			// The old one is good for a while yet.
			return t.text, nil
		}
		return "", fmt.Errorf("failed to fetch token: %w", err)
	}
	life := time.Until(got.Status.ExpirationTimestamp.Time)
	t = token{text: got.Status.Token, renew: now.Add(min(life*8/10, 24*time.Hour))}
	o.mu.Lock()
	o.mu.tokens[key] = t
	o.mu.Unlock()
	return t.text, nil
}
