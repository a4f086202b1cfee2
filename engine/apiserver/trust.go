package apiserver

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/client-go/kubernetes"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/cert"
)

// FrontProxy is how this server identifies itself to extension servers.
type FrontProxy struct {
	// File holds the client certificate and its key in PEM; empty sends none.
	File string
	// Name is the common name in the certificate.
	Name string
	// CA is the PEM of the authority that signed it, and nothing else.
	CA []byte
}

const (
	// authenticationConfig is where extension servers read whom to believe.
	authenticationConfig = "extension-apiserver-authentication"

	clientCAKey      = "client-ca-file"
	requestHeaderCA  = "requestheader-client-ca-file"
	trustRetryAfter  = time.Second
	trustCheckAlways = 12 * time.Hour
)

// publishTrust keeps telling extension servers how to recognize this server, the
// proxies it believes and their users: whatever is removed is put back.
func publishTrust(cfg *Config) genericapiserver.PostStartHookFunc {
	return func(ctx genericapiserver.PostStartHookContext) error {
		client, err := kubernetes.NewForConfig(cfg.Loopback)
		if err != nil {
			return err
		}
		want, err := trust(cfg)
		if err != nil || len(want) == 0 {
			return err
		}
		changed := make(chan struct{}, 1)
		if h := cfg.Filters.RequestHeader; h != nil {
			h.CAContentProvider.AddListener(waker(changed))
		}
		handler, err := cfg.Informers.Core().V1().ConfigMaps().Informer().AddEventHandler(cache.FilteringResourceEventHandler{
			FilterFunc: isTrust,
			Handler: cache.ResourceEventHandlerFuncs{
				UpdateFunc: func(_, _ any) { wake(changed) },
				DeleteFunc: func(any) { wake(changed) },
			},
		})
		if err != nil {
			return err
		}
		go func() {
			defer func() { _ = cfg.Informers.Core().V1().ConfigMaps().Informer().RemoveEventHandler(handler) }()
			keepTrust(ctx, cfg, client.CoreV1().ConfigMaps(metav1.NamespaceSystem), changed)
		}()
		return nil
	}
}

func isTrust(obj any) bool {
	if gone, ok := obj.(cache.DeletedFinalStateUnknown); ok {
		obj = gone.Obj
	}
	m, ok := obj.(*corev1.ConfigMap)
	return ok && m.Namespace == metav1.NamespaceSystem && m.Name == authenticationConfig
}

// waker wakes when the authorities of proxies are others.
type waker chan<- struct{}

// Enqueue implements dynamiccertificates.Listener.
func (w waker) Enqueue() { wake(w) }

func wake(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func keepTrust(ctx context.Context, cfg *Config, maps corev1client.ConfigMapInterface, changed <-chan struct{}) {
	for {
		next := trustCheckAlways
		want, err := trust(cfg)
		if err == nil {
			err = ensureTrust(ctx, maps, want, time.Now())
		}
		if err != nil && ctx.Err() == nil {
			cfg.Logger.Error("extension servers are not told whom to believe",
				"kind", "ConfigMap", "namespace", metav1.NamespaceSystem, "name", authenticationConfig, "err", err)
			next = trustRetryAfter
		}
		timer := time.NewTimer(next)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-changed:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// trust is what this server wants to be known.
func trust(cfg *Config) (map[string]string, error) {
	data := map[string]string{}
	if len(cfg.ClientCA) > 0 {
		data[clientCAKey] = string(cfg.ClientCA)
	}
	lists := map[string][]string{}
	var authorities []byte
	if cfg.FrontProxy.File != "" {
		authorities = slices.Clone(cfg.FrontProxy.CA)
		lists["requestheader-allowed-names"] = []string{cfg.FrontProxy.Name}
		lists["requestheader-username-headers"] = []string{"X-Remote-User"}
		lists["requestheader-uid-headers"] = []string{"X-Remote-Uid"}
		lists["requestheader-group-headers"] = []string{"X-Remote-Group"}
		lists["requestheader-extra-headers-prefix"] = []string{"X-Remote-Extra-"}
	}
	if h := cfg.Filters.RequestHeader; h != nil {
		authorities = append(authorities, h.CAContentProvider.CurrentCABundleContent()...)
		for key, values := range map[string][]string{
			"requestheader-allowed-names":        h.AllowedClientNames.Value(),
			"requestheader-username-headers":     h.UsernameHeaders.Value(),
			"requestheader-uid-headers":          h.UIDHeaders.Value(),
			"requestheader-group-headers":        h.GroupHeaders.Value(),
			"requestheader-extra-headers-prefix": h.ExtraHeaderPrefixes.Value(),
		} {
			lists[key] = joinLists(lists[key], values)
		}
	}
	if len(authorities) == 0 {
		return data, nil
	}
	var err error
	if data[requestHeaderCA], err = joinBundles("", string(authorities), time.Time{}); err != nil {
		return nil, err
	}
	for key, values := range lists {
		text, err := json.Marshal(values)
		if err != nil {
			return nil, err
		}
		data[key] = string(text)
	}
	return data, nil
}

func ensureTrust(ctx context.Context, client corev1client.ConfigMapInterface, want map[string]string, now time.Time) error {
	old, err := client.Get(ctx, authenticationConfig, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		_, err = client.Create(ctx, &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Name: authenticationConfig, Namespace: metav1.NamespaceSystem}, Data: want,
		}, metav1.CreateOptions{})
		return err
	}
	if err != nil {
		return err
	}
	data := joinTrust(old.Data, want, now)
	if maps.Equal(data, old.Data) {
		return nil
	}
	changed := old.DeepCopy()
	changed.Data = data
	_, err = client.Update(ctx, changed, metav1.UpdateOptions{})
	return err
}

// joinTrust adds what is wanted to what is there, which may be of other servers of the
// cluster. Authorities that expired are left out; what cannot be read is replaced.
func joinTrust(have, want map[string]string, now time.Time) map[string]string {
	out := make(map[string]string, len(want))
	for key, value := range want {
		out[key] = value
		old, ok := have[key]
		if !ok {
			continue
		}
		if key == clientCAKey || key == requestHeaderCA {
			if joined, err := joinBundles(old, value, now); err == nil {
				out[key] = joined
			}
			continue
		}
		var before, wanted []string
		if json.Unmarshal([]byte(old), &before) != nil || json.Unmarshal([]byte(value), &wanted) != nil {
			continue
		}
		if text, err := json.Marshal(joinLists(before, wanted)); err == nil {
			out[key] = string(text)
		}
	}
	return out
}

func joinLists(a, b []string) []string {
	out := slices.Clone(a)
	for _, s := range b {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

// joinBundles joins two PEM bundles without repetition; certificates of the first that
// expired are left out.
func joinBundles(old, add string, now time.Time) (string, error) {
	var all []*x509.Certificate
	for i, bundle := range []string{old, add} {
		if bundle == "" {
			continue
		}
		certs, err := cert.ParseCertsPEM([]byte(bundle))
		if err != nil {
			return "", fmt.Errorf("certificate authorities: %w", err)
		}
		for _, c := range certs {
			expired := i == 0 && c.NotAfter.Before(now)
			if !expired && !slices.ContainsFunc(all, c.Equal) {
				all = append(all, c)
			}
		}
	}
	var out bytes.Buffer
	for _, c := range all {
		if err := pem.Encode(&out, &pem.Block{Type: cert.CertificateBlockType, Bytes: c.Raw}); err != nil {
			return "", err
		}
	}
	return out.String(), nil
}
