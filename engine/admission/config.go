package admission

import (
	"bytes"
	"fmt"
	"io"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/apis/apiserver/install"
)

// ReadConfig reads a file of the kind AdmissionConfiguration.
func ReadConfig(file string) (admission.ConfigProvider, error) {
	scheme := runtime.NewScheme()
	install.Install(scheme)
	config, err := admission.ReadAdmissionConfiguration(nil, file, scheme)
	if err != nil {
		return nil, fmt.Errorf("admission configuration %s: %w", file, err)
	}
	return config, nil
}

// noConfig leaves every plugin its defaults.
type noConfig struct{}

// ConfigFor implements admission.ConfigProvider.
func (noConfig) ConfigFor(string) (io.Reader, error) { return nil, nil }

// config returns a maker of readers of a plugin's configuration, which are nil if it
// has none.
func (b *builder) config(name string) (func() io.Reader, error) {
	none := func() io.Reader { return nil }
	r, err := b.Plugins.ConfigFor(name)
	if err != nil || r == nil {
		return none, err
	}
	text, err := io.ReadAll(r)
	if err != nil {
		return none, err
	}
	return func() io.Reader { return bytes.NewReader(text) }, nil
}

// Names are the plugins that can be turned on and off.
func Names() []string {
	out := []string{NamespaceLifecycle}
	for _, p := range plugins {
		out = append(out, p.name)
	}
	return append(out, ResourceQuota)
}
