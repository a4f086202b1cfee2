package jsonread

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// tree reads any value the slow way, through the reader.
func tree(r *Reader) any {
	switch r.peek() {
	case '{':
		out := map[string]any{}
		r.Object(func(name []byte) {
			out[string(name)] = tree(r)
		})
		return out
	case '[':
		out := []any{}
		r.Array(func() { out = append(out, tree(r)) })
		return out
	case '"':
		return r.String()
	case 't', 'f':
		return r.Bool()
	case 'n':
		r.Skip()
		return nil
	}
	return r.Float64()
}

func TestReadsWhatEncodingJSONReads(t *testing.T) {
	for _, in := range []string{
		`{}`, `[]`, `null`, `{"a":1,"b":[true,false,null,"x\n\"é"],"c":{"d":-1.5e3}}`, ` [ 1 , 2 ] `, `"plain"`, `0`,
	} {
		var want any
		if err := json.Unmarshal([]byte(in), &want); err != nil {
			t.Fatal(err)
		}
		r := New([]byte(in))
		got := tree(r)
		if err := r.Err(); err != nil {
			t.Errorf("%s: %v", in, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: want - got +\n%s", in, diff)
		}
	}
}

func TestRefusesWhatIsCut(t *testing.T) {
	whole := `{"a":[1,{"b":"c\"d"},true,null,-2.5]}`
	for i := range len(whole) {
		r := New([]byte(whole[:i]))
		r.Skip()
		if r.Err() == nil {
			t.Errorf("%q was accepted", whole[:i])
		}
	}
	r := New([]byte(`1 2`))
	if r.Int64(); r.Err() == nil {
		t.Error("what follows the value was accepted")
	}
	for _, in := range []string{"9223372036854775808", "x", `"1"`} {
		r := New([]byte(in))
		if n := r.Int64(); r.Err() == nil {
			t.Errorf("%s reads as %d", in, n)
		}
	}
}

// FuzzSkip looks for inputs that are read beyond their end or for ever, and holds
// that all that encoding/json takes is taken.
func FuzzSkip(f *testing.F) {
	f.Add([]byte(`{"a":[1,"x",null,{"b":true}]}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		r := New(in)
		r.Skip()
		var v any
		if json.Unmarshal(in, &v) == nil && r.Err() != nil && !deep(v, mostDepth) {
			t.Fatalf("%q: %v", in, r.Err())
		}
	})
}

func deep(v any, left int) bool {
	if left == 0 {
		return true
	}
	switch v := v.(type) {
	case map[string]any:
		for _, e := range v {
			if deep(e, left-1) {
				return true
			}
		}
	case []any:
		for _, e := range v {
			if deep(e, left-1) {
				return true
			}
		}
	case float64:
	}
	return false
}
