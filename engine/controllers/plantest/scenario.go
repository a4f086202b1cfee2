package plantest

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	jsonpatch "gopkg.in/evanphx/json-patch.v4"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"

	"github.com/pintle-io/pintle/engine/apis/served"
	"github.com/pintle-io/pintle/engine/reconcile"
)

// Run runs the scenario files in testdata. Commands: apply (objects in YAML,
// added or replaced), edit (a merge patch with kind and name), remove, advance (a duration), plan (one plan and
// its actions), fail N (one plan whose N-th write fails with the message given), settle (plans until one has nothing to do; only what they did is
// shown). plan observes the world and plans; react, if not nil, lets the rest of
// the world answer before each plan of settle (pods become ready ...).
func Run(t *testing.T, plan func(w *World) reconcile.Result, react func(w *World)) {
	t.Helper()
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		w := NewWorld()
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			switch d.Cmd {
			case "apply":
				return each(t, d.Input, func(raw []byte) { w.Put(decode(t, raw)) })
			case "edit":
				return each(t, d.Input, func(raw []byte) { w.edit(t, raw) })
			case "remove":
				return each(t, d.Input, func(raw []byte) { w.Remove(decode(t, raw)) })
			case "advance":
				step, err := time.ParseDuration(d.CmdArgs[0].Key)
				if err != nil {
					t.Fatal(err)
				}
				w.Now = w.Now.Add(step)
				return w.Now.Format(time.TimeOnly) + "\n"
			case "plan":
				return w.Act(plan(w))
			case "fail":
				n, err := strconv.Atoi(d.CmdArgs[0].Key)
				if err != nil {
					t.Fatal(err)
				}
				return w.ActFailing(plan(w), n, strings.TrimSpace(d.Input))
			case "settle":
				return settle(w, plan, react)
			}
			t.Fatalf("unknown command %q", d.Cmd)
			return ""
		})
	})
}

// maxSteps bounds settle.
const maxSteps = 100

func settle(w *World, plan func(w *World) reconcile.Result, react func(w *World)) string {
	var out strings.Builder
	for step := range maxSteps {
		if react != nil {
			react(w)
		}
		result := plan(w)
		acted := w.Act(result)
		if onlyEvents(result) {
			return out.String() + acts(acted) + fmt.Sprintf("settled after %d steps\n", step)
		}
		out.WriteString(acts(acted))
	}
	return out.String() + "did not settle\n"
}

// onlyEvents reports that a plan changes nothing.
func onlyEvents(result reconcile.Result) bool {
	for _, action := range result.Actions {
		if _, ok := action.(reconcile.Event); !ok {
			return false
		}
	}
	return true
}

// acts leaves out of what was done the details and the statuses.
func acts(log string) string {
	var out strings.Builder
	for line := range strings.Lines(log) {
		if !strings.HasPrefix(line, "  ") && !strings.HasPrefix(line, "again") && !strings.HasPrefix(line, "status") && !strings.HasPrefix(line, "nothing") {
			out.WriteString(line)
		}
	}
	return out.String()
}

func each(t *testing.T, input string, do func(raw []byte)) string {
	t.Helper()
	for doc := range strings.SplitSeq(input, "\n---\n") {
		do([]byte(doc))
	}
	return "ok\n"
}

// edit merges fields into an existing object; a changed spec is a new generation.
func (w *World) edit(t *testing.T, raw []byte) {
	t.Helper()
	k, _ := key(decode(t, raw))
	old, ok := w.objects[k]
	if !ok {
		t.Fatalf("edit: there is no %s", k)
	}
	patch, err := yaml.YAMLToJSON(raw)
	if err != nil {
		t.Fatal(err)
	}
	before, err := json.Marshal(old)
	if err != nil {
		t.Fatal(err)
	}
	merged, err := jsonpatch.MergePatch(before, patch)
	if err != nil {
		t.Fatal(err)
	}
	obj := reflect.New(reflect.TypeOf(old).Elem()).Interface().(runtime.Object)
	if err := json.Unmarshal(merged, obj); err != nil {
		t.Fatal(err)
	}
	for _, change := range changes(old, obj) {
		if strings.HasPrefix(change, "spec.") {
			_, m := key(obj)
			m.SetGeneration(m.GetGeneration() + 1)
			break
		}
	}
	obj.GetObjectKind().SetGroupVersionKind(schema.GroupVersionKind{})
	w.Put(obj)
}

func decode(t *testing.T, raw []byte) (obj runtime.Object) {
	t.Helper()
	data, err := yaml.YAMLToJSONStrict(raw)
	if err != nil {
		t.Fatal(err)
	}
	obj, _, err = served.Codecs().UniversalDeserializer().Decode(data, nil, nil)
	if err != nil {
		t.Fatalf("%v in\n%s", err, raw)
	}
	return obj
}
