package authoring

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
)

// Build compiles the module with the machine's Go.
func (p *Project) Build(ctx context.Context, out io.Writer) error {
	module, err := filepath.Abs(p.Module())
	if err != nil {
		return err
	}
	return p.goTool(ctx, out, []string{"GOOS=wasip1", "GOARCH=wasm"},
		"build", "-buildmode=c-shared", "-buildvcs=false", "-trimpath", "-ldflags=-s -w", "-o", module, ".")
}

// Test runs the strategy's own tests, natively.
func (p *Project) Test(ctx context.Context, out io.Writer) error {
	return p.goTool(ctx, out, nil, "test", "-vet=all", "./...")
}

// goTool runs go in the directory, by itself: no workspace or flags of the caller.
func (p *Project) goTool(ctx context.Context, out io.Writer, env []string, args ...string) error {
	tool, err := exec.LookPath("go")
	if err != nil {
		return fmt.Errorf("find Go 1.26 or later, which compiles strategies: %w", err)
	}
	cmd := exec.CommandContext(ctx, tool, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = p.Dir, out, out
	cmd.Env = append(append(os.Environ(), "GOWORK=off", "GOFLAGS="), env...)
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("go %s in %s: %w", args[0], p.Dir, err)
	}
	return nil
}
