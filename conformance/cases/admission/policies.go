package admission

import (
	"context"
	_ "embed"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pintle-io/pintle/conformance/suite"
)

//go:embed policies.yaml
var policiesYAML string

// applied applies cluster-wide objects whose names carry the case's namespace, and
// returns how to delete them.
func applied(ctx context.Context, e *suite.Env, manifest string) (remove func(), err error) {
	text := strings.ReplaceAll(manifest, "$NAMESPACE", e.Namespace)
	remove = func() {
		_, _ = e.KubectlIn(context.WithoutCancel(ctx), text, "delete", "-f", "-", "--ignore-not-found", "--wait=false")
	}
	_, err = e.KubectlIn(ctx, text, "apply", "-f", "-")
	return remove, err
}

func validatingPolicies() suite.Case {
	return suite.Case{
		Name:     "admission/validating-policies",
		Promise:  "a ValidatingAdmissionPolicy denies, warns and computes its messages in upstream's words, and sees namespace, variables and what the requester may",
		Manifest: policiesYAML,
		Run: func(ctx context.Context, e *suite.Env) error {
			remove, err := applied(ctx, e, policiesYAML)
			defer remove()
			if err != nil {
				return err
			}
			client, got, err := warned(e)
			if err != nil {
				return err
			}
			create := func(ctx context.Context, name string, data map[string]string, labels ...string) error {
				cm := configMap(name, data)
				cm.Labels = map[string]string{}
				for _, l := range labels {
					cm.Labels[l] = "yes"
				}
				_, err := client.CoreV1().ConfigMaps(e.Namespace).Create(ctx, cm, metav1.CreateOptions{DryRun: []string{"All"}})
				return err
			}
			forbidden := func(name, policy, binding, text string) string {
				return fmt.Sprintf(`configmaps "%s" is forbidden: ValidatingAdmissionPolicy '%s-%s' with binding '%s-%s' denied request: %s`,
					name, e.Namespace, policy, e.Namespace, binding, text)
			}
			err = inForce(ctx, e, "the policies to hold", func(ctx context.Context) error { return create(ctx, "probe", nil, "sized") }, "denied request")
			if err != nil {
				return err
			}
			for _, c := range []struct {
				name   string
				data   map[string]string
				labels []string
				want   string
			}{
				{"ok", map[string]string{"a": "1"}, []string{"sized"}, ""},
				{"none", nil, []string{"sized"}, forbidden("none", "sized", "sized", "none in "+e.Namespace+" holds 0 entries, which is too few")},
				{"xbad", map[string]string{"a": "1"}, []string{"sized"}, forbidden("xbad", "sized", "sized", "names must not start with x")},
				{"fails", map[string]string{"a": "1"}, []string{"failing"}, forbidden("fails", "failing", "failing", "expression 'object.data.absent == 'x'' resulted in error: no such key: absent")},
				{"passes", map[string]string{"a": "1"}, []string{"lenient"}, ""},
				{"may", nil, []string{"allowed"}, ""},
			} {
				var last error
				err := inForce(ctx, e, c.name, func(ctx context.Context) error {
					last = create(ctx, c.name, c.data, c.labels...)
					return last
				}, c.want)
				if err != nil {
					return err
				}
				if c.name == "none" && !apierrors.IsInvalid(last) {
					return fmt.Errorf("the reason is %q, want Invalid", apierrors.ReasonForError(last))
				}
			}
			want := fmt.Sprintf("Validation failed for ValidatingAdmissionPolicy '%[1]s-noted' with binding '%[1]s-noted': this is noted", e.Namespace)
			err = e.Eventually(ctx, 15e9, "the warning", func(ctx context.Context) (bool, string, error) {
				got.take()
				err := create(ctx, "warned", nil, "noted")
				text := got.take()
				return text == want, text, err
			})
			if err != nil {
				return err
			}
			return deletions(ctx, e)
		},
	}
}

// deletions are judged by the old object.
func deletions(ctx context.Context, e *suite.Env) error {
	cm := configMap("kept", map[string]string{"a": "1"})
	cm.Labels = map[string]string{"kept": "yes"}
	maps := e.Kube.CoreV1().ConfigMaps(e.Namespace)
	if _, err := maps.Create(ctx, cm, metav1.CreateOptions{}); err != nil {
		return err
	}
	return inForce(ctx, e, "a delete", func(ctx context.Context) error {
		return maps.Delete(ctx, "kept", metav1.DeleteOptions{DryRun: []string{"All"}})
	}, fmt.Sprintf(`configmaps "kept" is forbidden: ValidatingAdmissionPolicy '%[1]s-kept' with binding '%[1]s-kept' denied request: failed expression: oldObject.metadata.name != 'kept'`, e.Namespace))
}

//go:embed parameters.yaml
var parametersYAML string

func parameters() suite.Case {
	return suite.Case{
		Name:     "admission/parameters",
		Promise:  "a policy takes its parameters from ConfigMaps and custom resources, by name and by selector, and says when there are none",
		Manifest: parametersYAML,
		Run: func(ctx context.Context, e *suite.Env) error {
			crd, rest, _ := strings.Cut(parametersYAML, "\n---\n")
			removeKind, err := applied(ctx, e, crd)
			defer removeKind()
			if err != nil {
				return err
			}
			if _, err := e.Kubectl(ctx, "wait", "--for=condition=Established", "crd/limits.parameters.conformance.example"); err != nil {
				return err
			}
			remove, err := applied(ctx, e, rest)
			defer remove()
			if err != nil {
				return err
			}
			create := func(name, label string) func(ctx context.Context) error {
				return func(ctx context.Context) error {
					s := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{label: "yes"}}}
					_, err := e.Kube.CoreV1().Secrets(e.Namespace).Create(ctx, s, metav1.CreateOptions{DryRun: []string{"All"}})
					return err
				}
			}
			for _, c := range []struct{ name, label, want string }{
				{"longer", "by-crd", "denied request: longer is longer than 3"},
				{"abc", "by-crd", ""},
				{"red", "by-selector", "denied request: failed expression: object.metadata.name != params.data.not"},
				{"blue", "by-selector", "denied request: failed expression: object.metadata.name != params.data.not"},
				{"green", "by-selector", ""},
				{"any", "by-absent", "failed to configure binding: no params found for policy binding with `Deny` parameterNotFoundAction"},
				{"any", "by-absent-allowed", ""},
			} {
				if err := inForce(ctx, e, c.label+" "+c.name, create(c.name, c.label), c.want); err != nil {
					return err
				}
			}
			// Parameters may change at any time.
			if _, err := e.Kubectl(ctx, "patch", "limits.parameters.conformance.example", "limit", "--type=merge", "-p", `{"length":9}`); err != nil {
				return err
			}
			return inForce(ctx, e, "a changed parameter", create("longer", "by-crd"), "")
		},
	}
}
