// Package arch holds the house rules that a machine can check: who may import
// whom, and that every package says what it owns. A failure names the fix.
package arch

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"strings"
	"testing"
)

const module = "github.com/pintle-io/pintle/"

// pkg is one directory of Go files: its imports, and its package comment.
type pkg struct {
	dir     string
	imports map[string]string // import path to the file that has it, tests left out
	doc     string
	main    bool
}

// load parses the imports of every package of the module.
func load(t *testing.T) []*pkg {
	t.Helper()
	root := filepath.Join("..", "..")
	byDir := map[string]*pkg{}
	var order []*pkg
	err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name := d.Name(); d.IsDir() && (strings.HasPrefix(name, ".") && name != ".." || name == "testdata" || name == "bin" || name == "definitions" || name == "internal_warm") {
			return fs.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly|parser.ParseComments)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, filepath.Dir(file))
		if err != nil {
			return err
		}
		dir := filepath.ToSlash(rel)
		p := byDir[dir]
		if p == nil {
			p = &pkg{dir: dir, imports: map[string]string{}}
			byDir[dir] = p
			order = append(order, p)
		}
		p.main = p.main || f.Name.Name == "main"
		if f.Doc != nil {
			p.doc += f.Doc.Text()
		}
		for _, imp := range f.Imports {
			p.imports[strings.Trim(imp.Path.Value, `"`)] = filepath.ToSlash(file)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(order) < 20 {
		t.Fatalf("found only %d packages below %s; the test looks in the wrong place", len(order), root)
	}
	return order
}

// rules: packages below from may not import anything below to, except the
// packages listed.
var rules = []struct {
	from, to string
	except   []string
	fix      string
}{
	{from: "store/kv", to: module, fix: "kv is the bottom: move what it needs into it or pass it in"},
	{from: "store/kv", to: "k8s.io/", fix: "kv knows bytes and revisions only; Kubernetes types belong to package store"},
	{from: "store", to: module + "engine", fix: "the store knows nothing of what is stored: pass it in through store.ResourceConfig"},
	{from: "wasm/abi", to: module, fix: "the contract with guests stands alone"},
	{from: "engine", to: module + "store", except: []string{"engine/registry", "engine/client", "engine/apiserver/openapi/gen"}, fix: "only engine/registry writes to the store; declare a small interface and let cli/app wire it"},
	{from: "engine", to: module + "wasm", except: []string{"engine/scheduling", "engine/autoscaling", "engine/controllers/deployment"}, fix: "the engine declares the interface a strategy satisfies; cli/app wires the host"},
	{from: "engine", to: module + "runtime", fix: "the engine declares what it needs; cli/app wires the node agent"},
	{from: "engine", to: module + "policies", fix: "policies satisfy upstream's admission.Interface; cli/app wires them"},
	{from: "engine", to: module + "cli", fix: "nothing imports the command line"},
	{from: "engine/apis", to: module + "engine/registry", fix: "rules are values; the registry reads them"},
	{from: "engine/registry", to: module + "engine/apiserver", fix: "the API server sits on the registry, not beside it"},
	{from: "wasm", to: module + "engine", fix: "wasm satisfies small interfaces of the engine without importing it; cli/app adapts"},
	{from: "wasm", to: module + "runtime", fix: "wasm, policies and runtime never meet"},
	{from: "wasm", to: module + "policies", fix: "wasm, policies and runtime never meet"},
	{from: "policies", to: module + "wasm", fix: "wasm, policies and runtime never meet"},
	{from: "policies", to: module + "runtime", fix: "wasm, policies and runtime never meet"},
	{from: "policies", to: module + "engine", fix: "policies use upstream's interfaces; cli/app wires them"},
	{from: "runtime", to: module + "engine", fix: "the agent speaks to the server through client-go alone"},
	{from: "runtime", to: module + "store", fix: "the agent speaks to the server through client-go alone"},
	{from: "runtime", to: module + "policies", fix: "wasm, policies and runtime never meet"},
	{from: "conformance", to: module, fix: "conformance drives the built binary from outside"},
	{from: "", to: "k8s.io/kubernetes", fix: "k8s.io/kubernetes is not a library: implement it, or find the published staging package"},
	{from: "", to: "github.com/stretchr/testify", fix: "use the standard testing package and go-cmp"},
}

func TestImportDirection(t *testing.T) {
	for _, p := range load(t) {
		for imp, file := range p.imports {
			for _, r := range rules {
				if !below(p.dir, r.from) || !below(imp, strings.TrimSuffix(r.to, "/")) || allowed(p.dir, imp, r.from, r.except) {
					continue
				}
				t.Errorf("%s imports %s: %s", file, imp, r.fix)
			}
		}
	}
}

func below(p, dir string) bool {
	return dir == "" || p == dir || strings.HasPrefix(p, dir+"/")
}

// allowed: an exception of the importer, or an import inside the rule's own tree.
func allowed(dir, imp, from string, except []string) bool {
	for _, e := range except {
		if below(dir, e) {
			return true
		}
	}
	return from != "" && below(strings.TrimPrefix(imp, module), from) && strings.HasPrefix(imp, module)
}

func TestPackageDocs(t *testing.T) {
	for _, p := range load(t) {
		if p.dir == "." {
			continue
		}
		want := "Package " + path.Base(p.dir)
		if p.main {
			want = "Command "
		}
		if !strings.HasPrefix(p.doc, want) && !strings.Contains(p.doc, "\n"+want) {
			t.Errorf("%s has no package comment that begins with %q: say what the package owns, what it never does, and its concurrency rule", p.dir, want)
		}
	}
}
