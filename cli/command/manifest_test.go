package command

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestManifestNames(t *testing.T) {
	got := manifestNames([]string{"apply", "-f", "a", "--filename=b,c", "-n", "x", "-f=-", "--filename", "d", "-f"})
	if diff := cmp.Diff([]string{"a", "b", "c", "-", "d"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestCheckManifests(t *testing.T) {
	bomb := "a: &a " + strings.Repeat("x", manifestLimit/2) + "\nb: [*a, *a, *a]\n"
	dir := t.TempDir()
	for name, content := range map[string]string{"good.yaml": "a: &a b\nc: *a\n", "later/bomb.yml": "a: b\n---\n" + bomb, "notes.txt": bomb} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for name, test := range map[string]struct {
		args    []string
		in      string
		refused string
	}{
		"a good file":     {args: []string{"-f", filepath.Join(dir, "good.yaml")}},
		"none":            {args: []string{"-f", filepath.Join(dir, "absent")}},
		"a directory":     {args: []string{"-R", "-f", dir}, refused: "bomb.yml"},
		"a named file":    {args: []string{"-f", filepath.Join(dir, "notes.txt")}, refused: "notes.txt"},
		"standard input":  {args: []string{"-f", "-"}, in: bomb, refused: "standard input"},
		"good input":      {args: []string{"-f", "-"}, in: "a: b\n"},
		"unrelated input": {in: bomb},
	} {
		t.Run(name, func(t *testing.T) {
			in, err := checkManifests(test.args, strings.NewReader(test.in))
			if (err != nil) != (test.refused != "") || err != nil && !strings.Contains(err.Error(), test.refused) {
				t.Fatalf("%v, want %q", err, test.refused)
			}
			if err != nil {
				return
			}
			if again, err := io.ReadAll(in); err != nil || string(again) != test.in {
				t.Errorf("%d bytes are left of the input, want %d (%v)", len(again), len(test.in), err)
			}
		})
	}
}
