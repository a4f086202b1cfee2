package admission

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	registrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/pintle-io/pintle/conformance/suite"
)

func matchingWebhooks() suite.Case {
	return suite.Case{
		Name:    "admission/matching-webhooks",
		Promise: "rules, scopes, subresources, selectors, match conditions and equivalence decide which webhooks are asked, and never about webhooks themselves",
		Run: func(ctx context.Context, e *suite.Env) error {
			answers := map[string]answer{}
			for _, m := range matchers() {
				answers[m.name] = allow
			}
			answers["everything"], answers["broken"] = deny("everything is denied"), allow
			h, err := newHook(answers)
			if err != nil {
				return err
			}
			defer h.Close()
			if err := asked(ctx, e, h); err != nil {
				return err
			}
			if err := brokenCondition(ctx, e, h); err != nil {
				return err
			}
			return exempt(ctx, e, h)
		},
	}
}

// matcher is a webhook and which of the writes of a case it should see.
type matcher struct {
	name string
	edit func(*registrationv1.ValidatingWebhook)
	sees []string
}

func rules(list ...registrationv1.RuleWithOperations) func(*registrationv1.ValidatingWebhook) {
	return func(w *registrationv1.ValidatingWebhook) { w.Rules = list }
}

func matchers() []matcher {
	exact := registrationv1.Exact
	cluster := registrationv1.ClusterScope
	old := rule("apps", "v1beta1", "deployments", registrationv1.Create)
	scoped := rule("*", "*", "*", registrationv1.OperationAll)
	scoped.Scope = &cluster
	return []matcher{
		{"maps", rules(rule("", "v1", "configmaps", registrationv1.Create)), []string{"create map", "create red map"}},
		{"writes", rules(rule("", "v1", "configmaps", registrationv1.Update, registrationv1.Delete)), []string{"patch map", "delete map"}},
		{"red", func(w *registrationv1.ValidatingWebhook) {
			w.ObjectSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"colour": "red"}}
		}, []string{"create red map"}},
		{"condition", func(w *registrationv1.ValidatingWebhook) {
			w.MatchConditions = []registrationv1.MatchCondition{
				{Name: "named", Expression: "object.metadata.name == 'red'"}, {Name: "not-system", Expression: "!request.userInfo.username.startsWith('system:')"},
			}
		}, []string{"create red map"}},
		{"pods", rules(rule("", "v1", "pods", registrationv1.OperationAll)), []string{"create pod", "delete pod"}},
		{"parts", rules(rule("", "v1", "pods/*", registrationv1.OperationAll)), []string{"create pod", "bind pod", "pod status", "exec into pod", "delete pod"}},
		{"exec", rules(rule("", "v1", "pods/exec", registrationv1.Connect)), []string{"exec into pod"}},
		{"scaling", rules(rule("autoscaling", "v1", "scale", registrationv1.OperationAll)), nil},
		{"scale", rules(rule("apps", "v1", "deployments/scale", registrationv1.Update)), []string{"scale deployment"}},
		{"exact", func(w *registrationv1.ValidatingWebhook) {
			w.MatchPolicy = &exact
			w.Rules = []registrationv1.RuleWithOperations{rule("events.k8s.io", "v1", "events", registrationv1.Create)}
		}, nil},
		{"equivalent", rules(rule("events.k8s.io", "v1", "events", registrationv1.Create)), []string{"create event"}},
		{"old", rules(old), nil},
		{"cluster", rules(scoped), nil},
		{"elsewhere", func(w *registrationv1.ValidatingWebhook) {
			w.NamespaceSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"kubernetes.io/metadata.name": "elsewhere"}}
		}, nil},
	}
}

// asked makes the writes one after the other and compares who was asked about each.
func asked(ctx context.Context, e *suite.Env, h *hook) error {
	var hooks []registrationv1.ValidatingWebhook
	for _, m := range matchers() {
		hooks = append(hooks, h.validating(e, m.name, m.edit))
	}
	remove, err := registerValidating(ctx, e, "-match", hooks...)
	defer remove()
	if err != nil {
		return err
	}
	maps := e.Kube.CoreV1().ConfigMaps(e.Namespace)
	err = e.Eventually(ctx, 15e9, "the webhooks to be asked", func(ctx context.Context) (bool, string, error) {
		h.take()
		_, err := maps.Create(ctx, configMap("trial", nil), metav1.CreateOptions{DryRun: []string{"All"}})
		return slices.Contains(h.paths(e.Namespace), "maps"), "", err
	})
	if err != nil {
		return err
	}
	for _, w := range writes(e) {
		h.take()
		if err := w.do(ctx); err != nil {
			return fmt.Errorf("%s: %w", w.name, err)
		}
		got := h.paths(e.Namespace)
		for _, m := range matchers() {
			if want := slices.Contains(m.sees, w.name); slices.Contains(got, m.name) != want {
				return fmt.Errorf("%s: webhook %s asked: %v, want %v (all asked: %v)", w.name, m.name, !want, want, got)
			}
		}
	}
	return nil
}

type write struct {
	name string
	do   func(ctx context.Context) error
}

func writes(e *suite.Env) []write {
	core := e.Kube.CoreV1()
	maps, pods := core.ConfigMaps(e.Namespace), core.Pods(e.Namespace)
	second := func(_ any, err error) error { return err }
	return []write{
		{"create map", func(ctx context.Context) error {
			return second(maps.Create(ctx, configMap("plain", nil), metav1.CreateOptions{}))
		}},
		{"create red map", func(ctx context.Context) error {
			red := configMap("red", nil)
			red.Labels = map[string]string{"colour": "red"}
			return second(maps.Create(ctx, red, metav1.CreateOptions{}))
		}},
		{"patch map", func(ctx context.Context) error {
			return second(maps.Patch(ctx, "plain", types.MergePatchType, []byte(`{"data":{"a":"b"}}`), metav1.PatchOptions{}))
		}},
		{"delete map", func(ctx context.Context) error { return maps.Delete(ctx, "plain", metav1.DeleteOptions{}) }},
		{"create pod", func(ctx context.Context) error {
			_, err := e.Kubectl(ctx, "run", "p", "--image=nothing", `--overrides={"spec":{"schedulerName":"nobody","automountServiceAccountToken":false}}`)
			return err
		}},
		{"bind pod", func(ctx context.Context) error {
			binding := &corev1.Binding{ObjectMeta: metav1.ObjectMeta{Name: "p"}, Target: corev1.ObjectReference{Kind: "Node", Name: "no-such-node"}}
			return pods.Bind(ctx, binding, metav1.CreateOptions{})
		}},
		{"pod status", func(ctx context.Context) error {
			return second(pods.Patch(ctx, "p", types.MergePatchType, []byte(`{"status":{"message":"m"}}`), metav1.PatchOptions{}, "status"))
		}},
		{"exec into pod", func(ctx context.Context) error {
			_, err := e.Kubectl(ctx, "exec", "p", "--", "true")
			if err == nil {
				return fmt.Errorf("a command ran in a pod on no node")
			}
			return nil
		}},
		{"delete pod", func(ctx context.Context) error {
			return pods.Delete(ctx, "p", metav1.DeleteOptions{GracePeriodSeconds: new(int64)})
		}},
		{"create deployment", func(ctx context.Context) error {
			_, err := e.Kubectl(ctx, "create", "deployment", "d", "--image=nothing", "--replicas=0")
			return err
		}},
		{"scale deployment", func(ctx context.Context) error {
			return second(e.Kube.AppsV1().Deployments(e.Namespace).Patch(ctx, "d", types.MergePatchType, []byte(`{"spec":{"replicas":0}}`), metav1.PatchOptions{}, "scale"))
		}},
		{"create event", func(ctx context.Context) error {
			return second(core.Events(e.Namespace).Create(ctx, &corev1.Event{
				ObjectMeta: metav1.ObjectMeta{Name: "e", Namespace: e.Namespace}, InvolvedObject: corev1.ObjectReference{Namespace: e.Namespace},
			}, metav1.CreateOptions{}))
		}},
	}
}

// brokenCondition fails at run time: the failure policy decides.
func brokenCondition(ctx context.Context, e *suite.Env, h *hook) error {
	return tried(ctx, e, h, "broken", `configmaps "v" is forbidden: expression 'object.data.absent == 'x'' resulted in error: no such key: `, func(w *registrationv1.ValidatingWebhook) {
		w.MatchConditions = []registrationv1.MatchCondition{{Name: "breaks", Expression: "object.data.absent == 'x'"}}
	})
}

// exempt: a webhook that denies everything can still be removed, and reviews are
// not its business.
func exempt(ctx context.Context, e *suite.Env, h *hook) error {
	everything := rule("*", "*", "*", registrationv1.OperationAll)
	remove, err := registerValidating(ctx, e, "-all", h.validating(e, "everything", rules(everything), func(w *registrationv1.ValidatingWebhook) {
		w.NamespaceSelector = nil
		w.MatchConditions = []registrationv1.MatchCondition{{Name: "own", Expression: fmt.Sprintf(
			"request.namespace == %q || request.name.startsWith(%q)", e.Namespace, e.Namespace)}}
	}))
	defer remove()
	if err != nil {
		return err
	}
	create := func(ctx context.Context) error {
		_, err := e.Kube.CoreV1().ConfigMaps(e.Namespace).Create(ctx, configMap("v", nil), metav1.CreateOptions{DryRun: []string{"All"}})
		return err
	}
	if err := inForce(ctx, e, "everything to be denied", create, "everything is denied"); err != nil {
		return err
	}
	h.take()
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"labels": map[string]any{"touched": "yes"}}})
	if err != nil {
		return err
	}
	_, err = e.Kube.AdmissionregistrationV1().ValidatingWebhookConfigurations().Patch(ctx, e.Namespace+"-all", types.MergePatchType, patch, metav1.PatchOptions{})
	if err != nil {
		return fmt.Errorf("a webhook stands before webhooks: %w", err)
	}
	removeOther, err := registerMutating(ctx, e, "-all", h.mutating(e, "broken"))
	removeOther()
	if err != nil {
		return fmt.Errorf("a webhook stands before webhooks: %w", err)
	}
	if got := h.paths(e.Namespace); len(got) > 0 {
		return fmt.Errorf("webhooks were asked about webhooks: %v", got)
	}
	remove()
	return inForce(ctx, e, "the webhook to be gone", create, "")
}
