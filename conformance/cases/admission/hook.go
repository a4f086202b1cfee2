package admission

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"

	admissionv1 "k8s.io/api/admission/v1"
	registrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pintle-io/pintle/conformance/suite"
	"github.com/pintle-io/pintle/conformance/tlsserver"
)

// hook is a webhook server: each path has a function that answers.
type hook struct {
	*tlsserver.Server
	answers map[string]answer
	mu      struct {
		sync.Mutex
		// seen are the requests in order, by path.
		seen []seen
	}
}

type seen struct {
	path    string
	request admissionv1.AdmissionRequest
}

// answer decides about a request.
type answer func(req *admissionv1.AdmissionRequest) *admissionv1.AdmissionResponse

func newHook(answers map[string]answer) (*hook, error) {
	h := &hook{answers: answers}
	var err error
	h.Server, err = tlsserver.Start(h)
	return h, err
}

// ServeHTTP implements http.Handler.
func (h *hook) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	var review admissionv1.AdmissionReview
	if err := json.NewDecoder(req.Body).Decode(&review); err != nil || review.Request == nil {
		http.Error(w, fmt.Sprint("no review: ", err), http.StatusBadRequest)
		return
	}
	path := strings.TrimPrefix(req.URL.Path, "/")
	h.mu.Lock()
	h.mu.seen = append(h.mu.seen, seen{path, *review.Request})
	h.mu.Unlock()
	response := h.answers[path](review.Request)
	if response == nil {
		// Too late for anybody: the client hangs up.
		<-req.Context().Done()
		return
	}
	if response.UID == "" {
		response.UID = review.Request.UID
	}
	review.Request, review.Response = nil, response
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(review)
}

// paths lists who was asked about a namespace since the last call, in order.
func (h *hook) paths(namespace string) []string {
	var out []string
	for _, s := range h.take() {
		if s.request.Namespace == namespace {
			out = append(out, s.path)
		}
	}
	return out
}

// take returns the requests since the last call.
func (h *hook) take() []seen {
	h.mu.Lock()
	defer h.mu.Unlock()
	defer func() { h.mu.seen = nil }()
	return h.mu.seen
}

// client says where a path of the hook is.
func (h *hook) client(path string) registrationv1.WebhookClientConfig {
	url := h.URL + "/" + path
	return registrationv1.WebhookClientConfig{URL: &url, CABundle: h.CA}
}

// validating is one webhook of the hook that sees ConfigMaps of the case's namespace.
func (h *hook) validating(e *suite.Env, name string, edit ...func(*registrationv1.ValidatingWebhook)) registrationv1.ValidatingWebhook {
	none, fail := registrationv1.SideEffectClassNone, registrationv1.Fail
	w := registrationv1.ValidatingWebhook{
		Name: name + ".conformance.example", ClientConfig: h.client(name), SideEffects: &none, FailurePolicy: &fail,
		AdmissionReviewVersions: []string{"v1"}, NamespaceSelector: own(e), TimeoutSeconds: new(int32(5)),
		Rules: []registrationv1.RuleWithOperations{rule("", "v1", "configmaps", registrationv1.Create, registrationv1.Update)},
	}
	for _, f := range edit {
		f(&w)
	}
	return w
}

// mutating is the same for a mutating webhook.
func (h *hook) mutating(e *suite.Env, name string, edit ...func(*registrationv1.MutatingWebhook)) registrationv1.MutatingWebhook {
	v := h.validating(e, name)
	w := registrationv1.MutatingWebhook{
		Name: v.Name, ClientConfig: v.ClientConfig, SideEffects: v.SideEffects, FailurePolicy: v.FailurePolicy,
		AdmissionReviewVersions: v.AdmissionReviewVersions, NamespaceSelector: v.NamespaceSelector,
		TimeoutSeconds: v.TimeoutSeconds, Rules: v.Rules,
	}
	for _, f := range edit {
		f(&w)
	}
	return w
}

func rule(group, version, resource string, operations ...registrationv1.OperationType) registrationv1.RuleWithOperations {
	return registrationv1.RuleWithOperations{Operations: operations, Rule: registrationv1.Rule{
		APIGroups: []string{group}, APIVersions: []string{version}, Resources: []string{resource},
	}}
}

// allow lets everything pass.
func allow(*admissionv1.AdmissionRequest) *admissionv1.AdmissionResponse {
	return &admissionv1.AdmissionResponse{Allowed: true}
}

// deny refuses with a message.
func deny(message string) answer {
	return func(*admissionv1.AdmissionRequest) *admissionv1.AdmissionResponse {
		return &admissionv1.AdmissionResponse{Result: &metav1.Status{Message: message}}
	}
}

// patch lets pass with a JSON patch.
func patch(text string) answer {
	return func(*admissionv1.AdmissionRequest) *admissionv1.AdmissionResponse {
		kind := admissionv1.PatchTypeJSONPatch
		return &admissionv1.AdmissionResponse{Allowed: true, PatchType: &kind, Patch: []byte(text)}
	}
}
