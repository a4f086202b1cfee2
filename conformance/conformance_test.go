// Package conformance runs the cases against the built binary.
package conformance

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/pintle-io/pintle/conformance/cases"
	"github.com/pintle-io/pintle/conformance/fixtures"
	"github.com/pintle-io/pintle/conformance/harness"
	"github.com/pintle-io/pintle/conformance/suite"
)

func TestCases(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("running containers needs root")
	}
	ctx := t.Context()
	binary, err := harness.Binary()
	if err != nil {
		t.Fatal(err)
	}
	kubectl, err := harness.Kubectl(ctx, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	release, err := harness.LockNodes(ctx, binary)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(release)
	cluster, err := harness.NewCluster(binary, t.TempDir(), "up", "--dual-stack")
	if err != nil {
		t.Fatal(err)
	}
	took, err := cluster.Start(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("ready after %s", took)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := cluster.Down(ctx); err != nil {
			t.Error(err)
		}
	})
	archive := filepath.Join(t.TempDir(), "busybox.tar")
	if err := fixtures.WriteBusybox(archive); err != nil {
		t.Fatal(err)
	}
	if out, err := cluster.Pintle(ctx, "image", "import", "--data", cluster.DataDir, archive); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	runner, err := suite.NewRunner(suite.Options{
		Kubeconfig: cluster.Kubeconfig, Kubectl: kubectl, Image: fixtures.BusyboxImage,
		Features: []suite.Feature{suite.Containers, suite.Decisions, suite.Policies, suite.Ingress, suite.DualStack},
	})
	if err != nil {
		t.Fatal(err)
	}
	report := runner.Run(ctx, cases.All())
	writeReport(t, report)
	for _, r := range report.Results {
		t.Run(r.Name, func(t *testing.T) {
			switch r.State {
			case suite.Failed:
				t.Errorf("%s\n%s\n%s", r.Promise, r.Message, r.Log)
			case suite.Skipped:
				t.Skip(r.Message)
			}
		})
	}
}

// writeReport leaves the reports in the directory that $CONFORMANCE_REPORT names.
func writeReport(t *testing.T, report *suite.Report) {
	t.Helper()
	if err := report.WriteTable(t.Output()); err != nil {
		t.Error(err)
	}
	dir := os.Getenv("CONFORMANCE_REPORT")
	if dir == "" {
		return
	}
	f, err := os.Create(filepath.Join(dir, "report.json"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := report.WriteJSON(f); err != nil {
		t.Error(err)
	}
}
