package admission

import (
	"context"
	"slices"
	"sync"

	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/audit"
	"k8s.io/apiserver/pkg/warning"
	"k8s.io/client-go/tools/cache"
	"k8s.io/component-base/metrics/legacyregistry"
	podsecurityadmission "k8s.io/pod-security-admission/admission"
	"k8s.io/pod-security-admission/admission/api/load"
	podsecurity "k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/metrics"
	"k8s.io/pod-security-admission/policy"
)

// podSecurity enforces the Pod Security Standards that namespaces ask for by
// label. The checks are upstream's library; they are set up at the first use.
type podSecurity struct {
	operations
	admission func() (*podsecurityadmission.Admission, error)
}

func newPodSecurity(b *builder) (admission.Interface, error) {
	namespaces, pods := b.Informers.Core().V1().Namespaces(), b.Informers.Core().V1().Pods()
	b.uses(namespaces.Informer())
	text, err := b.config(PodSecurity)
	if err != nil {
		return nil, err
	}
	config, err := load.LoadFromReader(text())
	if err != nil {
		return nil, err
	}
	existing := filledPods{pods.Informer(), podsecurityadmission.PodListerFromInformer(pods.Lister())}
	return &podSecurity{onWrite, sync.OnceValues(func() (*podsecurityadmission.Admission, error) {
		checks, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
		if err != nil {
			return nil, err
		}
		a := &podsecurityadmission.Admission{
			Configuration:    config,
			Evaluator:        checks,
			Metrics:          podSecurityMetrics(),
			PodSpecExtractor: podsecurityadmission.DefaultPodSpecExtractor{},
			NamespaceGetter:  podsecurityadmission.NamespaceGetterFromListerAndClient(namespaces.Lister(), b.Client),
			PodLister:        existing,
		}
		if err := a.CompleteConfiguration(); err != nil {
			return nil, err
		}
		return a, a.ValidateConfiguration()
	})}, nil
}

// filledPods waits for the informer: pods are looked at only where a namespace
// becomes stricter, so that nothing else has to wait for them after a start.
type filledPods struct {
	informer cache.SharedIndexInformer
	podsecurityadmission.PodLister
}

// ListPods implements podsecurityadmission.PodLister.
func (f filledPods) ListPods(ctx context.Context, namespace string) ([]*corev1.Pod, error) {
	if !f.informer.HasSynced() {
		cache.WaitFor(ctx, "", f.informer.HasSyncedChecker())
	}
	return f.PodLister.ListPods(ctx, namespace)
}

// Validate implements admission.ValidationInterface.
func (p *podSecurity) Validate(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	resource := a.GetResource().GroupResource()
	namespace := resource == corev1.Resource("namespaces")
	if !namespace && !(podsecurityadmission.DefaultPodSpecExtractor{}).HasPodSpec(resource) {
		return nil
	}
	if subresource := a.GetSubresource(); subresource != "" && !slices.Contains([]string{"ephemeralcontainers", "resize"}, subresource) {
		return nil
	}
	checks, err := p.admission()
	if err != nil {
		return apierrors.NewInternalError(err)
	}
	response := checks.Validate(ctx, attributes{a})
	for key, value := range response.AuditAnnotations {
		audit.AddAuditAnnotation(ctx, podsecurity.AuditAnnotationPrefix+key, value)
	}
	for _, text := range response.Warnings {
		warning.AddWarning(ctx, "", text)
	}
	if response.Allowed {
		return nil
	}
	if response.Result == nil {
		return admission.NewForbidden(a, nil)
	}
	refused := admission.NewForbidden(a, nil).(*apierrors.StatusError)
	result := response.Result
	refused.ErrStatus.Message = result.Message
	if result.Code != 0 {
		refused.ErrStatus.Code, refused.ErrStatus.Reason, refused.ErrStatus.Details = result.Code, result.Reason, result.Details
	}
	return refused
}

// attributes is a request as the library wants to see it.
type attributes struct{ admission.Attributes }

func (a attributes) GetOperation() admissionv1.Operation {
	return admissionv1.Operation(a.Attributes.GetOperation())
}
func (a attributes) GetObject() (runtime.Object, error)    { return a.Attributes.GetObject(), nil }
func (a attributes) GetOldObject() (runtime.Object, error) { return a.Attributes.GetOldObject(), nil }
func (a attributes) GetUserName() string                   { return a.GetUserInfo().GetName() }

// podSecurityMetrics counts for the process.
var podSecurityMetrics = sync.OnceValue(func() metrics.Recorder {
	r := metrics.NewPrometheusRecorder(podsecurity.GetAPIVersion())
	r.MustRegister(legacyregistry.MustRegister)
	return r
})
