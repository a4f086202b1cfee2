package robustness

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"strings"
)

// limit is the most that a request body may have.
const limit = 3 << 20

// laughs is a YAML document in which every alias stands for ten of the one before.
func laughs(levels int) string {
	var b strings.Builder
	b.WriteString("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n")
	for i := 1; i <= levels; i++ {
		alias := fmt.Sprintf("*a%d", i-1)
		fmt.Fprintf(&b, "a%d: &a%d [%s]\n", i, i, strings.Join(repeated(alias, 10), ","))
	}
	return b.String()
}

// echoes is a YAML document in which one long text is used many times. It has few
// nodes, and is a thousand times its size in JSON.
func echoes(text, times int) string {
	return "a: &a " + strings.Repeat("x", text) + "\nb: [" + strings.Join(repeated("*a", times), ",") + "]\n"
}

// merges is a YAML document of merge keys over merge keys.
func merges(levels int) string {
	var b strings.Builder
	b.WriteString("m0: &m0 {k0: v}\n")
	for i := 1; i <= levels; i++ {
		fmt.Fprintf(&b, "m%d: &m%d {<<: [%s], k%d: v}\n", i, i, strings.Join(repeated(fmt.Sprintf("*m%d", i-1), 10), ","), i)
	}
	return b.String()
}

func repeated(s string, n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = s
	}
	return out
}

// nested puts inner into n pairs of open and closing text.
func nested(open, inner, closing string, n int) string {
	return strings.Repeat(open, n) + inner + strings.Repeat(closing, n)
}

// zipped is n zero bytes, a thousand times smaller.
func zipped(n int) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	zeros := make([]byte, 1<<20)
	for ; n > 0; n -= len(zeros) {
		_, _ = w.Write(zeros)
	}
	_ = w.Close()
	return b.Bytes()
}

// protobuf is the envelope of stored and sent objects around raw.
func protobuf(apiVersion, kind string, raw []byte) []byte {
	field := func(n byte, b []byte) []byte { return append(append([]byte{n<<3 | 2}, varint(len(b))...), b...) }
	typeMeta := append(field(1, []byte(apiVersion)), field(2, []byte(kind))...)
	return append([]byte("k8s\x00"), append(field(1, typeMeta), field(2, raw)...)...)
}

func varint(n int) []byte {
	var out []byte
	for ; n >= 0x80; n >>= 7 {
		out = append(out, byte(n)|0x80)
	}
	return append(out, byte(n))
}
