package admission

import (
	"context"
	_ "embed"
	"fmt"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pintle-io/pintle/conformance/suite"
)

//go:embed mutatingpolicies.yaml
var mutatingPoliciesYAML string

func mutatingPolicies() suite.Case {
	return suite.Case{
		Name:     "admission/mutating-policies",
		Promise:  "a MutatingAdmissionPolicy changes objects by apply configuration and JSON patch, with parameters, and is asked again where it wants to be",
		Manifest: mutatingPoliciesYAML,
		Run: func(ctx context.Context, e *suite.Env) error {
			maps := e.Kube.CoreV1().ConfigMaps(e.Namespace)
			if _, err := maps.Create(ctx, configMap("teams", map[string]string{"team": "blue"}), metav1.CreateOptions{}); err != nil {
				return err
			}
			remove, err := applied(ctx, e, mutatingPoliciesYAML)
			defer remove()
			if err != nil {
				return err
			}
			create := func(ctx context.Context, label string) (*corev1.ConfigMap, error) {
				cm := configMap("m", map[string]string{"own": "1"})
				cm.Labels = map[string]string{label: "yes"}
				return maps.Create(ctx, cm, metav1.CreateOptions{DryRun: []string{"All"}})
			}
			want := map[string]string{"own": "1", "stage": "two", "seen": "two"}
			err = e.Eventually(ctx, 15e9, "both policies to change the object", func(ctx context.Context) (bool, string, error) {
				got, err := create(ctx, "mutate")
				if err != nil {
					return false, "", err
				}
				diff := cmp.Diff(want, got.Data) + cmp.Diff(map[string]string{"mutate": "yes", "team": "blue"}, got.Labels) +
					cmp.Diff(map[string]string{"example.com/a": "a~1b"}, got.Annotations)
				return diff == "", diff, nil
			})
			if err != nil {
				return err
			}
			return inForce(ctx, e, "a patch that does not fit", func(ctx context.Context) error {
				_, err := create(ctx, "wrong")
				return err
			}, fmt.Sprintf("policy '%[1]s-wrong' with binding '%[1]s-wrong' denied request: JSON Patch: error in remove for path: '/data/absent': "+
				"Unable to remove nonexistent key: absent: missing value", e.Namespace))
		},
	}
}
