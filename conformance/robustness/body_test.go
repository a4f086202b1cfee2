package robustness

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

const (
	mapsPath  = "/api/v1/namespaces/default/configmaps"
	podsPath  = "/api/v1/namespaces/default/pods"
	asJSON    = "application/json"
	asYAML    = "application/yaml"
	asProto   = "application/vnd.kubernetes.protobuf"
	asCBOR    = "application/cbor"
	jsonMap   = `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"hostile"%s},"data":%s}`
	yamlMap   = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: hostile}\n"
	bigNumber = `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"hostile"},"spec":{"containers":[{"name":"c","image":"i","resources":{"requests":{"memory":%q}}}]}}`
)

func jsonMapOf(meta, data string) []byte { return fmt.Appendf(nil, jsonMap, meta, data) }

// hostileBodies are creations that must be refused.
var hostileBodies = map[string]struct {
	path, contentType string
	header            http.Header
	body              func() []byte
	code              int
	says              []string
}{
	"YAML aliases of aliases": {path: mapsPath, contentType: asYAML, body: func() []byte { return []byte(yamlMap + laughs(12)) }, code: 400, says: []string{"alias"}},
	"YAML aliases of a long text": {path: mapsPath, contentType: asYAML, body: func() []byte { return []byte(yamlMap + echoes(limit/2, limit/8)) },
		code: 400, says: []string{"alias"}},
	"YAML merges of merges":      {path: mapsPath, contentType: asYAML, body: func() []byte { return []byte(yamlMap + merges(12)) }, code: 400, says: []string{"alias"}},
	"YAML deep in brackets":      {path: mapsPath, contentType: asYAML, body: func() []byte { return []byte(yamlMap + "data: " + nested("[", "", "]", limit/3)) }, code: 400},
	"YAML deep in dashes":        {path: mapsPath, contentType: asYAML, body: func() []byte { return []byte(yamlMap + "data:\n " + strings.Repeat("- ", limit/3)) }, code: 400},
	"YAML deep in keys":          {path: mapsPath, contentType: asYAML, body: func() []byte { return []byte(yamlMap + "data:\n " + strings.Repeat("? ", limit/3)) }, code: 400},
	"YAML that refers to itself": {path: mapsPath, contentType: asYAML, body: func() []byte { return []byte(yamlMap + "data: &a {b: *a}\n") }, code: 400},
	"JSON deep in brackets":      {path: mapsPath, contentType: asJSON, body: func() []byte { return jsonMapOf("", nested("[", "", "]", limit/3)) }, code: 400},
	"JSON deep in unknown fields": {path: mapsPath, contentType: asJSON, body: func() []byte {
		return jsonMapOf("", nested(`{"a":`, "1", "}", 400_000))
	}, code: 400},
	"body over the limit": {path: mapsPath, contentType: asJSON, body: func() []byte {
		return jsonMapOf("", `{"k":"`+strings.Repeat("x", limit)+`"}`)
	}, code: 413, says: []string{"limit is 3145728"}},
	"body far over the limit": {path: mapsPath, contentType: asJSON, body: func() []byte {
		return jsonMapOf("", `{"k":"`+strings.Repeat("x", 16*limit)+`"}`)
	}, code: 413, says: []string{"limit is 3145728"}},
	"data over the limit": {path: mapsPath, contentType: asJSON, body: func() []byte {
		return jsonMapOf("", `{"k":"`+strings.Repeat("x", limit-1000)+`"}`)
	}, code: 422, says: []string{"Too long"}},
	"annotations over the limit": {path: mapsPath, contentType: asJSON, body: func() []byte {
		return jsonMapOf(`,"annotations":{"a":"`+strings.Repeat("x", 256<<10)+`"}`, "{}")
	}, code: 422, says: []string{"annotations", "Too long"}},
	"a label of a megabyte": {path: mapsPath, contentType: asJSON, body: func() []byte {
		return jsonMapOf(`,"labels":{"a":"`+strings.Repeat("x", 1<<20)+`"}`, "{}")
	}, code: 422, says: []string{"labels"}},
	"100,000 bad labels": {path: mapsPath, contentType: asJSON, body: func() []byte {
		return jsonMapOf(`,"labels":{`+many(`"%d/x/y":"*"`, 100_000)+`}`, "{}")
	}, code: 422, says: []string{"labels"}},
	"100,000 owners": {path: mapsPath, contentType: asJSON, body: func() []byte {
		return jsonMapOf(`,"ownerReferences":[`+many(`{"name":"%d"}`, 100_000)+`]`, "{}")
	}, code: 422, says: []string{"ownerReferences"}},
	"a name of a megabyte": {path: mapsPath, contentType: asJSON, body: func() []byte {
		return fmt.Appendf(nil, `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":%q}}`, strings.Repeat("x", 1<<20))
	}, code: 422, says: []string{"metadata.name"}},
	"a huge exponent": {path: podsPath, contentType: asJSON, body: func() []byte { return fmt.Appendf(nil, bigNumber, "1e2147483647") }, code: 400},
	"a tiny exponent": {path: podsPath, contentType: asJSON, body: func() []byte { return fmt.Appendf(nil, bigNumber, "1e-2147483648") }, code: 400},
	"a million digits": {path: podsPath, contentType: asJSON, body: func() []byte {
		return fmt.Appendf(nil, bigNumber, strings.Repeat("9", 1<<20))
	}, code: 400},
	"gzip": {path: mapsPath, contentType: asJSON, header: http.Header{"Content-Encoding": {"gzip"}},
		body: func() []byte { return zipped(1 << 30) }, code: 400},
	"protobuf cut off": {path: mapsPath, contentType: asProto, body: func() []byte {
		return protobuf("v1", "ConfigMap", []byte("\x0a\xff\x01short"))
	}, code: 400},
	"protobuf with a length of 2^31": {path: mapsPath, contentType: asProto, body: func() []byte {
		return protobuf("v1", "ConfigMap", []byte("\x0a\xff\xff\xff\xff\x07x"))
	}, code: 400},
	"protobuf with a length of 2^63": {path: mapsPath, contentType: asProto, body: func() []byte {
		return protobuf("v1", "ConfigMap", []byte("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01x"))
	}, code: 400},
	"protobuf groups in groups": {path: mapsPath, contentType: asProto, body: func() []byte {
		return protobuf("v1", "ConfigMap", []byte(strings.Repeat("\x7b", limit-100)))
	}, code: 400},
	"protobuf without its prefix": {path: mapsPath, contentType: asProto, body: func() []byte { return []byte("\x0a\x00") }, code: 400},
	"CBOR":                        {path: mapsPath, contentType: asCBOR, body: func() []byte { return []byte(strings.Repeat("\x9f", 1<<20)) }, code: 415},
	"an unknown type":             {path: mapsPath, contentType: "application/" + strings.Repeat("x", 100_000), body: func() []byte { return []byte("{}") }, code: 415},
	"noise":                       {path: mapsPath, contentType: asJSON, body: func() []byte { return []byte("\x00\xff\xfe{{{") }, code: 400},
	"an empty body":               {path: mapsPath, contentType: asJSON, body: func() []byte { return nil }, code: 400},
}

func many(format string, n int) string {
	parts := make([]string, n)
	for i := range parts {
		parts[i] = fmt.Sprintf(format, i)
	}
	return strings.Join(parts, ",")
}

// Whatever a body is, the answer is a Status, and nobody else notices.
func TestHostileBodies(t *testing.T) {
	s := besiege(t)
	for name, test := range hostileBodies {
		t.Run(name, func(t *testing.T) {
			body := test.body()
			s.under(t, usual, func(t *testing.T) {
				a, err := s.send(t.Context(), call{http.MethodPost, test.path, test.contentType, test.header, body})
				if err != nil {
					t.Fatal(err)
				}
				a.refused(t, test.code, test.says...)
				t.Logf("%d %s: %.150s (%d bytes)", a.code, a.status.Reason, a.status.Message, a.length)
			})
		})
	}
}
