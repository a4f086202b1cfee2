package decision

import (
	"context"
	_ "embed"
	"fmt"
	"strings"
	"time"

	"github.com/pintle-io/pintle/conformance/suite"
)

//go:embed constraint.yaml
var constraintYAML string

func constraint() suite.Case {
	return suite.Case{
		Name:     "decision/constraint",
		Promise:  "a ConstraintTemplate and a constraint of it deny what they say, naming the constraint, and let go once deleted",
		Needs:    []suite.Feature{suite.Policies},
		Manifest: constraintYAML,
		Run: func(ctx context.Context, e *suite.Env) error {
			template, rule, _ := strings.Cut(e.Manifest(), "\n---\n")
			remove := func() {
				ctx := context.WithoutCancel(ctx)
				_, _ = e.KubectlIn(ctx, rule, "delete", "-f", "-", "--ignore-not-found")
				_, _ = e.KubectlIn(ctx, template, "delete", "-f", "-", "--ignore-not-found")
			}
			defer remove()
			if _, err := e.KubectlIn(ctx, template, "apply", "-f", "-"); err != nil {
				return err
			}
			err := e.Eventually(ctx, 20*time.Second, "the constraint's kind to be served", func(ctx context.Context) (bool, string, error) {
				out, err := e.KubectlIn(ctx, rule, "apply", "-f", "-")
				return err == nil, out, err
			})
			if err != nil {
				return err
			}
			err = e.Eventually(ctx, 20*time.Second, "the constraint to deny", func(ctx context.Context) (bool, string, error) {
				_, err := e.Kubectl(ctx, "create", "configmap", "unowned", "--dry-run=server")
				if err == nil {
					return false, "created", nil
				}
				return strings.Contains(err.Error(), "must-have-owner") && strings.Contains(err.Error(), "needs the label owner"), err.Error(), nil
			})
			if err != nil {
				return err
			}
			labelled := "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: owned\n  labels: {owner: us}\n"
			if _, err := e.KubectlIn(ctx, labelled, "create", "-f", "-"); err != nil {
				return fmt.Errorf("an object that obeys was refused: %w", err)
			}
			if _, err := e.KubectlIn(ctx, rule, "delete", "-f", "-"); err != nil {
				return err
			}
			return e.Eventually(ctx, 20*time.Second, "the constraint to let go", func(ctx context.Context) (bool, string, error) {
				_, err := e.Kubectl(ctx, "create", "configmap", "unowned", "--dry-run=server")
				return err == nil, fmt.Sprint(err), nil
			})
		},
	}
}
