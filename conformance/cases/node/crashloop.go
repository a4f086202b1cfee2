package node

import (
	"context"
	_ "embed"
	"fmt"

	corev1 "k8s.io/api/core/v1"

	"github.com/pintle-io/pintle/conformance/suite"
)

//go:embed crashloop.yaml
var crashLoopYAML string

func crashLoop() suite.Case {
	return suite.Case{
		Name:     "node/crash-loop",
		Promise:  "a container that keeps ending is restarted with a growing pause, and its state, exit code and message say so; a missing image is named",
		Needs:    []suite.Feature{suite.Containers},
		Manifest: crashLoopYAML,
		Run: func(ctx context.Context, e *suite.Env) error {
			if err := e.Apply(ctx); err != nil {
				return err
			}
			p, err := pod(ctx, e, "crashes", "to wait in CrashLoopBackOff", func(p *corev1.Pod) bool {
				s := p.Status.ContainerStatuses
				return len(s) == 1 && s[0].RestartCount >= 1 && s[0].State.Waiting != nil && s[0].State.Waiting.Reason == "CrashLoopBackOff"
			})
			if err != nil {
				return err
			}
			last := p.Status.ContainerStatuses[0].LastTerminationState.Terminated
			if last == nil || last.ExitCode != 3 || last.Reason != "Error" || last.Message != "told you so\n" {
				return fmt.Errorf("last state is %+v, want exit code 3, reason Error and the termination message", last)
			}
			p, err = pod(ctx, e, "imageless", "to fail on its image", func(p *corev1.Pod) bool {
				s := p.Status.ContainerStatuses
				return len(s) == 1 && s[0].State.Waiting != nil && s[0].State.Waiting.Reason == "ErrImageNeverPull"
			})
			if err != nil {
				return err
			}
			if p.Status.Phase != corev1.PodPending {
				return fmt.Errorf("a pod without its image is %s, want Pending", p.Status.Phase)
			}
			return nil
		},
	}
}
