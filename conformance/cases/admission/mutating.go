package admission

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/google/go-cmp/cmp"
	admissionv1 "k8s.io/api/admission/v1"
	registrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pintle-io/pintle/conformance/suite"
)

// appendName adds its name to the data, so that the order of webhooks shows.
func appendName(name string) answer {
	return func(req *admissionv1.AdmissionRequest) *admissionv1.AdmissionResponse {
		var cm corev1.ConfigMap
		if err := json.Unmarshal(req.Object.Raw, &cm); err != nil {
			return deny(err.Error())(req)
		}
		return patch(fmt.Sprintf(`[{"op":"add","path":"/data/trail","value":%q}]`, cm.Data["trail"]+name))(req)
	}
}

func mutatingWebhooks() suite.Case {
	return suite.Case{
		Name:    "admission/mutating-webhooks",
		Promise: "mutating webhooks run in the order of names, see dry runs, are asked again where they want to be, and what they break is told",
		Run: func(ctx context.Context, e *suite.Env) error {
			h, err := newHook(map[string]answer{
				"b": appendName("b"), "c": appendName("c"), "a": appendName("a"),
				"nopatch": patch(`[{"op":"remove","path":"/data/absent"}]`), "garbage": patch(`{`), "kind": patch(`[{"op":"replace","path":"/kind","value":"Secret"}]`),
			})
			if err != nil {
				return err
			}
			defer h.Close()
			if err := order(ctx, e, h); err != nil {
				return err
			}
			return brokenPatches(ctx, e, h)
		},
	}
}

// register creates a configuration of mutating webhooks and returns how to remove it.
func registerMutating(ctx context.Context, e *suite.Env, suffix string, hooks ...registrationv1.MutatingWebhook) (func(), error) {
	api := e.Kube.AdmissionregistrationV1().MutatingWebhookConfigurations()
	name := e.Namespace + suffix
	_, err := api.Create(ctx, &registrationv1.MutatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: name}, Webhooks: hooks}, metav1.CreateOptions{})
	return func() { _ = api.Delete(context.WithoutCancel(ctx), name, metav1.DeleteOptions{}) }, err
}

func order(ctx context.Context, e *suite.Env, h *hook) error {
	again := registrationv1.IfNeededReinvocationPolicy
	removeSecond, err := registerMutating(ctx, e, "-2", h.mutating(e, "a"))
	defer removeSecond()
	if err != nil {
		return err
	}
	removeFirst, err := registerMutating(ctx, e, "-1",
		h.mutating(e, "b", func(w *registrationv1.MutatingWebhook) { w.ReinvocationPolicy = &again }), h.mutating(e, "c"))
	defer removeFirst()
	if err != nil {
		return err
	}
	maps := e.Kube.CoreV1().ConfigMaps(e.Namespace)
	err = e.Eventually(ctx, 15e9, "all webhooks to be called", func(ctx context.Context) (bool, string, error) {
		h.take()
		_, err := maps.Create(ctx, configMap("trial", map[string]string{"trail": ""}), metav1.CreateOptions{DryRun: []string{"All"}})
		return len(h.take()) == 4, fmt.Sprint(err), err
	})
	if err != nil {
		return err
	}
	made, err := maps.Create(ctx, configMap("x", map[string]string{"trail": "-"}), metav1.CreateOptions{DryRun: []string{"All"}})
	if err != nil {
		return err
	}
	// b is asked again, as others changed the object after it.
	if made.Data["trail"] != "-bcab" {
		return fmt.Errorf("the trail is %q, want -bcab", made.Data["trail"])
	}
	for _, s := range h.take() {
		got := fmt.Sprintln(s.request.Operation, *s.request.DryRun, s.request.Resource, s.request.Kind, s.request.Namespace == e.Namespace, s.request.Name, s.request.UserInfo.Username != "")
		if diff := cmp.Diff("CREATE true { v1 configmaps} /v1, Kind=ConfigMap true x true\n", got); diff != "" {
			return fmt.Errorf("what %s was told:\n%s", s.path, diff)
		}
		if !strings.Contains(string(s.request.Options.Raw), `"kind":"CreateOptions"`) {
			return fmt.Errorf("options are %s", s.request.Options.Raw)
		}
	}
	return nil
}

func brokenPatches(ctx context.Context, e *suite.Env, h *hook) error {
	maps := e.Kube.CoreV1().ConfigMaps(e.Namespace)
	for _, c := range []struct{ path, want string }{
		{"nopatch", "Internal error occurred: error in remove for path: '/data/absent': Unable to remove nonexistent key: absent: missing value"},
		{"garbage", `Internal error occurred: failed calling webhook "garbage.conformance.example": received undecodable patch in webhook response: unexpected end of JSON input`},
		{"kind", "Internal error occurred: illegal base64 data at input byte 0"},
	} {
		remove, err := registerMutating(ctx, e, "-3", h.mutating(e, c.path))
		if err != nil {
			return err
		}
		err = inForce(ctx, e, c.path+" to be told", func(ctx context.Context) error {
			_, err := maps.Create(ctx, configMap("broken", map[string]string{"k": "v"}), metav1.CreateOptions{DryRun: []string{"All"}})
			return err
		}, c.want)
		remove()
		if err != nil {
			return err
		}
		err = inForce(ctx, e, c.path+" to be gone", func(ctx context.Context) error {
			_, err := maps.Create(ctx, configMap("broken", nil), metav1.CreateOptions{DryRun: []string{"All"}})
			return err
		}, "")
		if err != nil {
			return err
		}
	}
	return nil
}
