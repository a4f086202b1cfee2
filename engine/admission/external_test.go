package admission

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta/testrestmapper"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authentication/user"
	dynamicfake "k8s.io/client-go/dynamic/fake"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/client-go/kubernetes/scheme"
)

// hook is a webhook that labels objects and refuses those named "bad".
func hook(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	var review admissionv1.AdmissionReview
	if err := json.Unmarshal(body, &review); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	review.Response = &admissionv1.AdmissionResponse{UID: review.Request.UID, Allowed: review.Request.Name != "bad"}
	if r.URL.Path == "/mutate" {
		kind := admissionv1.PatchTypeJSONPatch
		review.Response.PatchType, review.Response.Patch = &kind, []byte(`[{"op":"add","path":"/metadata/labels","value":{"hooked":"yes"}}]`)
	}
	_ = json.NewEncoder(w).Encode(review)
}

// startChain runs a chain, with the quota on, over objects that the API holds.
func startChain(t *testing.T, objs ...runtime.Object) (*Chain, informers.SharedInformerFactory) {
	t.Helper()
	client := fake.NewClientset(append(objs, &corev1.Namespace{ObjectMeta: in("", "ns")}, account("default"))...)
	factory := informers.NewSharedInformerFactory(client, 0)
	ctx, stop := context.WithCancel(context.Background())
	chain, err := New(Config{Informers: factory, Client: client, Authorizer: onlyAdmin, Done: ctx.Done(),
		Dynamic: dynamicfake.NewSimpleDynamicClient(scheme.Scheme), Mapper: testrestmapper.TestOnlyStaticRESTMapper(scheme.Scheme)})
	if err != nil {
		t.Fatal(err)
	}
	factory.Start(ctx.Done())
	t.Cleanup(func() { stop(); factory.Shutdown() })
	return chain, factory
}

func createPod(chain *Chain, name string) (*corev1.Pod, error) {
	pod := newPod(func(p *corev1.Pod) { p.Name = name })
	a := admission.NewAttributesRecord(pod, nil, corev1.SchemeGroupVersion.WithKind("Pod"), "ns", name, pods, "", admission.Create, &metav1.CreateOptions{}, false, &user.DefaultInfo{Name: "ann"})
	o := admission.NewObjectInterfacesFromScheme(scheme.Scheme)
	if err := chain.Admit(context.Background(), a, o); err != nil {
		return pod, err
	}
	return pod, chain.Validate(context.Background(), a, o)
}

func lazyOf(chain *Chain, name string) bool {
	for _, p := range chain.plugins {
		if l, ok := p.Interface.(*lazy); ok && p.Name == name {
			return len(l.objects.ListKeys()) == 0
		}
	}
	return false
}

func TestWebhooks(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(hook))
	t.Cleanup(server.Close)
	fails, none, exact := admissionregistrationv1.Fail, admissionregistrationv1.SideEffectClassNone, admissionregistrationv1.Equivalent
	config := func(path string) admissionregistrationv1.WebhookClientConfig {
		url := server.URL + path
		ca := server.Certificate().Raw
		return admissionregistrationv1.WebhookClientConfig{URL: &url, CABundle: pemOf(ca)}
	}
	rules := []admissionregistrationv1.RuleWithOperations{{
		Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create},
		Rule:       admissionregistrationv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"pods"}},
	}}
	all := &metav1.LabelSelector{}
	once := admissionregistrationv1.NeverReinvocationPolicy
	chain, _ := startChain(t,
		&admissionregistrationv1.MutatingWebhookConfiguration{ObjectMeta: in("", "m"), Webhooks: []admissionregistrationv1.MutatingWebhook{{
			Name: "m.example.com", ClientConfig: config("/mutate"), Rules: rules, FailurePolicy: &fails, SideEffects: &none, MatchPolicy: &exact,
			NamespaceSelector: all, ObjectSelector: all, TimeoutSeconds: ptr[int32](5), AdmissionReviewVersions: []string{"v1"}, ReinvocationPolicy: &once}}},
		&admissionregistrationv1.ValidatingWebhookConfiguration{ObjectMeta: in("", "v"), Webhooks: []admissionregistrationv1.ValidatingWebhook{{
			Name: "v.example.com", ClientConfig: config("/validate"), Rules: rules, FailurePolicy: &fails, SideEffects: &none, MatchPolicy: &exact,
			NamespaceSelector: all, ObjectSelector: all, TimeoutSeconds: ptr[int32](5), AdmissionReviewVersions: []string{"v1"}}}})
	pod, err := createPod(chain, "good")
	if err != nil || pod.Labels["hooked"] != "yes" {
		t.Errorf("labels %v, error %v", pod.Labels, err)
	}
	if _, err := createPod(chain, "bad"); err == nil || !strings.Contains(err.Error(), `admission webhook "`) {
		t.Errorf("the webhook was not heard: %v", err)
	}
}

func TestValidatingAdmissionPolicy(t *testing.T) {
	exact := admissionregistrationv1.Equivalent
	fails := admissionregistrationv1.Fail
	all := &metav1.LabelSelector{}
	policy := &admissionregistrationv1.ValidatingAdmissionPolicy{ObjectMeta: in("", "names"), Spec: admissionregistrationv1.ValidatingAdmissionPolicySpec{
		FailurePolicy: &fails,
		MatchConstraints: &admissionregistrationv1.MatchResources{MatchPolicy: &exact, NamespaceSelector: all, ObjectSelector: all,
			ResourceRules: []admissionregistrationv1.NamedRuleWithOperations{{RuleWithOperations: admissionregistrationv1.RuleWithOperations{
				Operations: []admissionregistrationv1.OperationType{admissionregistrationv1.Create},
				Rule:       admissionregistrationv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"pods"}}}}}},
		Validations: []admissionregistrationv1.Validation{{Expression: `object.metadata.name != "bad"`, Message: "bad is taken"}},
	}}
	binding := &admissionregistrationv1.ValidatingAdmissionPolicyBinding{ObjectMeta: in("", "names"), Spec: admissionregistrationv1.ValidatingAdmissionPolicyBindingSpec{
		PolicyName: "names", ValidationActions: []admissionregistrationv1.ValidationAction{admissionregistrationv1.Deny}}}
	chain, _ := startChain(t, policy, binding)
	var err error
	// The policies are compiled in the background, once they are needed.
	waited := wait.PollUntilContextTimeout(t.Context(), 10*time.Millisecond, 10*time.Second, true, func(context.Context) (bool, error) {
		_, err = createPod(chain, "bad")
		return err != nil, nil
	})
	if waited != nil || !strings.Contains(err.Error(), "bad is taken") {
		t.Errorf("the policy was not heard: %v", err)
	}
	if _, err := createPod(chain, "good"); err != nil {
		t.Error(err)
	}
}

func TestNothingIsMadeWithoutWebhooks(t *testing.T) {
	chain, _ := startChain(t)
	if _, err := createPod(chain, "good"); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{MutatingWebhook, ValidatingWebhook, MutatingPolicy, ValidatingPolicy} {
		if !lazyOf(chain, name) {
			t.Errorf("%s is not idle", name)
		}
	}
}

func TestQuota(t *testing.T) {
	limits := list("pods", "1", "requests.cpu", "1")
	chain, factory := startChain(t, &corev1.ResourceQuota{ObjectMeta: in("ns", "q"), Spec: corev1.ResourceQuotaSpec{Hard: limits},
		Status: corev1.ResourceQuotaStatus{Hard: limits, Used: list("pods", "0", "requests.cpu", "900m")}})
	_, err := createPod(chain, "silent")
	if err == nil || !strings.Contains(err.Error(), "failed quota: q: must specify requests.cpu for: c") {
		t.Errorf("a pod that states nothing: %v", err)
	}
	create := func(cpu string) error {
		return run(chain, request{obj: newPod(func(p *corev1.Pod) { p.Spec.Containers[0].Resources.Requests = list("cpu", cpu) }), resource: pods})
	}
	if err := create("200m"); err == nil || !strings.Contains(err.Error(), "exceeded quota: q, requested: requests.cpu=200m, used: requests.cpu=900m, limited: requests.cpu=1") {
		t.Errorf("too much: %v", err)
	}
	if err := create("50m"); err != nil {
		t.Errorf("within the quota: %v", err)
	}
	// The fake API gives out no resource versions, by which the plugin would know
	// its own write from what the informer still shows.
	err = wait.PollUntilContextTimeout(t.Context(), time.Millisecond, 10*time.Second, true, func(context.Context) (bool, error) {
		q, err := factory.Core().V1().ResourceQuotas().Lister().ResourceQuotas("ns").Get("q")
		return err == nil && q.Status.Used.Pods().Value() == 1, err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := create("50m"); err == nil || !strings.Contains(err.Error(), "exceeded quota: q, requested: pods=1, used: pods=1") {
		t.Errorf("one too many: %v", err)
	}
}
