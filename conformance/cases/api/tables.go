package api

import (
	"context"
	_ "embed"
	"fmt"
	"strings"
	"time"

	"github.com/pintle-io/pintle/conformance/suite"
)

// waitShort is enough for what the cluster does without containers.
const waitShort = 15 * time.Second

//go:embed tables.yaml
var tablesYAML string

func tables() suite.Case {
	return suite.Case{
		Name:     "api/tables",
		Promise:  "kubectl get, -o wide, jsonpath and describe show the columns people know",
		Manifest: tablesYAML,
		Run: func(ctx context.Context, e *suite.Env) error {
			if err := e.Apply(ctx); err != nil {
				return err
			}
			for _, t := range []struct {
				args []string
				want []string
			}{
				{[]string{"get", "deployment", "idle"}, []string{"NAME", "READY", "UP-TO-DATE", "AVAILABLE", "AGE", "0/0"}},
				{[]string{"get", "deployment", "idle", "-o", "wide"}, []string{"CONTAINERS", "IMAGES", "SELECTOR", "app=idle"}},
				{[]string{"get", "service", "idle"}, []string{"TYPE", "CLUSTER-IP", "EXTERNAL-IP", "PORT(S)", "ClusterIP", "80/TCP"}},
				{[]string{"get", "deployment", "idle", "-o", "jsonpath={.spec.template.spec.containers[0].name}"}, []string{"main"}},
				{[]string{"get", "deployment", "idle", "-o", "yaml"}, []string{"progressDeadlineSeconds: 600", "maxSurge: 25%"}},
				{[]string{"describe", "deployment", "idle"}, []string{"StrategyType:", "RollingUpdate", "Pod Template:"}},
			} {
				out, err := e.Kubectl(ctx, t.args...)
				if err != nil {
					return err
				}
				for _, want := range t.want {
					if !strings.Contains(out, want) {
						return fmt.Errorf("kubectl %s does not show %q:\n%s", strings.Join(t.args, " "), want, out)
					}
				}
			}
			return nil
		},
	}
}
