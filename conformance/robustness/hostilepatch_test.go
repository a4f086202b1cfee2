package robustness

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	jsonPatch      = "application/json-patch+json"
	mergePatch     = "application/merge-patch+json"
	strategicPatch = "application/strategic-merge-patch+json"
	applyPatch     = "application/apply-patch+yaml"
	applyCBOR      = "application/apply-patch+cbor"
	targetPath     = mapsPath + "/target"
	applyPath      = targetPath + "?fieldManager=hostile"
)

// doubling copies an object into itself, so that every copy doubles it.
func doubling(n int) string {
	ops := []string{`{"op":"add","path":"/data","value":{"a":"` + strings.Repeat("x", 1000) + `"}}`}
	for i := range n {
		ops = append(ops, fmt.Sprintf(`{"op":"copy","from":"/data","path":"/data/k%d"}`, i))
	}
	return "[" + strings.Join(ops, ",") + "]"
}

// hostilePatches must be refused. The codes are those of upstream's server, which
// takes some of them for its own fault.
var hostilePatches = map[string]struct {
	path, contentType string
	body              func() string
	code              int
	says              []string
}{
	"JSON patch of 10,001 operations": {contentType: jsonPatch, body: func() string { return "[" + many(`{"op":"test","path":"/data/k%d","value":"v"}`, 10_001) + "]" },
		code: 413, says: []string{"10000", "10001"}},
	"JSON patch that doubles":            {contentType: jsonPatch, body: func() string { return doubling(40) }, code: 422},
	"JSON patch cut off":                 {contentType: jsonPatch, body: func() string { return `[{"op":"add","path":"/data/a","value":` }, code: 400},
	"JSON patch of no list":              {contentType: jsonPatch, body: func() string { return `{"op":"add"}` }, code: 400},
	"JSON patch of an unknown operation": {contentType: jsonPatch, body: func() string { return `[{"op":"explode","path":"/data/a"}]` }, code: 422},
	"JSON patch with a deep pointer":     {contentType: jsonPatch, body: func() string { return `[{"op":"remove","path":"` + strings.Repeat("/a", 1<<20) + `"}]` }, code: 422},
	"JSON patch with a deep value": {contentType: jsonPatch, body: func() string {
		return `[{"op":"add","path":"/data/a","value":` + nested("[", "", "]", limit/3) + `}]`
	}, code: 400},
	"JSON patch over the limit":     {contentType: jsonPatch, body: func() string { return `[{"op":"` + strings.Repeat("x", limit) + `"}]` }, code: 413},
	"JSON patch of far index":       {contentType: jsonPatch, body: func() string { return `[{"op":"add","path":"/metadata/finalizers/2147483647","value":"a/b"}]` }, code: 422},
	"merge patch of a list":         {contentType: mergePatch, body: func() string { return `[1]` }, code: 400},
	"merge patch cut off":           {contentType: mergePatch, body: func() string { return `{"data":{` }, code: 400},
	"merge patch, deep":             {contentType: mergePatch, body: func() string { return nested(`{"data":`, "1", "}", limit/10) }, code: 400},
	"merge patch with 5,000 labels": {contentType: mergePatch, body: func() string { return `{"metadata":{"labels":{` + many(`"k%d":"v"`, 5000) + `}}}` }, code: 422, says: []string{"labels", "4096"}},
	"strategic patch, bad directive": {contentType: strategicPatch, body: func() string { return `{"metadata":{"$patch":"explode"}}` },
		code: 500},
	"strategic patch, deep":          {contentType: strategicPatch, body: func() string { return nested(`{"data":`, "1", "}", limit/10) }, code: 400},
	"strategic patch, bad order":     {contentType: strategicPatch, body: func() string { return `{"metadata":{"$setElementOrder/ownerReferences":5}}` }, code: 500},
	"strategic patch of a list":      {contentType: strategicPatch, body: func() string { return `[]` }, code: 400},
	"apply of nonsense":              {path: applyPath, contentType: applyPatch, body: func() string { return "a: b: c: [" }, code: 400},
	"apply of a scalar":              {path: applyPath, contentType: applyPatch, body: func() string { return "hello" }, code: 400},
	"apply without a manager":        {path: targetPath, contentType: applyPatch, body: func() string { return strings.Replace(yamlMap, "hostile", "target", 1) }, code: 422},
	"apply with a long manager":      {path: targetPath + "?fieldManager=" + strings.Repeat("x", 100_000), contentType: applyPatch, body: func() string { return yamlMap }, code: 422},
	"apply of aliases of aliases":    {path: applyPath, contentType: applyPatch, body: func() string { return yamlMap + laughs(12) }, code: 400, says: []string{"alias"}},
	"apply of aliases of a text":     {path: applyPath, contentType: applyPatch, body: func() string { return yamlMap + echoes(limit/2, limit/8) }, code: 400, says: []string{"alias"}},
	"apply, deep":                    {path: applyPath, contentType: applyPatch, body: func() string { return yamlMap + "data: " + nested("{a: ", "", "}", limit/10) }, code: 400},
	"apply of the wrong type":        {path: applyPath, contentType: applyPatch, body: func() string { return "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: target}\ndata: [1, 2]\n" }, code: 500},
	"apply in CBOR":                  {path: applyPath, contentType: applyCBOR, body: func() string { return strings.Repeat("\x9f", 1000) }, code: 415},
	"a patch of an unknown type":     {contentType: "application/magic-patch", body: func() string { return "{}" }, code: 415},
	"a patch that is too many bytes": {contentType: mergePatch, body: func() string { return `{"data":{"a":"` + strings.Repeat("x", limit) + `"}}` }, code: 413, says: []string{"limit is 3145728"}},
}

// Whatever a patch is, the answer is a Status, the object stays as it was, and
// nobody else notices.
func TestHostilePatches(t *testing.T) {
	s := besiege(t)
	maps := s.kube.CoreV1().ConfigMaps(metav1.NamespaceDefault)
	before, err := maps.Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "target"}, Data: map[string]string{"k0": "v"}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range hostilePatches {
		t.Run(name, func(t *testing.T) {
			path := test.path
			if path == "" {
				path = targetPath
			}
			body := []byte(test.body())
			s.under(t, usual, func(t *testing.T) {
				a, err := s.send(t.Context(), call{method: http.MethodPatch, path: path, contentType: test.contentType, body: body})
				if err != nil {
					t.Fatal(err)
				}
				a.refused(t, test.code, test.says...)
			})
		})
	}
	after, err := maps.Get(t.Context(), "target", metav1.GetOptions{})
	if err != nil || after.ResourceVersion != before.ResourceVersion {
		t.Errorf("the object is at %v, it was at %s (%v)", after.ResourceVersion, before.ResourceVersion, err)
	}
}
