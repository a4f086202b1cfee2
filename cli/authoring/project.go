package authoring

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/pintle-io/pintle/wasm"
)

//go:embed templates
var templates embed.FS

// kinds are what `strategy new` makes, and the type of the Strategy each becomes.
var kinds = map[string]string{"scheduler": "Scheduling", "autoscaler": "Autoscaling", "rollout": "Rollout"}

// Kinds are the names of what Create makes.
func Kinds() []string { return []string{"scheduler", "autoscaler", "rollout"} }

// manifestFile says what a directory holds.
const manifestFile = "strategy.yaml"

// Project is a directory with the source of a strategy.
type Project struct {
	Dir string `json:"-"`
	// Name of the strategy, and of its module's file.
	Name string `json:"name"`
	// Type is Scheduling, Autoscaling or Rollout.
	Type string `json:"type"`
}

// Module is the file that Build makes.
func (p *Project) Module() string { return filepath.Join(p.Dir, p.Name+".wasm") }

var validName = regexp.MustCompile(`^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$`)

// Create begins a strategy in dir, which must not exist.
func Create(dir, kind, name string) (*Project, error) {
	if _, ok := kinds[kind]; !ok {
		return nil, fmt.Errorf("there is no kind of strategy %q; it is one of %s", kind, strings.Join(Kinds(), ", "))
	}
	if !validName.MatchString(name) {
		return nil, fmt.Errorf("the name %q must begin with a letter and have only lower-case letters, digits and dashes, 63 at most", name)
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, fmt.Errorf("begin the strategy %s: %w", name, err)
	}
	source, err := fs.Sub(templates, "templates/"+kind)
	if err != nil {
		return nil, err
	}
	fill := strings.NewReplacer("NAME", name, "TYPE", kinds[kind])
	if err := copyFiles(source, dir, func(path string, raw []byte) (string, []byte) {
		return strings.TrimSuffix(path, ".tmpl"), []byte(fill.Replace(string(raw)))
	}); err != nil {
		return nil, err
	}
	sdk := func(path string, raw []byte) (string, []byte) {
		if strings.HasSuffix(path, "_test.go") {
			return "", nil
		}
		return path, raw
	}
	if err := copyFiles(wasm.Source, filepath.Join(dir, "sdk", "wasm"), sdk); err != nil {
		return nil, err
	}
	for file, text := range map[string]string{
		"sdk/go.mod": "module github.com/pintle-io/pintle\n\ngo 1.26\n",
		"go.mod":     "module " + name + "\n\ngo 1.26\n\nrequire github.com/pintle-io/pintle v0.0.0\n\n// The SDK of the pintle that wrote this.\nreplace github.com/pintle-io/pintle => ./sdk\n",
		".gitignore": "*.wasm\n",
		manifestFile: "name: " + name + "\ntype: " + kinds[kind] + "\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, filepath.FromSlash(file)), []byte(text), 0o644); err != nil {
			return nil, err
		}
	}
	return Open(dir)
}

// copyFiles writes a tree below dir; place says where each file goes and what is in
// it, or "" to leave it out.
func copyFiles(from fs.FS, dir string, place func(path string, raw []byte) (string, []byte)) error {
	return fs.WalkDir(from, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		raw, err := fs.ReadFile(from, path)
		if err != nil {
			return err
		}
		to, raw := place(path, raw)
		if to == "" {
			return nil
		}
		file := filepath.Join(dir, filepath.FromSlash(to))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		return os.WriteFile(file, raw, 0o644)
	})
}

// Open reads what is in a directory that Create made.
func Open(dir string) (*Project, error) {
	raw, err := os.ReadFile(filepath.Join(dir, manifestFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s has no %s: name a directory that `pintle strategy new` made", dir, manifestFile)
	}
	if err != nil {
		return nil, err
	}
	p := &Project{Dir: dir}
	if err := yaml.UnmarshalStrict(raw, p); err != nil {
		return nil, fmt.Errorf("read %s: %w", filepath.Join(dir, manifestFile), err)
	}
	if types := []string{"Scheduling", "Autoscaling", "Rollout"}; !slices.Contains(types, p.Type) {
		return nil, fmt.Errorf("%s: type: %q is not one of %s", filepath.Join(dir, manifestFile), p.Type, strings.Join(types, ", "))
	}
	if !validName.MatchString(p.Name) {
		return nil, fmt.Errorf("%s: name: %q is none", filepath.Join(dir, manifestFile), p.Name)
	}
	return p, nil
}
