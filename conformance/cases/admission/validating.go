package admission

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	admissionv1 "k8s.io/api/admission/v1"
	registrationv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pintle-io/pintle/conformance/suite"
)

func registerValidating(ctx context.Context, e *suite.Env, suffix string, hooks ...registrationv1.ValidatingWebhook) (func(), error) {
	api := e.Kube.AdmissionregistrationV1().ValidatingWebhookConfigurations()
	name := e.Namespace + suffix
	_, err := api.Create(ctx, &registrationv1.ValidatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: name}, Webhooks: hooks}, metav1.CreateOptions{})
	return func() { _ = api.Delete(context.WithoutCancel(ctx), name, metav1.DeleteOptions{}) }, err
}

func validatingWebhooks() suite.Case {
	return suite.Case{
		Name:    "admission/validating-webhooks",
		Promise: "a validating webhook's refusal comes through in upstream's words with its code and reason, and so do its warnings",
		Run: func(ctx context.Context, e *suite.Env) error {
			h, err := newHook(map[string]answer{
				"plain": deny("not today"), "silent": deny(""),
				"teapot": func(*admissionv1.AdmissionRequest) *admissionv1.AdmissionResponse {
					return &admissionv1.AdmissionResponse{Result: &metav1.Status{
						Message: "short and stout", Reason: "Teapot", Code: http.StatusTeapot,
						Details: &metav1.StatusDetails{Causes: []metav1.StatusCause{{Field: "data.k", Message: "too hot"}}},
					}}
				},
				"warn": func(*admissionv1.AdmissionRequest) *admissionv1.AdmissionResponse {
					return &admissionv1.AdmissionResponse{Allowed: true, Warnings: []string{"mind the gap", "and the step"}}
				},
				"uid": func(*admissionv1.AdmissionRequest) *admissionv1.AdmissionResponse {
					return &admissionv1.AdmissionResponse{Allowed: true, UID: "another"}
				},
				"patching": patch(`[{"op":"add","path":"/data/x","value":"y"}]`),
			})
			if err != nil {
				return err
			}
			defer h.Close()
			for _, c := range []struct{ path, want string }{
				{"plain", `admission webhook "plain.conformance.example" denied the request: not today`},
				{"silent", `admission webhook "silent.conformance.example" denied the request without explanation`},
				{"teapot", `admission webhook "teapot.conformance.example" denied the request: short and stout`},
				{"uid", `Internal error occurred: failed calling webhook "uid.conformance.example": received invalid webhook response: expected response.uid="`},
			} {
				if err := tried(ctx, e, h, c.path, c.want); err != nil {
					return err
				}
			}
			return warningsCome(ctx, e, h)
		},
	}
}

// tried registers one webhook and waits for what it makes of a create.
func tried(ctx context.Context, e *suite.Env, h *hook, path, want string, edit ...func(*registrationv1.ValidatingWebhook)) error {
	remove, err := registerValidating(ctx, e, "-"+path, h.validating(e, path, edit...))
	defer remove()
	if err != nil {
		return err
	}
	var last error
	create := func(ctx context.Context) error {
		_, last = e.Kube.CoreV1().ConfigMaps(e.Namespace).Create(ctx, configMap("v", nil), metav1.CreateOptions{DryRun: []string{"All"}})
		return last
	}
	if err := inForce(ctx, e, path+" to answer", create, want); err != nil {
		return err
	}
	var status apierrors.APIStatus
	if path == "teapot" && (!errors.As(last, &status) || status.Status().Code != http.StatusTeapot || status.Status().Reason != "Teapot" || len(status.Status().Details.Causes) != 1) {
		return fmt.Errorf("the refusal's status is %+v", status.Status())
	}
	remove()
	return inForce(ctx, e, path+" to be gone", create, "")
}

func warningsCome(ctx context.Context, e *suite.Env, h *hook) error {
	remove, err := registerValidating(ctx, e, "-warn", h.validating(e, "warn"))
	defer remove()
	if err != nil {
		return err
	}
	client, got, err := warned(e)
	if err != nil {
		return err
	}
	return e.Eventually(ctx, 15e9, "the warnings", func(ctx context.Context) (bool, string, error) {
		got.take()
		_, err := client.CoreV1().ConfigMaps(e.Namespace).Create(ctx, configMap("w", nil), metav1.CreateOptions{DryRun: []string{"All"}})
		text := got.take()
		return text == "mind the gap; and the step", text, err
	})
}
