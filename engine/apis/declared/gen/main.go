//go:build gen

// Command gen runs the published validation-gen over the packages beside it. It
// works in a scratch module with a writable copy of apimachinery, because the
// generator insists on writing the checks of meta/v1, too, whose home is there.
package main

import (
	"bytes"
	"fmt"
	"go/format"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

const (
	packages = "engine/apis/declared"
	output   = "zz_generated.validations.go"
	// registers is what the generator adds to run at start; a scheme is given the
	// checks by a visible call instead.
	registers = "func init() { localSchemeBuilder.Register(RegisterValidations) }\n"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "generate declared validation:", err)
		os.Exit(1)
	}
}

func run() error {
	scratch, err := os.MkdirTemp("", "declared")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	module := filepath.Join(scratch, "module")
	if err := prepare(scratch, module); err != nil {
		return err
	}
	tool := filepath.Join(scratch, "validation-gen")
	if _, err := command(".", "go", "build", "-o", tool, "k8s.io/code-generator/cmd/validation-gen"); err != nil {
		return err
	}
	args := []string{"--go-header-file", os.DevNull, "--output-file", output}
	for _, known := range []string{"api/resource", "runtime", "types", "util/intstr"} {
		args = append(args, "--readonly-pkg", "k8s.io/apimachinery/pkg/"+known)
	}
	for _, known := range []string{"time", "k8s.io/api/scheduling/v1alpha3"} {
		args = append(args, "--readonly-pkg", known)
	}
	args = append(args, "k8s.io/apimachinery/pkg/apis/meta/v1/validation", "./"+packages+"/...")
	if _, err := command(module, tool, args...); err != nil {
		return err
	}
	made, err := filepath.Glob(filepath.Join(module, packages, "*", output))
	if err != nil {
		return err
	}
	for _, file := range made {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(module, file)
		if err != nil {
			return err
		}
		if text, err = format.Source(bytes.Replace(text, []byte(registers), nil, 1)); err != nil {
			return err
		}
		if err := os.WriteFile(name, text, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// prepare makes the scratch module: our go.mod, our packages without what was
// generated before, and apimachinery replaced by a copy.
func prepare(scratch, module string) error {
	dir, err := command(".", "go", "list", "-m", "-f", "{{.Dir}}", "k8s.io/apimachinery")
	if err != nil {
		return err
	}
	machinery := filepath.Join(scratch, "apimachinery")
	if err := copyTree(strings.TrimSpace(dir), machinery, ""); err != nil {
		return err
	}
	if err := copyTree(packages, filepath.Join(module, packages), output); err != nil {
		return err
	}
	for _, name := range []string{"go.mod", "go.sum"} {
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(module, name), text, 0o644); err != nil {
			return err
		}
	}
	_, err = command(module, "go", "mod", "edit", "-replace", "k8s.io/apimachinery="+machinery)
	return err
}

func copyTree(from, to, except string) error {
	return filepath.WalkDir(from, func(path string, entry os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, rel)
		if entry.IsDir() {
			return os.MkdirAll(target, 0o755)
		}
		if entry.Name() == except {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(target, text, 0o644)
	})
}

func command(dir, name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s: %w\n%s", filepath.Base(name), err, out)
	}
	return string(out), nil
}
