package policies

import (
	"context"
	"io/fs"
	"path"
	"strings"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/tester"
)

// TestLibraryRego runs the *_test.rego beside each rule.
func TestLibraryRego(t *testing.T) {
	modules := map[string]*ast.Module{}
	err := fs.WalkDir(libraryFiles, "library", func(file string, _ fs.DirEntry, err error) error {
		if err != nil || path.Ext(file) != ".rego" {
			return err
		}
		data, err := libraryFiles.ReadFile(file)
		if err != nil {
			return err
		}
		modules[file], err = ast.ParseModuleWithOpts(file, string(data), ast.ParserOptions{RegoVersion: ast.RegoV1})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	results, err := tester.NewRunner().SetDefaultRegoVersion(ast.RegoV1).SetModules(modules).Run(context.Background(), modules)
	if err != nil {
		t.Fatal(err)
	}
	tested := map[string]bool{}
	for result := range results {
		tested[strings.TrimSuffix(strings.TrimPrefix(result.Package, "data."), "_test")] = true
		if !result.Pass() {
			t.Errorf("%s %s: %s %v", result.Location, result.Name, result.Package, result.Error)
		}
	}
	library, err := Library()
	if err != nil {
		t.Fatal(err)
	}
	if len(library) < 3 {
		t.Errorf("the library has %d templates", len(library))
	}
	for _, template := range library {
		if !tested[template.GetName()] {
			t.Errorf("%s has no tests", template.GetName())
		}
		if err := CheckTemplate(context.Background(), template); err != nil {
			t.Errorf("%s: %v", template.GetName(), err)
		}
	}
}
