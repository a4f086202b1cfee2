package admission

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func configFile(t *testing.T, plugins string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "admission.yaml")
	text := "apiVersion: apiserver.config.k8s.io/v1\nkind: AdmissionConfiguration\nplugins:\n" + plugins
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestConfiguredPodSecurity(t *testing.T) {
	config, err := ReadConfig(configFile(t, `
- name: PodSecurity
  configuration:
    apiVersion: pod-security.admission.config.k8s.io/v1
    kind: PodSecurityConfiguration
    defaults: {enforce: baseline}
    exemptions: {namespaces: [free]}
`))
	if err != nil {
		t.Fatal(err)
	}
	b := newBuilder(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "ns"}}, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "free"}})
	b.Plugins = config
	p, err := newPodSecurity(b)
	if err != nil {
		t.Fatal(err)
	}
	privileged := func(p *corev1.Pod) {
		p.Spec.Containers[0].SecurityContext = &corev1.SecurityContext{Privileged: ptr(true)}
	}
	check(t, p, request{obj: newPod(privileged), resource: pods}, `violates PodSecurity "baseline:latest"`)
	check(t, p, request{obj: newPod(privileged, func(p *corev1.Pod) { p.Namespace = "free" }), resource: pods}, "")
}

// A file that is wrong stops the start.
func TestConfigurationsThatAreWrong(t *testing.T) {
	for name, tc := range map[string]struct {
		plugins string
		fails   string
	}{
		"a relative path of credentials": {plugins: `
- name: ValidatingAdmissionWebhook
  configuration: {apiVersion: apiserver.config.k8s.io/v1, kind: WebhookAdmissionConfiguration, kubeConfigFile: here}
`, fails: "must be an absolute file path"},
		"no such credentials": {plugins: `
- name: MutatingAdmissionWebhook
  configuration: {apiVersion: apiserver.config.k8s.io/v1, kind: WebhookAdmissionConfiguration, kubeConfigFile: /nowhere/at/all}
`, fails: "/nowhere/at/all"},
		"another kind": {plugins: `
- name: PodSecurity
  configuration: {apiVersion: v1, kind: Pod}
`, fails: "Pod"},
	} {
		t.Run(name, func(t *testing.T) {
			config, err := ReadConfig(configFile(t, tc.plugins))
			if err != nil {
				t.Fatal(err)
			}
			cfg := newBuilder(t).Config
			cfg.Plugins = config
			if _, err := New(cfg); err == nil || !strings.Contains(err.Error(), tc.fails) {
				t.Errorf("got %v, want an error with %q", err, tc.fails)
			}
		})
	}
	if _, err := ReadConfig(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("a file that is not there was read")
	}
}
