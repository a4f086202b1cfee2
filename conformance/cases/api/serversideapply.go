package api

import (
	"context"
	_ "embed"
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pintle-io/pintle/conformance/suite"
)

//go:embed serversideapply.yaml
var serverSideApplyYAML string

func serverSideApply() suite.Case {
	return suite.Case{
		Name:     "api/server-side-apply",
		Promise:  "two appliers of one field conflict, the conflict names the other, and force takes the field over",
		Manifest: serverSideApplyYAML,
		Run: func(ctx context.Context, e *suite.Env) error {
			if err := e.Apply(ctx, "--server-side", "--field-manager=first"); err != nil {
				return err
			}
			changed := strings.Replace(e.Manifest(), "colour: red", "colour: blue", 1)
			_, err := e.KubectlIn(ctx, changed, "apply", "-f", "-", "--server-side", "--field-manager=second")
			if err == nil {
				return fmt.Errorf("the second applier met no conflict")
			}
			for _, want := range []string{"conflict", `"first"`, ".data.colour"} {
				if !strings.Contains(err.Error(), want) {
					return fmt.Errorf("the conflict does not mention %s: %w", want, err)
				}
			}
			if _, err := e.KubectlIn(ctx, changed, "apply", "-f", "-", "--server-side", "--field-manager=second", "--force-conflicts"); err != nil {
				return err
			}
			cm, err := e.Kube.CoreV1().ConfigMaps(e.Namespace).Get(ctx, "paint", metav1.GetOptions{})
			if err != nil {
				return err
			}
			if cm.Data["colour"] != "blue" {
				return fmt.Errorf("colour is %q after the forced apply, want blue", cm.Data["colour"])
			}
			return nil
		},
	}
}
