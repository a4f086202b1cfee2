package apiserver

import (
	"context"
	"encoding/json"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/client-go/kubernetes"
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

// authenticationConfig is where extension servers read whom to believe.
const authenticationConfig = "extension-apiserver-authentication"

// publishTrust tells extension servers how to recognize this server and its users.
func publishTrust(cfg *Config) genericapiserver.PostStartHookFunc {
	return func(ctx genericapiserver.PostStartHookContext) error {
		client, err := kubernetes.NewForConfig(cfg.Loopback)
		if err != nil {
			return err
		}
		data, err := trust(cfg)
		if err != nil || len(data) == 0 {
			return err
		}
		if err := ensureTrust(ctx, client, data); err != nil {
			cfg.Logger.Error("extension servers are not told whom to believe",
				"kind", "ConfigMap", "namespace", metav1.NamespaceSystem, "name", authenticationConfig, "err", err)
		}
		return nil
	}
}

func trust(cfg *Config) (map[string]string, error) {
	data := map[string]string{}
	if len(cfg.ClientCA) > 0 {
		data["client-ca-file"] = string(cfg.ClientCA)
	}
	if cfg.FrontProxy.File == "" {
		return data, nil
	}
	data["requestheader-client-ca-file"] = string(cfg.FrontProxy.CA)
	for key, values := range map[string][]string{
		"requestheader-allowed-names":        {cfg.FrontProxy.Name},
		"requestheader-username-headers":     {"X-Remote-User"},
		"requestheader-uid-headers":          {"X-Remote-Uid"},
		"requestheader-group-headers":        {"X-Remote-Group"},
		"requestheader-extra-headers-prefix": {"X-Remote-Extra-"},
	} {
		text, err := json.Marshal(values)
		if err != nil {
			return nil, err
		}
		data[key] = string(text)
	}
	return data, nil
}

func ensureTrust(ctx context.Context, client kubernetes.Interface, data map[string]string) error {
	maps := client.CoreV1().ConfigMaps(metav1.NamespaceSystem)
	old, err := maps.Get(ctx, authenticationConfig, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		_, err = maps.Create(ctx, &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Name: authenticationConfig, Namespace: metav1.NamespaceSystem}, Data: data,
		}, metav1.CreateOptions{})
		return err
	}
	if err != nil {
		return err
	}
	changed := old.DeepCopy()
	changed.Data = data
	_, err = maps.Update(ctx, changed, metav1.UpdateOptions{})
	return err
}
