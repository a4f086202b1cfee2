package guard

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"sigs.k8s.io/yaml"
)

func TestCheckQuantity(t *testing.T) {
	for _, good := range []string{"", "0", "1", "100m", "1.5Gi", "1e3", "-1E-6", "1e+0000000018", "12E", "9223372036854775807", "1e999", "nonsense", strings.Repeat("9", 200)} {
		if err := checkQuantity(good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range []string{"1e1000", "1e2147483647", "-1E-2147483648", "1.e+99999", ".1e0099999", strings.Repeat("9", 201), "-" + strings.Repeat("9.", 101)} {
		if err := checkQuantity(bad); err == nil {
			t.Errorf("%.40q is let through", bad)
		}
	}
}

const podWith = `{"spec":{"containers":[{"name":"a"},{"name":"c","resources":{"requests":{"memory":%s}}}],"volumes":[{"emptyDir":{"sizeLimit":"1"}}]}}`

func TestNumbersInBodies(t *testing.T) {
	pod := reflect.TypeFor[*corev1.Pod]()
	for name, test := range map[string]struct {
		media, body string
		refused     bool
	}{
		"JSON":               {"application/json", fmt.Sprintf(podWith, `"1e99999"`), true},
		"a number":           {"application/json", fmt.Sprintf(podWith, `1e99999`), true},
		"with escapes":       {"application/json", fmt.Sprintf(podWith, `"1e\u0039\u00399999"`), true},
		"an escaped letter":  {"application/json", fmt.Sprintf(podWith, `"1\u006599999"`), false}, // still suspicious
		"good":               {"application/json", fmt.Sprintf(podWith, `"1Gi"`), false},
		"a commit as label":  {"application/json", `{"metadata":{"labels":{"commit":"12e45678"}}}`, false},
		"names without case": {"application/json", strings.Replace(fmt.Sprintf(podWith, `"1e99999"`), "spec", "SPEC", 1), true},
		"merge patch":        {"application/merge-patch+json", fmt.Sprintf(podWith, `"1e99999"`), true},
		"strategic patch":    {"application/strategic-merge-patch+json", fmt.Sprintf(podWith, `"1e99999"`), true},
		"apply":              {"application/apply-patch+yaml", "spec:\n  containers:\n  - resources: {limits: {cpu: 1e99999}}\n", true},
		"apply with escapes": {"application/apply-patch+yaml", "spec:\n  containers:\n  - resources: {limits: {cpu: \"1\\x65\\\n  99999\"}}\n", true},
		"JSON patch":         {"application/json-patch+json", `[{"op":"test","path":"/a"},{"op":"add","path":"/spec/containers/0/resources/limits/cpu","value":"1e99999"}]`, true},
		"JSON patch deep":    {"application/json-patch+json", `[{"op":"add","path":"/spec/containers/-","value":{"resources":{"limits":{"a/b":"1e99999"}}}}]`, true},
		"JSON patch of all":  {"application/json-patch+json", `[{"op":"replace","path":"","value":` + fmt.Sprintf(podWith, `"1e99999"`) + `}]`, true},
		"JSON patch, label":  {"application/json-patch+json", `[{"op":"add","path":"/metadata/labels/a~1b","value":"1e99999"}]`, false},
		"not JSON":           {"application/json", `1e99999{`, false},
	} {
		t.Run(name, func(t *testing.T) {
			err := checkNumbers([]byte(test.body), test.media, pod)
			if name == "an escaped letter" {
				if !suspicious([]byte(test.body)) || err == nil {
					t.Errorf("suspicious %v, %v", suspicious([]byte(test.body)), err)
				}
				return
			}
			if (err != nil) != test.refused {
				t.Errorf("%v, want refused %v", err, test.refused)
			}
		})
	}
}

// sent is a pod with a quantity that the library would not let us make.
func sent(text string) []byte {
	message := func(number byte, parts ...[]byte) []byte {
		var body []byte
		for _, p := range parts {
			body = append(body, p...)
		}
		return append(append([]byte{number<<3 | 2}, lengthOf(len(body))...), body...)
	}
	quantity := message(2, message(1, []byte(text)))
	request := message(2, message(1, []byte("memory")), quantity) // of ResourceRequirements
	container := message(2, message(1, []byte("c")), message(8, request))
	pod := message(2, container)
	return append([]byte("k8s\x00"), append(message(1, message(1, []byte("v1")), message(2, []byte("Pod"))), message(2, pod)...)...)
}

func lengthOf(n int) []byte {
	var out []byte
	for ; n >= 0x80; n >>= 7 {
		out = append(out, byte(n)|0x80)
	}
	return append(out, byte(n))
}

func TestNumbersInProtobuf(t *testing.T) {
	for text, refused := range map[string]bool{"1e99999": true, strings.Repeat("1", 300): true, "1Gi": false} {
		err := checkNumbers(sent(text), "application/vnd.kubernetes.protobuf", reflect.TypeFor[*corev1.Pod]())
		if (err != nil) != refused {
			t.Errorf("%.20s: %v, want refused %v", text, err, refused)
		}
	}
	// The message is what the library reads it as.
	var pod corev1.Pod
	if err := pod.Unmarshal(sent("2Gi")[4+2+2+2+2+3+2:]); err != nil || pod.Spec.Containers[0].Resources.Requests.Memory().Value() != 2<<30 {
		t.Fatalf("the message is not a pod: %v %+v", err, pod.Spec.Containers)
	}
}

// Whatever way a bad quantity is written, the quick look suspects it, and what is
// let through is read in no time.
func FuzzQuantity(f *testing.F) {
	for _, s := range []string{"1", "1e3", "1e2147483647", "1e-2147483648", "999999999999999999999.5Ki", "-0.00000000000000000001", "1E", "0e99999999999"} {
		f.Add(s)
	}
	pod := reflect.TypeFor[*corev1.Pod]()
	f.Fuzz(func(t *testing.T, text string) {
		quoted, err := json.Marshal(text)
		if err != nil {
			t.Skip()
		}
		body := fmt.Appendf(nil, podWith, quoted)
		asYAML, err := yaml.JSONToYAML(body)
		if err != nil {
			t.Skip()
		}
		if checkQuantity(text) != nil {
			for media, b := range map[string][]byte{"application/json": body, "application/yaml": asYAML, "application/vnd.kubernetes.protobuf": sent(text)} {
				if json.Valid([]byte(`"`+text+`"`)) && checkNumbers(b, media, pod) == nil {
					t.Errorf("%s lets %q through", media, text)
				}
			}
			return
		}
		began := time.Now()
		if q, err := resource.ParseQuantity(text); err == nil {
			_ = q.String()
			_ = q.Cmp(resource.MustParse("1"))
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("%q took %s", text, took)
		}
	})
}
