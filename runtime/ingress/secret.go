package ingress

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"sync"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
)

// secrets watches the TLS Secrets that are named, each by itself: a node may not read
// others. Only Run's goroutine calls its methods.
type secrets struct {
	client  kubernetes.Interface
	changed func()
	watched map[objectKey]*watchedSecret
	wg      sync.WaitGroup
}

type watchedSecret struct {
	store  cache.Store
	synced cache.InformerSynced
	cancel context.CancelFunc
	// The certificate of one version of the Secret.
	uid     types.UID
	version string
	cert    *tls.Certificate
	err     error
}

func newSecrets(client kubernetes.Interface, changed func()) *secrets {
	return &secrets{client: client, changed: changed, watched: map[objectKey]*watchedSecret{}}
}

// follow watches exactly these.
func (s *secrets) follow(ctx context.Context, want map[objectKey]bool) {
	for key := range want {
		if s.watched[key] == nil {
			s.watched[key] = s.start(ctx, key)
		}
	}
	for key, w := range s.watched {
		if !want[key] {
			w.cancel()
			delete(s.watched, key)
		}
	}
}

func (s *secrets) start(ctx context.Context, key objectKey) *watchedSecret {
	byName := fields.OneTermEqualSelector(metav1.ObjectNameField, key.name).String()
	api := s.client.CoreV1().Secrets(key.namespace)
	lw := &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			o.FieldSelector = byName
			return api.List(ctx, o)
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
			o.FieldSelector = byName
			return api.Watch(ctx, o)
		},
	}
	wake := func(any) { s.changed() }
	store, controller := cache.NewInformerWithOptions(cache.InformerOptions{
		ListerWatcher: cache.ToListWatcherWithWatchListSemantics(lw, s.client), ObjectType: &corev1.Secret{},
		Handler: cache.ResourceEventHandlerFuncs{AddFunc: wake, DeleteFunc: wake, UpdateFunc: func(any, any) { wake(nil) }},
	})
	ctx, cancel := context.WithCancel(ctx)
	s.wg.Go(func() { controller.RunWithContext(ctx) })
	return &watchedSecret{store: store, synced: controller.HasSynced, cancel: cancel}
}

var errNotRead = errors.New("not read yet")

// certificate is that of a Secret which is watched.
func (s *secrets) certificate(namespace, name string) (*tls.Certificate, error) {
	w := s.watched[objectKey{namespace, name}]
	if w == nil {
		return nil, errNotRead
	}
	obj, ok, err := w.store.GetByKey(namespace + "/" + name)
	switch {
	case err != nil:
		return nil, err
	case !ok && !w.synced():
		return nil, errNotRead
	case !ok:
		return nil, errors.New("does not exist")
	}
	secret := obj.(*corev1.Secret)
	if w.version != secret.ResourceVersion || w.uid != secret.UID {
		w.uid, w.version = secret.UID, secret.ResourceVersion
		w.cert, w.err = keyPair(secret)
	}
	return w.cert, w.err
}

func keyPair(secret *corev1.Secret) (*tls.Certificate, error) {
	for _, key := range []string{corev1.TLSCertKey, corev1.TLSPrivateKeyKey} {
		if len(secret.Data[key]) == 0 {
			return nil, fmt.Errorf("has no key %s", key)
		}
	}
	cert, err := tls.X509KeyPair(secret.Data[corev1.TLSCertKey], secret.Data[corev1.TLSPrivateKeyKey])
	if err != nil {
		return nil, err
	}
	return &cert, nil
}

// wait returns when all watches have ended; their context must have.
func (s *secrets) wait() { s.wg.Wait() }
