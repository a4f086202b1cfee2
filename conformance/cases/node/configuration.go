package node

import (
	"context"
	_ "embed"
	"fmt"
	"strings"
	"time"

	"github.com/pintle-io/pintle/conformance/suite"
)

//go:embed configuration.yaml
var configurationYAML string

func configuration() suite.Case {
	return suite.Case{
		Name:     "node/configuration",
		Promise:  "ConfigMaps, Secrets and pod fields reach a container as variables and files, and files follow a change",
		Needs:    []suite.Feature{suite.Containers},
		Manifest: configurationYAML,
		Run: func(ctx context.Context, e *suite.Env) error {
			if err := e.Apply(ctx); err != nil {
				return err
			}
			if _, err := pod(ctx, e, "reader", "to be ready", ready); err != nil {
				return err
			}
			for _, t := range []struct{ command, want string }{
				{"echo $GREETING $WHO $POD_NAME", "hello hello-pintle reader"},
				{"cat /etc/config/greeting", "hello"},
				{"cat /etc/secret/password", "rudder"},
				{"echo kept > /scratch/f && cat /scratch/f", "kept"},
				{"cat /etc/pod/labels", `app="reader"`},
				{"cat /var/run/secrets/kubernetes.io/serviceaccount/namespace", e.Namespace},
				{"hostname", "reader"},
			} {
				out, err := e.Kubectl(ctx, "exec", "reader", "--", "sh", "-c", t.command)
				if err != nil {
					return err
				}
				if !strings.Contains(out, t.want) {
					return fmt.Errorf("%s printed %q, want %q", t.command, out, t.want)
				}
			}
			if _, err := e.Kubectl(ctx, "patch", "configmap", "settings", "-p", `{"data":{"greeting":"goodbye"}}`); err != nil {
				return err
			}
			return e.Eventually(ctx, 100*time.Second, "the mounted file to follow", func(ctx context.Context) (bool, string, error) {
				out, err := e.Kubectl(ctx, "exec", "reader", "--", "cat", "/etc/config/greeting")
				return strings.TrimSpace(out) == "goodbye", out, err
			})
		},
	}
}
