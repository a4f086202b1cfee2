package api

import (
	"context"
	_ "embed"
	"fmt"
	"strings"

	"github.com/pintle-io/pintle/conformance/suite"
)

//go:embed fieldvalidation.yaml
var fieldValidationYAML string

func fieldValidation() suite.Case {
	return suite.Case{
		Name:     "api/field-validation",
		Promise:  "unknown and doubled fields are refused by path under Strict, warned of under Warn, and a wrong type is always refused",
		Manifest: fieldValidationYAML,
		Run: func(ctx context.Context, e *suite.Env) error {
			err := e.Apply(ctx, "--validate=strict")
			if err == nil || !strings.Contains(err.Error(), `unknown field "spec.replica"`) {
				return fmt.Errorf("strict: got %v, want an error naming spec.replica", err)
			}
			out, err := e.KubectlIn(ctx, e.Manifest(), "create", "-f", "-", "--validate=warn", "-o", "name")
			if err != nil {
				return fmt.Errorf("warn: %w", err)
			}
			if !strings.Contains(out, "deployment.apps/typo") {
				return fmt.Errorf("warn: created %q", out)
			}
			wrong := strings.Replace(e.Manifest(), "replica: 1", "replicas: many", 1)
			_, err = e.KubectlIn(ctx, strings.Replace(wrong, "name: typo", "name: wrong", 1), "create", "-f", "-", "--validate=ignore")
			if err == nil || !strings.Contains(err.Error(), "replicas") {
				return fmt.Errorf("a string for a number: got %v, want an error naming replicas", err)
			}
			return nil
		},
	}
}
