package policies

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
)

//go:embed library
var libraryFiles embed.FS

// Library returns the templates that ship with the server. Each is a folder with
// the rule, its tests and the rest of the template.
func Library() ([]*unstructured.Unstructured, error) {
	folders, err := fs.ReadDir(libraryFiles, "library")
	if err != nil {
		return nil, err
	}
	var out []*unstructured.Unstructured
	for _, folder := range folders {
		template, err := libraryTemplate(path.Join("library", folder.Name()))
		if err != nil {
			return nil, fmt.Errorf("policy %s: %w", folder.Name(), err)
		}
		out = append(out, template)
	}
	return out, nil
}

func libraryTemplate(dir string) (*unstructured.Unstructured, error) {
	rule, err := libraryFiles.ReadFile(path.Join(dir, "policy.rego"))
	if err != nil {
		return nil, err
	}
	objects, err := readObjects(libraryFiles, path.Join(dir, "template.yaml"))
	if err != nil {
		return nil, err
	}
	if len(objects) != 1 {
		return nil, fmt.Errorf("template.yaml holds %d objects, want one", len(objects))
	}
	targets := []any{map[string]any{
		"target": targetName,
		"code": []any{map[string]any{
			"engine": "Rego",
			"source": map[string]any{"version": "v1", "rego": string(rule)},
		}},
	}}
	return objects[0], unstructured.SetNestedSlice(objects[0].Object, targets, "spec", "targets")
}

// Load puts the templates and constraints of a folder of YAML files in force,
// templates first: policies that hold before anybody can write to the API.
func (e *Engine) Load(ctx context.Context, dir fs.FS) error {
	files, err := fs.Glob(dir, "*.y*ml")
	if err != nil {
		return err
	}
	var rest []*unstructured.Unstructured
	for _, file := range files {
		objects, err := readObjects(dir, file)
		if err != nil {
			return fmt.Errorf("policies in %s: %w", file, err)
		}
		for _, obj := range objects {
			if obj.GroupVersionKind().Group != TemplateGroup {
				rest = append(rest, obj)
				continue
			}
			if _, err := e.SetTemplate(ctx, obj); err != nil {
				return fmt.Errorf("policies in %s: template %q: %w", file, obj.GetName(), err)
			}
		}
	}
	for _, obj := range rest {
		if obj.GroupVersionKind().Group != ConstraintGroup {
			return fmt.Errorf("policies: %s %q is neither a template nor a constraint", obj.GetKind(), obj.GetName())
		}
		if err := e.SetConstraint(ctx, obj); err != nil {
			return fmt.Errorf("policies: constraint %s %q: %w", obj.GetKind(), obj.GetName(), err)
		}
	}
	return nil
}

// readObjects reads the documents of one YAML file.
func readObjects(dir fs.FS, file string) ([]*unstructured.Unstructured, error) {
	data, err := fs.ReadFile(dir, file)
	if err != nil {
		return nil, err
	}
	decoder := utilyaml.NewYAMLOrJSONDecoder(strings.NewReader(string(data)), 4096)
	var out []*unstructured.Unstructured
	for {
		obj := &unstructured.Unstructured{}
		err := decoder.Decode(&obj.Object)
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		if len(obj.Object) > 0 {
			out = append(out, obj)
		}
	}
}
