package robustness

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

const (
	crdPath    = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
	policyPath = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies"
	widgetPath = "/apis/hostile.test/v1/namespaces/default/widgets"
)

// crd is a definition with a schema.
func crd(plural, schema string) []byte {
	return fmt.Appendf(nil, `{"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition","metadata":{"name":"%[1]s.hostile.test"},
"spec":{"group":"hostile.test","scope":"Namespaced","names":{"plural":"%[1]s","singular":"%[1]ssingle","kind":"Kind%[1]s","listKind":"Kind%[1]sList"},
"versions":[{"name":"v1","served":true,"storage":true,"schema":{"openAPIV3Schema":%[2]s}}]}}`, plural, schema)
}

func policy(expression string) []byte {
	return fmt.Appendf(nil, `{"apiVersion":"admissionregistration.k8s.io/v1","kind":"ValidatingAdmissionPolicy","metadata":{"name":"hostile"},
"spec":{"matchConstraints":{"resourceRules":[{"apiGroups":[""],"apiVersions":["v1"],"operations":["CREATE"],"resources":["configmaps"]}]},"validations":[{"expression":%q}]}}`, expression)
}

// hostileSchemas are definitions and policies that must be refused.
var hostileSchemas = map[string]struct {
	path, contentType string
	body              func() []byte
	code              int
}{
	"a pattern that explodes": {crdPath, asJSON, func() []byte {
		return crd("a", `{"type":"object","properties":{"s":{"type":"string","pattern":"((((a{1,100}){1,100}){1,100}){1,100})"}}}`)
	}, 422},
	"a pattern cut off": {crdPath, asJSON, func() []byte {
		return crd("a", `{"type":"object","properties":{"s":{"type":"string","pattern":"((("}}}`)
	}, 422},
	"a rule over lists of lists": {crdPath, asJSON, func() []byte {
		return crd("a", `{"type":"object","properties":{"l":{"type":"array","items":{"type":"array","items":{"type":"string"}}}},`+
			`"x-kubernetes-validations":[{"rule":"self.l.all(a, self.l.all(b, a.all(c, b.all(d, c.matches(d)))))"}]}`)
	}, 422},
	"a rule of 100,000 brackets": {crdPath, asJSON, func() []byte {
		return crd("a", `{"type":"object","x-kubernetes-validations":[{"rule":"`+nested("(", "true", ")", 50_000)+`"}]}`)
	}, 422},
	"a schema 4,000 deep": {crdPath, asJSON, func() []byte {
		return crd("a", nested(`{"type":"object","properties":{"a":`, `{"type":"bogus"}`, "}}", 4000))
	}, 400},
	"a schema of aliases": {crdPath, asYAML, func() []byte { return []byte("kind: CustomResourceDefinition\n" + echoes(limit/2, limit/8)) }, 400},
	"a schema too deep for JSON": {crdPath, asJSON, func() []byte {
		return crd("a", nested(`{"not":`, "{}", "}", 200_000))
	}, 400},
	"a deep schema in protobuf":    {crdPath, asProto, func() []byte { return deepSchema(100_000) }, 400},
	"a policy of 100,000 brackets": {policyPath, asJSON, func() []byte { return policy(nested("(", "true", ")", 50_000)) }, 422},
	"a policy that does not parse": {policyPath, asJSON, func() []byte { return policy("object.") }, 422},
}

// deepSchema is a definition whose schema is n schemas in one another. Every one is
// a call of the decoder.
func deepSchema(n int) []byte {
	const notNumber = 28
	// Written from the inside out, so backwards.
	size := 0
	var reversed []byte
	push := func(b []byte) {
		for i := len(b) - 1; i >= 0; i-- {
			reversed = append(reversed, b[i])
		}
		size += len(b)
	}
	wrap := func(number int) {
		push(append(varint(number<<3|2), varint(size)...))
	}
	for range n {
		wrap(notNumber)
	}
	wrap(1) // CustomResourceValidation.openAPIV3Schema
	wrap(4) // CustomResourceDefinitionVersion.schema
	wrap(7) // CustomResourceDefinitionSpec.versions
	wrap(2) // CustomResourceDefinition.spec
	for i, j := 0, len(reversed)-1; i < j; i, j = i+1, j-1 {
		reversed[i], reversed[j] = reversed[j], reversed[i]
	}
	return protobuf("apiextensions.k8s.io/v1", "CustomResourceDefinition", reversed)
}

// Definitions and policies that would cost too much are refused with a Status.
func TestHostileSchemas(t *testing.T) {
	s := besiege(t)
	for name, test := range hostileSchemas {
		t.Run(name, func(t *testing.T) {
			body := test.body()
			s.under(t, bounds{memory: 1200}, func(t *testing.T) {
				a, err := s.send(t.Context(), call{method: http.MethodPost, path: test.path, contentType: test.contentType, body: body})
				if err != nil {
					t.Fatal(err)
				}
				if a.code != test.code || a.status.Kind != "Status" || a.length > limit {
					t.Errorf("answered %d (%d bytes) %.400s, want a Status with %d", a.code, a.length, a.body, test.code)
				}
			})
		})
	}
}

// Custom resources as deep and as wide as they get are stored or refused, and what
// was stored is there after a restart.
func TestHostileCustomResources(t *testing.T) {
	s := besiege(t)
	a, err := s.send(t.Context(), call{method: http.MethodPost, path: crdPath, contentType: asJSON, body: crd("widgets",
		`{"type":"object","properties":{"any":{"type":"object","x-kubernetes-preserve-unknown-fields":true},"words":{"type":"array","items":{"type":"string"}}}}`)})
	if err != nil || a.code != http.StatusCreated {
		t.Fatalf("%d %s %v", a.code, a.body, err)
	}
	eventually(t, 30*time.Second, "the new kind to be served", func(ctx context.Context) (bool, string) {
		a, err := s.send(ctx, call{method: http.MethodGet, path: widgetPath})
		return err == nil && a.code == http.StatusOK, fmt.Sprint(a.code, err)
	})
	widget := func(name, spec string) []byte {
		return fmt.Appendf(nil, `{"apiVersion":"hostile.test/v1","kind":"Kindwidgets","metadata":{"name":%q},%s}`, name, spec)
	}
	stored := map[string]bool{}
	for name, spec := range map[string]string{
		"deep-990":    `"any":` + nested(`{"a":`, "1", "}", 990),
		"deep-9990":   `"any":` + nested(`{"a":`, "1", "}", 9990),
		"wide":        `"any":{` + many(`"k%d":1`, 20_000) + `}`,
		"long":        `"any":{"l":[` + many("%d", 300_000) + `]}`,
		"wrong-words": `"words":[` + many("%d", 3000) + `]`,
		"huge":        `"any":{"s":"` + strings.Repeat("x", limit-1000) + `"}`,
	} {
		t.Run(name, func(t *testing.T) {
			s.under(t, bounds{memory: 1500}, func(t *testing.T) {
				began := time.Now()
				a, err := s.send(t.Context(), call{method: http.MethodPost, path: widgetPath, contentType: asJSON, body: widget(name, spec)})
				if err != nil {
					t.Fatal(err)
				}
				stored[name] = a.code == http.StatusCreated
				t.Logf("answered %d %.200s (%d bytes) after %s", a.code, a.status.Message, a.length, time.Since(began).Round(time.Millisecond))
				if a.code >= 500 {
					t.Errorf("answered %d %.300s", a.code, a.body)
				}
			})
		})
	}
	s.http.CloseIdleConnections()
	if err := s.cluster.Kill(); err != nil {
		t.Fatal(err)
	}
	t.Logf("ready again after %s", start(t, s.cluster))
	eventually(t, 30*time.Second, "the kind to be served again", func(ctx context.Context) (bool, string) {
		a, err := s.send(ctx, call{method: http.MethodGet, path: widgetPath + "?limit=1"})
		return err == nil && a.code == http.StatusOK, fmt.Sprint(a.code, a.status.Message, err)
	})
	for name, was := range stored {
		a, err := s.send(t.Context(), call{method: http.MethodGet, path: widgetPath + "/" + name})
		if err != nil || was != (a.code == http.StatusOK) {
			t.Errorf("%s: stored %v, now answered %d %.300s %v", name, was, a.code, a.body, err)
		}
	}
	if a, err := s.send(t.Context(), call{method: http.MethodGet, path: widgetPath}); err != nil || a.code != http.StatusOK {
		t.Errorf("the list is answered %d %.300s %v", a.code, a.body, err)
	}
}
