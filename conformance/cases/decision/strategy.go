package decision

import (
	"context"
	_ "embed"
	"fmt"
	"strings"
	"time"

	"github.com/pintle-io/pintle/conformance/suite"
)

//go:embed strategy.yaml
var strategyYAML string

func strategy() suite.Case {
	return suite.Case{
		Name:     "decision/strategy",
		Promise:  "a Strategy that a StrategyBinding names places the pods of its schedulerName, and one that contradicts itself is refused by field",
		Needs:    []suite.Feature{suite.Decisions},
		Manifest: strategyYAML,
		Run: func(ctx context.Context, e *suite.Env) error {
			// Strategies have no namespace, and so the name of the case's.
			manifest := e.Manifest()
			wrong := strings.Replace(manifest, "{builtin: bin-packing}", "{builtin: bin-packing, file: x.wasm}", 1)
			strategyOnly, _, _ := strings.Cut(wrong, "\n---\n")
			if out, err := e.KubectlIn(ctx, strategyOnly, "create", "-f", "-"); err == nil ||
				!strings.Contains(err.Error(), "spec.module: Invalid value") || !strings.Contains(err.Error(), "exactly one of builtin, configMap, file and oci") {
				return fmt.Errorf("a Strategy with two modules: %s, %w", out, err)
			}
			defer func() {
				_, _ = e.KubectlIn(context.WithoutCancel(ctx), manifest, "delete", "-f", "-", "--ignore-not-found", "--wait=false")
			}()
			if _, err := e.KubectlIn(ctx, manifest, "apply", "-f", "-"); err != nil {
				return err
			}
			if _, err := e.Kubectl(ctx, "wait", "--for=condition=Ready", "--timeout=60s", "strategy/"+e.Namespace, "strategybinding/"+e.Namespace); err != nil {
				return err
			}
			path := "/apis/decisions.pintle.io/v1alpha1/namespaces/" + e.Namespace + "/decisions?object=pod/packed"
			return e.Eventually(ctx, 20*time.Second, "the strategy to place the pod", func(ctx context.Context) (bool, string, error) {
				record, err := e.Kube.Discovery().RESTClient().Get().RequestURI(path).DoRaw(ctx)
				return strings.Contains(string(record), `"decider":"`+e.Namespace+"@sha256:"), string(record), err
			})
		},
	}
}
