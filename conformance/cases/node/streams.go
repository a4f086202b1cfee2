package node

import (
	"context"
	_ "embed"
	"fmt"
	"strings"
	"time"

	"github.com/pintle-io/pintle/conformance/suite"
)

// waitLog is how long lines may take from a container to kubectl.
const waitLog = 15 * time.Second

//go:embed streams.yaml
var streamsYAML string

func streams() suite.Case {
	return suite.Case{
		Name:     "node/streams",
		Promise:  "logs keep the order of lines and can be cut, exec passes standard input and the exit status",
		Needs:    []suite.Feature{suite.Containers},
		Manifest: streamsYAML,
		Run: func(ctx context.Context, e *suite.Env) error {
			if err := e.Apply(ctx); err != nil {
				return err
			}
			if _, err := pod(ctx, e, "talker", "to be ready", ready); err != nil {
				return err
			}
			err := e.Eventually(ctx, waitLog, "all lines in the log", func(ctx context.Context) (bool, string, error) {
				out, err := e.Kubectl(ctx, "logs", "talker")
				return strings.Count(out, "\n") == 100, out, err
			})
			if err != nil {
				return err
			}
			out, err := e.Kubectl(ctx, "logs", "talker", "--tail=2")
			if err != nil {
				return err
			}
			if out != "line 99\nline 100\n" {
				return fmt.Errorf("the last two lines are %q", out)
			}
			if out, err = e.Kubectl(ctx, "logs", "talker", "--tail=1", "--timestamps"); err != nil {
				return err
			}
			if !strings.HasSuffix(out, "Z line 100\n") {
				return fmt.Errorf("with --timestamps the last line is %q", out)
			}
			if out, err = e.KubectlIn(ctx, "pushed through\n", "exec", "-i", "talker", "--", "cat"); err != nil || out != "pushed through\n" {
				return fmt.Errorf("exec -i cat gave %q, %v", out, err)
			}
			_, err = e.Kubectl(ctx, "exec", "talker", "--", "sh", "-c", "exit 7")
			if err == nil || !strings.Contains(err.Error(), "exit status 7") {
				return fmt.Errorf("exec of exit 7 gave %v", err)
			}
			return nil
		},
	}
}
