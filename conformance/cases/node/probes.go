package node

import (
	"context"
	_ "embed"
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"github.com/pintle-io/pintle/conformance/suite"
)

//go:embed probes.yaml
var probesYAML string

func probes() suite.Case {
	return suite.Case{
		Name:     "node/probes",
		Promise:  "readiness decides whether a pod is ready, and a failing liveness probe restarts the container",
		Needs:    []suite.Feature{suite.Containers},
		Manifest: probesYAML,
		Run: func(ctx context.Context, e *suite.Env) error {
			if err := e.Apply(ctx); err != nil {
				return err
			}
			if _, err := pod(ctx, e, "probed", "to be ready", ready); err != nil {
				return err
			}
			if _, err := e.Kubectl(ctx, "exec", "probed", "--", "rm", "/tmp/ready"); err != nil {
				return err
			}
			p, err := pod(ctx, e, "probed", "to be unready", func(p *corev1.Pod) bool { return !ready(p) })
			if err != nil {
				return err
			}
			if n := p.Status.ContainerStatuses[0].RestartCount; n != 0 {
				return fmt.Errorf("readiness restarted the container %d times", n)
			}
			if _, err := e.Kubectl(ctx, "exec", "probed", "--", "rm", "/tmp/alive"); err != nil {
				return err
			}
			_, err = pod(ctx, e, "probed", "to be restarted and ready again", func(p *corev1.Pod) bool {
				return p.Status.ContainerStatuses[0].RestartCount == 1 && ready(p)
			})
			return err
		},
	}
}
