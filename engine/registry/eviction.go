package registry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/util/dryrun"
	"k8s.io/client-go/util/retry"
)

// evictionREST deletes a pod if its disruption budget allows it. A budget's count
// is taken before the pod is deleted, so two evictions never share one.
type evictionREST struct{ pods, budgets *REST }

var (
	_ rest.NamedCreater             = (*evictionREST)(nil)
	_ rest.GroupVersionKindProvider = (*evictionREST)(nil)
	_ rest.GroupVersionAcceptor     = (*evictionREST)(nil)
)

// maxDisrupted bounds the pods a budget may be waiting for at a time.
const maxDisrupted = 2000

// evictionRetry paces attempts that lost a race on the budget or the pod.
var evictionRetry = wait.Backoff{Steps: 20, Duration: 5 * time.Millisecond, Factor: 2, Jitter: 0.1, Cap: 500 * time.Millisecond}

// GroupVersionKind names the kind served, which is not of the core group.
func (*evictionREST) GroupVersionKind(schema.GroupVersion) schema.GroupVersionKind {
	return policyv1.SchemeGroupVersion.WithKind("Eviction")
}

// AcceptsGroupVersion implements rest.GroupVersionAcceptor.
func (*evictionREST) AcceptsGroupVersion(gv schema.GroupVersion) bool {
	return gv == policyv1.SchemeGroupVersion
}

// New implements rest.Storage.
func (*evictionREST) New() runtime.Object { return &policyv1.Eviction{} }

// Destroy implements rest.Storage.
func (*evictionREST) Destroy() {}

// Create evicts the named pod.
func (s *evictionREST) Create(ctx context.Context, name string, obj runtime.Object, validate rest.ValidateObjectFunc, options *metav1.CreateOptions) (runtime.Object, error) {
	eviction, ok := obj.(*policyv1.Eviction)
	if !ok {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("not a Eviction object: %T", obj))
	}
	if name != eviction.Name {
		return nil, apierrors.NewBadRequest("name in URL does not match name in Eviction object")
	}
	deletion := eviction.DeleteOptions.DeepCopy()
	if deletion == nil {
		deletion = &metav1.DeleteOptions{}
	}
	if dryrun.IsDryRun(options.DryRun) {
		deletion.DryRun = options.DryRun
	}
	if validate != nil {
		if err := validate(ctx, eviction.DeepCopyObject()); err != nil {
			return nil, err
		}
	}
	pod, err := s.permit(ctx, name, deletion)
	if err != nil {
		return nil, err
	}
	if err := s.delete(ctx, pod, deletion); err != nil {
		return nil, err
	}
	return &metav1.Status{Status: metav1.StatusSuccess}, nil
}

// permit returns the pod once its eviction is accounted for.
func (s *evictionREST) permit(ctx context.Context, name string, deletion *metav1.DeleteOptions) (*corev1.Pod, error) {
	var pod *corev1.Pod
	err := retry.OnError(evictionRetry, apierrors.IsConflict, func() error {
		obj, err := s.pods.Get(ctx, name, &metav1.GetOptions{})
		if err != nil {
			return err
		}
		pod = obj.(*corev1.Pod)
		if beyondBudgets(pod) {
			return nil
		}
		budget, err := s.budgetOf(ctx, pod)
		if err != nil || budget == nil {
			return err
		}
		if !isReady(pod) {
			healthy := budget.Status.CurrentHealthy >= budget.Status.DesiredHealthy && budget.Status.DesiredHealthy > 0
			always := budget.Spec.UnhealthyPodEvictionPolicy != nil && *budget.Spec.UnhealthyPodEvictionPolicy == policyv1.AlwaysAllow
			if always || healthy {
				pinVersion(deletion, pod)
				return nil
			}
		}
		return s.take(ctx, budget, pod.Name, dryrun.IsDryRun(deletion.DryRun))
	})
	return pod, err
}

// beyondBudgets reports that evicting the pod cannot disrupt anything.
func beyondBudgets(pod *corev1.Pod) bool {
	switch pod.Status.Phase {
	case corev1.PodSucceeded, corev1.PodFailed, corev1.PodPending:
		return true
	}
	return pod.DeletionTimestamp != nil
}

// pinVersion makes the delete fail if the pod changes meanwhile: it was let go for
// being unready.
func pinVersion(deletion *metav1.DeleteOptions, pod *corev1.Pod) {
	if deletion.Preconditions == nil {
		deletion.Preconditions = &metav1.Preconditions{}
	}
	if deletion.Preconditions.ResourceVersion == nil {
		deletion.Preconditions.ResourceVersion = &pod.ResourceVersion
	}
}

func (s *evictionREST) budgetOf(ctx context.Context, pod *corev1.Pod) (*policyv1.PodDisruptionBudget, error) {
	if s.budgets == nil || len(pod.Labels) == 0 {
		return nil, nil
	}
	items, _, err := s.budgets.ListShared(ctx, pod.Namespace)
	if err != nil {
		return nil, err
	}
	var found []*policyv1.PodDisruptionBudget
	for _, item := range items {
		budget := item.(*policyv1.PodDisruptionBudget)
		selector, err := metav1.LabelSelectorAsSelector(budget.Spec.Selector)
		if err == nil && selector.Matches(labels.Set(pod.Labels)) {
			found = append(found, budget)
		}
	}
	switch len(found) {
	case 0:
		return nil, nil
	case 1:
		return found[0], nil
	}
	return nil, &apierrors.StatusError{ErrStatus: metav1.Status{
		Status: metav1.StatusFailure, Code: http.StatusInternalServerError,
		Message: "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.",
	}}
}

// take counts one disruption against the budget.
func (s *evictionREST) take(ctx context.Context, budget *policyv1.PodDisruptionBudget, podName string, dryRun bool) error {
	ctx = request.WithNamespace(ctx, budget.Namespace)
	if err := allows(budget); err != nil || dryRun {
		return err
	}
	change := func(_ context.Context, _, old runtime.Object) (runtime.Object, error) {
		current := old.DeepCopyObject().(*policyv1.PodDisruptionBudget)
		if err := allows(current); err != nil {
			return nil, err
		}
		current.Status.DisruptionsAllowed--
		if current.Status.DisruptionsAllowed == 0 {
			meta.SetStatusCondition(&current.Status.Conditions, metav1.Condition{
				Type: policyv1.DisruptionAllowedCondition, Reason: policyv1.InsufficientPodsReason,
				Status: metav1.ConditionFalse, ObservedGeneration: current.Status.ObservedGeneration,
			})
		}
		if current.Status.DisruptedPods == nil {
			current.Status.DisruptedPods = map[string]metav1.Time{}
		}
		current.Status.DisruptedPods[podName] = metav1.Now()
		return current, nil
	}
	_, _, err := newStatusREST(s.budgets).Update(ctx, budget.Name, rest.DefaultUpdatedObjectInfo(nil, change),
		rest.ValidateAllObjectFunc, rest.ValidateAllObjectUpdateFunc, false, &metav1.UpdateOptions{})
	return err
}

// allows says why a budget does not allow another disruption.
func allows(budget *policyv1.PodDisruptionBudget) error {
	status := &budget.Status
	switch {
	case status.ObservedGeneration < budget.Generation:
		return overBudget(fmt.Sprintf("The disruption budget %s is still being processed by the server.", budget.Name), 10)
	case status.DisruptionsAllowed < 0:
		return apierrors.NewForbidden(policyv1.Resource("poddisruptionbudget"), budget.Name, errors.New("pdb disruptions allowed is negative"))
	case len(status.DisruptedPods) > maxDisrupted:
		return apierrors.NewForbidden(policyv1.Resource("poddisruptionbudget"), budget.Name, errors.New("DisruptedPods map too big - too many evictions not confirmed by PDB controller"))
	case status.DisruptionsAllowed == 0:
		return overBudget(fmt.Sprintf("The disruption budget %s needs %d healthy pods and has %d currently", budget.Name, status.DesiredHealthy, status.CurrentHealthy), 0)
	}
	return nil
}

func overBudget(cause string, retrySeconds int) error {
	err := apierrors.NewTooManyRequests("Cannot evict pod as it would violate the pod's disruption budget.", retrySeconds)
	err.ErrStatus.Details.Causes = append(err.ErrStatus.Details.Causes, metav1.StatusCause{
		Type: policyv1.DisruptionBudgetCause, Message: cause,
	})
	return err
}

// delete marks the pod as disrupted, then deletes it.
func (s *evictionREST) delete(ctx context.Context, pod *corev1.Pod, deletion *metav1.DeleteOptions) error {
	if !dryrun.IsDryRun(deletion.DryRun) && pod.DeletionTimestamp == nil {
		updated, err := s.mark(ctx, pod, deletion)
		if err != nil {
			return err
		}
		if deletion.Preconditions != nil && deletion.Preconditions.ResourceVersion != nil {
			deletion.Preconditions.ResourceVersion = &updated.ResourceVersion
		}
	}
	_, _, err := s.pods.Delete(ctx, pod.Name, rest.ValidateAllObjectFunc, deletion)
	return err
}

func (s *evictionREST) mark(ctx context.Context, pod *corev1.Pod, deletion *metav1.DeleteOptions) (*corev1.Pod, error) {
	change := func(_ context.Context, _, old runtime.Object) (runtime.Object, error) {
		current := old.DeepCopyObject().(*corev1.Pod)
		if err := meets(current, deletion.Preconditions); err != nil {
			return nil, err
		}
		setPodCondition(&current.Status, corev1.PodCondition{
			Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue,
			Reason: "EvictionByEvictionAPI", Message: "Eviction API: evicting",
		})
		return current, nil
	}
	obj, _, err := newStatusREST(s.pods).Update(ctx, pod.Name, rest.DefaultUpdatedObjectInfo(nil, change),
		rest.ValidateAllObjectFunc, rest.ValidateAllObjectUpdateFunc, false, &metav1.UpdateOptions{})
	if err != nil {
		return nil, err
	}
	return obj.(*corev1.Pod), nil
}

// meets says why a pod is not the one whose eviction was asked for.
func meets(pod *corev1.Pod, p *metav1.Preconditions) error {
	differs := func(what, wanted, have, why string) error {
		return apierrors.NewConflict(corev1.Resource("Pod"), pod.Name,
			fmt.Errorf("the %s in the precondition (%s) does not match the %s in record (%s). The object might have been %s", what, wanted, what, have, why))
	}
	switch {
	case p == nil:
	case p.UID != nil && *p.UID != "" && *p.UID != pod.UID:
		return differs("UID", string(*p.UID), string(pod.UID), "deleted and then recreated")
	case p.ResourceVersion != nil && *p.ResourceVersion != "" && *p.ResourceVersion != pod.ResourceVersion:
		return differs("ResourceVersion", *p.ResourceVersion, pod.ResourceVersion, "modified")
	}
	return nil
}

func isReady(pod *corev1.Pod) bool {
	for i := range pod.Status.Conditions {
		if c := &pod.Status.Conditions[i]; c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}
