// Package jsonread reads JSON in one pass, without reflection: in a guest that is
// five times cheaper than encoding/json in fuel, and a decision has a millisecond. It
// is as lax about what it skips as it may be, since the host wrote it, but never
// reads beyond its input.
package jsonread

import (
	"encoding/json"
	"fmt"
	"strconv"
)

// Reader is at one value of its input. After an error every method returns zero
// values, and Err says what was wrong first.
type Reader struct {
	in    []byte
	at    int
	depth int
	err   error
	// words are short strings seen before: records repeat theirs.
	words map[string]string
}

// mostDepth bounds nesting.
const mostDepth = 64

// New reads from in, which must not change meanwhile.
func New(in []byte) *Reader { return &Reader{in: in} }

// Err is the first error, or that something follows the value read.
func (r *Reader) Err() error {
	if r.err == nil && r.peek() != 0 {
		r.fail("the end")
	}
	return r.err
}

func (r *Reader) fail(want string) {
	if r.err == nil {
		r.err = fmt.Errorf("JSON at byte %d: want %s", r.at, want)
	}
	r.at = len(r.in)
}

// peek is the next byte that is no white space, 0 at the end.
func (r *Reader) peek() byte {
	for r.at < len(r.in) {
		switch c := r.in[r.at]; c {
		case ' ', '\n', '\t', '\r':
			r.at++
		default:
			return c
		}
	}
	return 0
}

func (r *Reader) take(c byte) bool {
	if r.peek() != c {
		return false
	}
	r.at++
	return true
}

// null takes a null; every value may be one, and reads as zero.
func (r *Reader) null() bool {
	if r.peek() == 'n' && len(r.in)-r.at >= 4 && string(r.in[r.at:r.at+4]) == "null" {
		r.at += 4
		return true
	}
	return false
}

// Object calls field for each field, with the reader at its value, which field
// must read or Skip.
func (r *Reader) Object(field func(name []byte)) {
	r.list('{', '}', "an object", func() {
		name := r.raw()
		if !r.take(':') {
			r.fail("a colon")
			return
		}
		field(name)
	})
}

// Array calls element for each element, with the reader at it.
func (r *Reader) Array(element func()) { r.list('[', ']', "an array", element) }

func (r *Reader) list(open, end byte, want string, each func()) {
	if r.null() {
		return
	}
	if !r.take(open) || r.depth == mostDepth {
		r.fail(want)
		return
	}
	if r.take(end) {
		return
	}
	r.depth++
	for r.err == nil {
		each()
		if r.take(',') {
			continue
		}
		if !r.take(end) {
			r.fail("a comma or the end of " + want)
		}
		break
	}
	r.depth--
}

// raw is a string's content as it stands.
func (r *Reader) raw() []byte {
	if !r.take('"') {
		r.fail("a string")
		return nil
	}
	start := r.at
	for r.at < len(r.in) {
		switch r.in[r.at] {
		case '"':
			r.at++
			return r.in[start : r.at-1]
		case '\\':
			r.at++
		}
		r.at++
	}
	r.at = len(r.in)
	r.fail("the end of a string")
	return nil
}

// String reads a string.
func (r *Reader) String() string {
	if r.null() {
		return ""
	}
	raw := r.raw()
	for _, c := range raw {
		if c == '\\' {
			var s string
			if err := json.Unmarshal([]byte(`"`+string(raw)+`"`), &s); err != nil {
				r.fail("a string")
			}
			return s
		}
	}
	return r.word(raw)
}

func (r *Reader) word(raw []byte) string {
	const longest, most = 16, 64
	if len(raw) > longest {
		return string(raw)
	}
	if s, ok := r.words[string(raw)]; ok {
		return s
	}
	if r.words == nil {
		r.words = map[string]string{}
	}
	s := string(raw)
	if len(r.words) < most {
		r.words[s] = s
	}
	return s
}

// Int64 reads a whole number.
func (r *Reader) Int64() int64 {
	if r.null() {
		return 0
	}
	negative := r.take('-')
	start, n := r.at, uint64(0)
	for r.at < len(r.in) && r.in[r.at] >= '0' && r.in[r.at] <= '9' && r.at-start < 19 {
		n = n*10 + uint64(r.in[r.at]-'0')
		r.at++
	}
	switch {
	case r.at == start || n > 1<<63-1:
		r.fail("a whole number")
		return 0
	case negative:
		return -int64(n)
	}
	return int64(n)
}

// Int32 reads a whole number of 32 bits.
func (r *Reader) Int32() int32 {
	n := r.Int64()
	if int64(int32(n)) != n {
		r.fail("a number of 32 bits")
		return 0
	}
	return int32(n)
}

// Float64 reads a number.
func (r *Reader) Float64() float64 {
	if r.null() {
		return 0
	}
	r.peek()
	start := r.at
	for r.at < len(r.in) && (r.in[r.at] >= '0' && r.in[r.at] <= '9' || isSign(r.in[r.at])) {
		r.at++
	}
	f, err := strconv.ParseFloat(string(r.in[start:r.at]), 64)
	if err != nil {
		r.fail("a number")
	}
	return f
}

func isSign(c byte) bool { return c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E' }

// Bool reads true or false.
func (r *Reader) Bool() bool {
	if r.null() {
		return false
	}
	for _, word := range []string{"true", "false"} {
		if r.peek() == word[0] && len(r.in)-r.at >= len(word) && string(r.in[r.at:r.at+len(word)]) == word {
			r.at += len(word)
			return word == "true"
		}
	}
	r.fail("true or false")
	return false
}

// Raw returns the value as it stands, sharing the input.
func (r *Reader) Raw() json.RawMessage {
	r.peek()
	start := r.at
	r.Skip()
	if r.err != nil {
		return nil
	}
	return r.in[start:r.at:r.at]
}

// Skip passes over the value.
func (r *Reader) Skip() {
	switch c := r.peek(); {
	case c == '{':
		r.Object(func([]byte) { r.Skip() })
	case c == '[':
		r.Array(r.Skip)
	case c == '"':
		r.raw()
	case c == 't' || c == 'f':
		r.Bool()
	case c == 'n' && r.null():
	default:
		r.Float64()
	}
}

// Optional reads a value that may be null into a pointer.
func Optional[T any](r *Reader, read func() T) *T {
	if r.null() {
		return nil
	}
	v := read()
	return &v
}

// Slice reads an array with one function for its elements.
func Slice[T any](r *Reader, read func() T) []T {
	var out []T
	r.Array(func() { out = append(out, read()) })
	return out
}
