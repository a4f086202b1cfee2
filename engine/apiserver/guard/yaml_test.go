package guard

import (
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

const small = 64 << 10

func TestYAML(t *testing.T) {
	for name, test := range map[string]struct {
		doc, says string
	}{
		"none":               {doc: "a: b\n"},
		"JSON with both":     {doc: `{"a": "&a", "b": "*a"}`},
		"an alias":           {doc: "a: &a {b: c}\nd: *a\ne: [*a, *a]\n"},
		"a merge":            {doc: "a: &a {b: c}\nd: {<<: *a, e: f}\n"},
		"an echo":            {doc: "a: &a " + strings.Repeat("x", small/8) + "\nb: [*a, *a, *a, *a, *a, *a, *a, *a]\n", says: "aliases are written out"},
		"echoes of echoes":   {doc: "a: &a [x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c]\ne: [*d,*d,*d,*d,*d,*d,*d,*d]\n", says: "aliases are written out"},
		"itself":             {doc: "a: &a [*a]\n", says: "itself"},
		"no such anchor":     {doc: "a: &b c\nb: *a\n", says: "unknown anchor"},
		"keys that are such": {doc: "a: &a " + strings.Repeat("x", small/2) + "\nb: {*a : *a}\n", says: "aliases are written out"},
	} {
		t.Run(name, func(t *testing.T) {
			err := YAML([]byte(test.doc), small)
			if (err == nil) != (test.says == "") || err != nil && !strings.Contains(err.Error(), test.says) {
				t.Errorf("%v, want %q", err, test.says)
			}
		})
	}
}

// What is let through is not much larger than the limit when it is decoded.
func FuzzYAML(f *testing.F) {
	for _, doc := range []string{
		"a: &a {b: c}\nd: *a\n", "a: &a xxxxxxxx\nb: [*a,*a]\n", "? &a [1]\n: *a\n", "&a a: *a\n", "a: &a {x: 1}\nb: {<<: [*a, *a], y: 2}\n",
		"a: &a !!binary aGVsbG8=\nb: *a\n", "a: &a 1e400\nb: [*a]\n", "- &a \"\\u2028\\0\"\n- *a\n",
	} {
		f.Add([]byte(doc))
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		const limit = 4096
		if len(doc) > limit || YAML(doc, limit) != nil {
			return
		}
		out, err := yaml.YAMLToJSON(doc)
		// A byte of YAML takes up to six in JSON.
		if err == nil && len(out) > 8*limit {
			t.Errorf("%d bytes became %d", len(doc), len(out))
		}
	})
}
