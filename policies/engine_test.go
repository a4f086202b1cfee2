package policies

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/warning"
	"sigs.k8s.io/yaml"
)

func fromYAML(t *testing.T, text string) *unstructured.Unstructured {
	t.Helper()
	obj := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(text), &obj.Object); err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(obj.Object) // numbers as the API gives them
	if err != nil {
		t.Fatal(err)
	}
	if err := obj.UnmarshalJSON(data); err != nil {
		t.Fatal(err)
	}
	return obj
}

// template makes a ConstraintTemplate of the old form (v0 Rego in targets.rego).
func template(kind, rule string) string {
	return `
apiVersion: templates.gatekeeper.sh/v1
kind: ConstraintTemplate
metadata: {name: ` + strings.ToLower(kind) + `}
spec:
  crd: {spec: {names: {kind: ` + kind + `}}}
  targets:
  - target: admission.k8s.gatekeeper.sh
    rego: |
      package p
      ` + strings.ReplaceAll(rule, "\n", "\n      ")
}

const denyAll = `violation[{"msg": msg}] { msg := sprintf("%v of %v", [input.review.operation, input.review.userInfo.username]) }`

func constraint(kind, spec string) string {
	return `
apiVersion: constraints.gatekeeper.sh/v1beta1
kind: ` + kind + `
metadata: {name: c}
spec: ` + spec
}

type fixture struct {
	*Engine
	mu       sync.Mutex
	recorded []Verdict
}

func newEngine(t *testing.T, templates, constraints []string) *fixture {
	t.Helper()
	f := &fixture{}
	namespaces := map[string]*corev1.Namespace{"ns": {ObjectMeta: metav1.ObjectMeta{Name: "ns", Labels: map[string]string{"team": "a"}}}}
	engine, err := New(Config{
		Deadline: 300 * time.Millisecond,
		Namespace: func(name string) (*corev1.Namespace, error) {
			if ns, ok := namespaces[name]; ok {
				return ns, nil
			}
			return nil, apierrors.NewNotFound(corev1.Resource("namespaces"), name)
		},
		Record: func(_ context.Context, v Verdict) {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.recorded = append(f.recorded, v)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	f.Engine = engine
	for _, text := range templates {
		if _, err := engine.SetTemplate(context.Background(), fromYAML(t, text)); err != nil {
			t.Fatal(err)
		}
	}
	for _, text := range constraints {
		if err := engine.SetConstraint(context.Background(), fromYAML(t, text)); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

func deployment(namespace string, labels map[string]string) *appsv1.Deployment {
	return &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "web", Labels: labels}}
}

func write(obj runtime.Object, kind schema.GroupVersionKind) admission.Attributes {
	m := obj.(metav1.Object)
	namespace := m.GetNamespace()
	if kind.Kind == "Namespace" {
		namespace = m.GetName()
	}
	resource := kind.GroupVersion().WithResource(strings.ToLower(kind.Kind) + "s")
	return admission.NewAttributesRecord(obj, nil, kind, namespace, m.GetName(), resource, "", admission.Create, nil, false, &user.DefaultInfo{Name: "ann"})
}

var (
	deploymentKind = appsv1.SchemeGroupVersion.WithKind("Deployment")
	namespaceKind  = corev1.SchemeGroupVersion.WithKind("Namespace")
	nodeKind       = corev1.SchemeGroupVersion.WithKind("Node")
)

func (f *fixture) validate(obj runtime.Object, kind schema.GroupVersionKind) error {
	return f.Validate(context.Background(), write(obj, kind), nil)
}

func requiredLabels(t *testing.T) []string {
	t.Helper()
	library, err := Library()
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(library, func(o *unstructured.Unstructured) bool { return o.GetName() == "k8srequiredlabels" })
	data, err := yaml.Marshal(library[i].Object)
	if err != nil {
		t.Fatal(err)
	}
	return []string{string(data)}
}

func TestDenialSaysWhatIsWrongAndWhatToDo(t *testing.T) {
	f := newEngine(t, requiredLabels(t), []string{`
apiVersion: constraints.gatekeeper.sh/v1beta1
kind: K8sRequiredLabels
metadata: {name: must-have-owner}
spec:
  match: {kinds: [{apiGroups: [apps], kinds: [Deployment]}]}
  parameters: {labels: [{key: owner}]}
`})
	err := f.validate(deployment("ns", nil), deploymentKind)
	want := `deployments.apps "web" is forbidden: admission denied by policy [K8sRequiredLabels] "must-have-owner": ` +
		`Deployment ns/web: metadata.labels[owner]: label owner is missing; add the label owner`
	if err == nil || err.Error() != want || !apierrors.IsForbidden(err) {
		t.Fatalf("got  %v\nwant %s", err, want)
	}
	causes := err.(*apierrors.StatusError).ErrStatus.Details.Causes
	if len(causes) != 1 || causes[0].Field != "metadata.labels[owner]" {
		t.Errorf("causes %v", causes)
	}
	wantRecord := []Verdict{{
		Policy: "K8sRequiredLabels", Name: "must-have-owner", Action: Deny, Kind: deploymentKind, Namespace: "ns", Object: "web",
		Operation: "CREATE", User: "ann", Message: "label owner is missing", Field: "metadata.labels[owner]", Cure: "add the label owner",
	}}
	if diff := cmp.Diff(wantRecord, f.recorded); diff != "" {
		t.Error(diff)
	}
	if err := f.validate(deployment("ns", map[string]string{"owner": "ann"}), deploymentKind); err != nil {
		t.Error(err)
	}
}

type warnings []string

func (w *warnings) AddWarning(_, text string) { *w = append(*w, text) }

func TestActions(t *testing.T) {
	for spec, want := range map[string]struct{ denied, warned, recorded bool }{
		`{}`:                                 {true, false, true},
		`{enforcementAction: deny}`:          {true, false, true},
		`{enforcementAction: warn}`:          {false, true, true},
		`{enforcementAction: dryrun}`:        {false, false, true},
		`{match: {kinds: [{kinds: [Pod]}]}}`: {false, false, false},
		`{enforcementAction: scoped, scopedEnforcementActions: [{action: warn, enforcementPoints: [{name: validation.gatekeeper.sh}]}]}`: {false, true, true},
		`{enforcementAction: scoped, scopedEnforcementActions: [{action: deny, enforcementPoints: [{name: audit.gatekeeper.sh}]}]}`:      {false, false, false},
	} {
		f := newEngine(t, []string{template("All", denyAll)}, []string{constraint("All", spec)})
		var warned warnings
		ctx := warning.WithWarningRecorder(context.Background(), &warned)
		err := f.Validate(ctx, write(deployment("ns", nil), deploymentKind), nil)
		if (err != nil) != want.denied || (len(warned) > 0) != want.warned || (len(f.recorded) > 0) != want.recorded {
			t.Errorf("%s: error %v, warnings %v, recorded %v", spec, err, warned, f.recorded)
		}
		if want.denied && !strings.Contains(err.Error(), "CREATE of ann") {
			t.Errorf("%s: the rule did not see the request: %v", spec, err)
		}
	}
}

func TestMatch(t *testing.T) {
	inNS, labelled := deployment("ns", nil), deployment("ns", map[string]string{"app": "web"})
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "ns", Labels: map[string]string{"team": "b"}}}
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1"}}
	for _, tc := range []struct {
		match   string
		obj     runtime.Object
		kind    schema.GroupVersionKind
		matches bool
	}{
		{`{}`, inNS, deploymentKind, true},
		{`{kinds: [{apiGroups: [""], kinds: ["*"]}]}`, inNS, deploymentKind, false},
		{`{kinds: [{apiGroups: ["*"], kinds: [Pod, Deployment]}]}`, inNS, deploymentKind, true},
		{`{kinds: [{kinds: [Pod]}, {apiGroups: [apps]}]}`, inNS, deploymentKind, true},
		{`{scope: Cluster}`, inNS, deploymentKind, false},
		{`{scope: Cluster}`, namespace, namespaceKind, true},
		{`{scope: Namespaced}`, node, nodeKind, false},
		{`{namespaces: [ns]}`, inNS, deploymentKind, true},
		{`{namespaces: [other]}`, inNS, deploymentKind, false},
		{`{namespaces: ["n*"]}`, inNS, deploymentKind, true},
		{`{namespaces: ["*-s"]}`, inNS, deploymentKind, false},
		{`{namespaces: [other]}`, node, nodeKind, true},
		{`{namespaces: [ns]}`, namespace, namespaceKind, true},
		{`{excludedNamespaces: [ns]}`, inNS, deploymentKind, false},
		{`{excludedNamespaces: ["*s"]}`, namespace, namespaceKind, false},
		{`{excludedNamespaces: [ns]}`, node, nodeKind, true},
		{`{labelSelector: {matchLabels: {app: web}}}`, labelled, deploymentKind, true},
		{`{labelSelector: {matchLabels: {app: web}}}`, inNS, deploymentKind, false},
		{`{namespaceSelector: {matchLabels: {team: a}}}`, inNS, deploymentKind, true},
		{`{namespaceSelector: {matchLabels: {team: b}}}`, inNS, deploymentKind, false},
		{`{namespaceSelector: {matchLabels: {team: b}}}`, namespace, namespaceKind, true},
		{`{namespaceSelector: {matchLabels: {team: b}}}`, node, nodeKind, true},
		{`{name: "we*"}`, inNS, deploymentKind, true},
		{`{name: other}`, inNS, deploymentKind, false},
		{`{source: Generated}`, inNS, deploymentKind, false},
	} {
		f := newEngine(t, []string{template("All", denyAll)}, []string{constraint("All", `{match: `+tc.match+`}`)})
		if err := f.validate(tc.obj, tc.kind); (err != nil) != tc.matches {
			t.Errorf("%s against %s: %v", tc.match, tc.kind.Kind, err)
		}
	}
}

func TestExempt(t *testing.T) {
	f := newEngine(t, []string{template("All", denyAll)}, []string{constraint("All", `{}`)})
	gone := deployment("ns", nil)
	gone.DeletionTimestamp = &metav1.Time{Time: time.Unix(1e9, 0)}
	for name, err := range map[string]error{
		"system namespace":        f.validate(deployment("kube-system", nil), deploymentKind),
		"system namespace itself": f.validate(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "kube-system"}}, namespaceKind),
		"being deleted":           f.validate(gone, deploymentKind),
		"a policy":                f.validate(fromYAML(t, constraint("All", `{}`)), schema.GroupVersionKind{Group: ConstraintGroup, Version: version, Kind: "All"}),
		"status": f.Validate(context.Background(), admission.NewAttributesRecord(deployment("ns", nil), nil, deploymentKind, "ns", "web",
			appsv1.SchemeGroupVersion.WithResource("deployments"), "status", admission.Update, nil, false, nil), nil),
	} {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if f.Handles(admission.Delete) {
		t.Error("deletions are looked at")
	}
}

func TestRemovedPoliciesDoNotApply(t *testing.T) {
	ctx := context.Background()
	f := newEngine(t, []string{template("All", denyAll)}, []string{constraint("All", `{}`)})
	if err := f.RemoveConstraint(ctx, "All", "c"); err != nil {
		t.Fatal(err)
	}
	if err := f.validate(deployment("ns", nil), deploymentKind); err != nil {
		t.Error(err)
	}
	if err := f.SetConstraint(ctx, fromYAML(t, constraint("All", `{}`))); err != nil {
		t.Fatal(err)
	}
	if err := f.RemoveTemplate(ctx, "all"); err != nil {
		t.Fatal(err)
	}
	if err := f.validate(deployment("ns", nil), deploymentKind); err != nil || f.active() != nil {
		t.Error(err)
	}
}

func TestRunawayRuleIsCutOff(t *testing.T) {
	slow := `violation[{"msg": "x"}] { a := numbers.range(1, 100000); a[i] * a[j] == -1 }`
	f := newEngine(t, []string{template("Slow", slow)}, []string{constraint("Slow", `{}`)})
	start := time.Now()
	err := f.validate(deployment("ns", nil), deploymentKind)
	if err == nil || !strings.Contains(err.Error(), `policy [Slow] "c": Deployment ns/web: the policy was not done after 300ms`) {
		t.Error(err)
	}
	if took := time.Since(start); took > 3*time.Second {
		t.Errorf("took %s", took)
	}
}

func TestTemplatesThatCannotBeUsed(t *testing.T) {
	for name, tc := range map[string]struct{ template, wants string }{
		"reaches out":     {template("Bad", `violation[{"msg": m}] { http.send({"url": "http://x", "method": "get"}); m := "x" }`), "undefined function http.send"},
		"looks up names":  {template("Bad", `violation[{"msg": m}] { net.lookup_ip_addr("x"); m := "x" }`), "undefined function net.lookup_ip_addr"},
		"does not parse":  {template("Bad", `violation[`), "rego_parse_error"},
		"no violation":    {template("Bad", `deny { true }`), "missing required rules: [violation]"},
		"another target":  {strings.ReplaceAll(template("Bad", denyAll), targetName, "other"), "must have one target"},
		"unknown version": {strings.ReplaceAll(template("Bad", denyAll), "sh/v1", "sh/v9"), "use v1"},
	} {
		f := newEngine(t, nil, nil)
		obj := fromYAML(t, tc.template)
		_, err := f.SetTemplate(context.Background(), obj)
		if err == nil || !strings.Contains(err.Error(), tc.wants) {
			t.Errorf("%s: %v, want %q", name, err, tc.wants)
		}
		if err := f.validate(obj, obj.GroupVersionKind()); !apierrors.IsForbidden(err) {
			t.Errorf("%s: the API took it: %v", name, err)
		}
	}
}

func TestConstraintsThatCannotBeUsed(t *testing.T) {
	f := newEngine(t, []string{template("All", denyAll)}, nil)
	for _, spec := range []string{
		`{enforcementAction: denied}`, `{match: {scope: cluster}}`, `{match: {labelSelector: {matchExpressions: [{key: a, operator: Has}]}}}`, `{match: [x]}`,
	} {
		obj := fromYAML(t, constraint("All", spec))
		if err := f.validate(obj, obj.GroupVersionKind()); !apierrors.IsForbidden(err) {
			t.Errorf("%s: %v", spec, err)
		}
	}
	if err := f.SetConstraint(context.Background(), fromYAML(t, constraint("Unknown", `{}`))); err == nil {
		t.Error("a constraint without a template was accepted")
	}
}

func TestNothingIsSetUpWithoutPolicies(t *testing.T) {
	f := newEngine(t, nil, nil)
	if err := f.validate(deployment("ns", nil), deploymentKind); err != nil || f.framework() != nil {
		t.Errorf("error %v, framework %v", err, f.framework())
	}
}

func TestLoad(t *testing.T) {
	f := newEngine(t, nil, nil)
	dir := fstest.MapFS{
		"a.yaml": {Data: []byte(constraint("All", `{}`) + "\n---\n" + template("All", denyAll))},
		"b.txt":  {Data: []byte("not a policy")},
	}
	if err := f.Load(context.Background(), dir); err != nil {
		t.Fatal(err)
	}
	if err := f.validate(deployment("ns", nil), deploymentKind); err == nil {
		t.Error("a loaded policy does not hold")
	}
	if err := f.Load(context.Background(), fstest.MapFS{"x.yaml": {Data: []byte("apiVersion: v1\nkind: Pod\n")}}); err == nil {
		t.Error("a pod was taken for a policy")
	}
}
