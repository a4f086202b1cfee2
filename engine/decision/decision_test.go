package decision

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"pgregory.net/rapid"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func pod(name string) Object { return Object{Kind: "pod", Namespace: "default", Name: name} }

func scheduled(name, node string) Record {
	return Record{Time: metav1.NewMicroTime(noon), Object: pod(name), Decider: "native", Verdict: Scheduled, Target: node, Score: 700, Candidates: 5}
}

func refusal(name, message string) Record {
	return Record{Time: metav1.NewMicroTime(noon), Object: pod(name), Decider: "native", Verdict: Unschedulable, Message: message}
}

// TestLogIsBoundedAndIndexed compares the log with a plain list of the newest.
func TestLogIsBoundedAndIndexed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.IntRange(1, 10).Draw(t, "size")
		l := New(Config{Size: size})
		var model []string
		for i := range rapid.IntRange(0, 40).Draw(t, "records") {
			name := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "name")
			l.Add(scheduled(name, fmt.Sprint(i)))
			model = append(model, name+fmt.Sprint(i))
		}
		model = model[max(0, len(model)-size):]
		for _, name := range []string{"a", "b", "c"} {
			var want, got []string
			for i := len(model) - 1; i >= 0; i-- {
				if strings.HasPrefix(model[i], name) {
					want = append(want, model[i])
				}
			}
			for _, r := range l.For(pod(name), 100) {
				got = append(got, r.Object.Name+r.Target)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("%s: want - got +\n%s", name, diff)
			}
		}
		if got := len(l.For(Object{}, 100)); got != len(model) {
			t.Fatalf("%d records in all, want %d", got, len(model))
		}
	})
}

func TestRepeatsAreCounted(t *testing.T) {
	l := New(Config{})
	for range 3 {
		l.Add(refusal("p", "0/1 nodes are available"))
	}
	l.Add(refusal("p", "another reason"))
	got := l.For(pod("p"), 10)
	if len(got) != 2 || got[1].Repeats != 2 || got[0].Repeats != 0 {
		t.Errorf("%+v, want two records, the older one with two repeats", got)
	}
}

func TestHandler(t *testing.T) {
	l := New(Config{})
	l.Add(scheduled("a", "n1"), scheduled("b", "n2"))
	denials := New(Config{})
	denials.Add(Record{Object: pod("c"), Verdict: Denied, User: "ann"})
	judge := func(_ context.Context, _, pod, node string) (*Judgement, error) {
		if node != "n1" {
			return nil, apierrors.NewNotFound(schema.GroupResource{Resource: "nodes"}, node)
		}
		return &Judgement{Node: node}, nil
	}
	api := &API{Decisions: l, Denials: denials, Judge: judge}
	server := httptest.NewServer(api.Handler())
	defer server.Close()
	for path, tc := range map[string]struct {
		code  int
		kind  string
		names []string
	}{
		Path + "/namespaces/default/decisions?object=pod/a":   {200, "DecisionList", []string{"a"}},
		Path + "/namespaces/default/decisions":                {200, "DecisionList", []string{"b", "a"}},
		Path + "/decisions?limit=1":                           {200, "DecisionList", []string{"b"}},
		Path + "/namespaces/other/decisions?object=pod/a":     {200, "DecisionList", nil},
		Path + "/decisions?object=pod":                        {400, "Status", nil},
		Path + "/decisions?limit=x":                           {400, "Status", nil},
		Path + "/namespaces/default/denials":                  {200, "DecisionList", []string{"c"}},
		Path + "/denials?object=pod/a":                        {200, "DecisionList", nil},
		Path + "/namespaces/default/judgements?pod=a&node=n1": {200, "Judgement", nil},
		Path + "/namespaces/default/judgements?pod=a&node=n2": {404, "Status", nil},
		Path + "/namespaces/default/judgements?pod=a":         {400, "Status", nil},
		Path + "/nonsense":                                    {404, "Status", nil},
		Path:                                                  {200, "APIResourceList", nil},
	} {
		resp, err := http.Get(server.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		var body struct {
			Kind  string
			Items []Record
		}
		if err := json.NewDecoder(resp.Body).Decode(&body); err != nil {
			t.Fatal(err)
		}
		if err := resp.Body.Close(); err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, r := range body.Items {
			names = append(names, r.Object.Name)
		}
		if resp.StatusCode != tc.code || body.Kind != tc.kind || !cmp.Equal(names, tc.names) {
			t.Errorf("%s: %d %s %v, want %+v", path, resp.StatusCode, body.Kind, names, tc)
		}
	}
}

func TestFileSink(t *testing.T) {
	dir := t.TempDir()
	sink, err := NewFileSink(dir, 2000)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 40 {
		if err := sink.Append(t.Context(), []Record{scheduled(fmt.Sprint("p", i), "n")}); err != nil {
			t.Fatal(err)
		}
	}
	// A crash cut the last line short.
	f, err := os.OpenFile(sink.current(), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString(`{"object":{"ki`); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	got, err := sink.Load(t.Context(), 5)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 5 || got[4].Object.Name != "p39" || got[0].Object.Name != "p35" {
		t.Errorf("loaded %+v", got)
	}
	l := New(Config{Sink: sink})
	l.Add(scheduled("new", "n"))
	if err := l.load(t.Context()); err != nil {
		t.Fatal(err)
	}
	if all := l.For(Object{}, 1000); len(all) < 10 || all[0].Object.Name != "new" || all[1].Object.Name != "p39" {
		t.Errorf("after loading: %d records", len(all))
	}
}

func TestExplain(t *testing.T) {
	failed := Record{
		Time: metav1.NewMicroTime(noon.Add(-time.Minute)), Object: pod("p"), Decider: "scheduling@sha256:0123456789abcdef", Verdict: Unschedulable,
		Message: "0/5 nodes are available: 2 node(s) had untolerated taint(s), 3 Insufficient cpu.", Candidates: 5,
		Reasons: []Reason{{"Insufficient cpu", 3}, {"node(s) had untolerated taint(s)", 2}}, Fuel: 12000, Duration: 170 * time.Microsecond, Repeats: 4,
	}
	for _, tc := range []struct {
		records []Record
		want    string
	}{
		{nil, "No decision about pod/p is on record. It may be older than the log, or nothing has had to be decided.\n"},
		{[]Record{failed}, `pod/p: no node fits (62s ago)
  0/5 nodes are available: 2 node(s) had untolerated taint(s), 3 Insufficient cpu.
  5 node(s) considered
      3  Insufficient cpu
      2  node(s) had untolerated taint(s)
  decided by strategy scheduling@sha256:0123456789ab, 12000 fuel, in 170µs, the same 4 time(s) before
`},
		{[]Record{scheduled("p", "n1"), failed}, `pod/p: placed on node n1 with score 700 (2s ago)
  5 node(s) considered
  decided by the native strategy
Before that:
  62s ago: no node fits, by strategy scheduling@sha256:0123456789ab: 0/5 nodes are available: 2 node(s) had untolerated taint(s), 3 Insufficient cpu.
`},
	} {
		if diff := cmp.Diff(tc.want, Explain(pod("p"), tc.records, noon.Add(2*time.Second))); diff != "" {
			t.Errorf("want - got +\n%s", diff)
		}
	}
}

func TestRefusalsOfOthersAreNotRepeats(t *testing.T) {
	l := New(Config{})
	for _, user := range []string{"ann", "ann", "bob"} {
		l.Add(Record{Object: pod("p"), Verdict: Denied, User: user, Verb: "create", Message: "no"})
	}
	if got := l.For(pod("p"), 10); len(got) != 2 || got[0].User != "bob" || got[1].Repeats != 1 {
		t.Errorf("%+v, want bob's and ann's, the latter repeated once", got)
	}
}

func TestExplainDenials(t *testing.T) {
	records := []Record{
		{Time: metav1.NewMicroTime(noon), Object: pod("p"), Verdict: Denied, User: "ann", Verb: "create", Decider: "admission/PodSecurity", Message: "privileged", Repeats: 2},
		{Time: metav1.NewMicroTime(noon.Add(-time.Minute)), Object: Object{Kind: "secrets"}, Verdict: Denied, User: "bob", Verb: "list", Decider: "authorization", Message: "no role"},
	}
	want := `2s ago: ann may not create pod/p in default (3 times)
  admission/PodSecurity: privileged
62s ago: bob may not list secrets
  authorization: no role
`
	if diff := cmp.Diff(want, ExplainDenials(records, noon.Add(2*time.Second))); diff != "" {
		t.Errorf("want - got +\n%s", diff)
	}
}

func TestExplainJudgement(t *testing.T) {
	j := Judgement{
		Pod: pod("p"), Node: "n2", Chosen: "n1", Candidates: 3, Feasible: 2,
		Checks:      []Check{{Name: "NodeResourcesFit", Message: "Insufficient cpu", Details: []string{"cpu: asks for 2, 1 free, too little"}}, {Name: "NodePorts", Passed: true}},
		ChosenScore: &Scored{"n1", 7}, Best: &Scored{"n1", 7},
	}
	want := `pod/p on node/n2: it cannot go there
  NO  NodeResourcesFit         Insufficient cpu
        cpu: asks for 2, 1 free, too little
  ok  NodePorts
  2 of 3 node(s) fit
  the pod is on n1, which would score 7 now
  the highest score is 7, of n1
Scores are the built-in strategy's, of now and without the pod itself; equals are chosen from at random.
`
	if diff := cmp.Diff(want, j.Explain()); diff != "" {
		t.Errorf("want - got +\n%s", diff)
	}
}
