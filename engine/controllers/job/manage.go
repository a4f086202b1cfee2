package job

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"github.com/pintle-io/pintle/engine/controllers/podset"
	"github.com/pintle-io/pintle/engine/reconcile"
)

// Failed pods are replaced after a back-off that doubles.
const (
	firstBackoff = 10 * time.Second
	maxBackoff   = 10 * time.Minute
)

// manage creates the pods that are missing and deletes those too many.
func (p *plan) manage() {
	active := len(p.active)
	want := p.wantActive()
	switch {
	case active > want:
		p.deleteActive(active - want)
	case active < want:
		p.create(want - active)
	}
}

func (p *plan) wantActive() int {
	if p.ending() || p.suspended() {
		return 0
	}
	parallelism := int(ptr.Deref(p.job.Spec.Parallelism, 1))
	if p.job.Spec.Completions == nil {
		if p.succeeded > 0 {
			return min(len(p.active), parallelism)
		}
		return parallelism
	}
	return min(int(*p.job.Spec.Completions-p.succeeded)-len(p.lost), parallelism)
}

func (p *plan) deleteActive(n int) {
	announce := &reconcile.Announce{
		About:  p.was,
		Done:   reconcile.Message{Reason: "SuccessfulDelete", Format: "Deleted pod: %s"},
		Failed: reconcile.Message{Type: corev1.EventTypeWarning, Reason: "FailedDelete", Format: "Error deleting: %v"},
	}
	var batch reconcile.Batch
	for _, pod := range podset.DeletionOrder(p.active, nil, p.now)[:min(n, burst)] {
		remove := reconcile.DeleteOf(podset.Resource, pod)
		remove.Announce = announce
		batch = append(batch, remove)
	}
	p.Add(batch)
}

func (p *plan) create(n int) {
	if policy := p.job.Spec.PodReplacementPolicy; policy != nil && *policy == batchv1.Failed {
		n -= int(p.terminating())
	}
	if n <= 0 {
		return
	}
	if wait := p.backoff(); wait > 0 && !p.perIndex() {
		p.RequeueIn(wait)
		return
	}
	n = min(n, burst)
	var indexes []int
	if p.indexed() {
		indexes = p.pending(n)
		n = len(indexes)
	}
	announce := &reconcile.Announce{
		About:  p.was,
		Done:   reconcile.Message{Reason: "SuccessfulCreate", Format: "Created pod: %s"},
		Failed: reconcile.Message{Type: corev1.EventTypeWarning, Reason: "FailedCreate", Format: "Error creating: %v"},
	}
	var batch reconcile.Batch
	for i := range n {
		pod := podset.FromTemplate(&p.job.Spec.Template, p.job, Kind)
		pod.Finalizers = append(pod.Finalizers, batchv1.JobTrackingFinalizer)
		if p.indexed() {
			setIndex(pod, p.job, indexes[i])
			p.setFailures(pod, indexes[i])
		}
		batch = append(batch, reconcile.Create{Object: pod, Announce: announce})
	}
	if len(batch) > 0 {
		p.Add(batch)
	}
}

// backoff is how long to wait before replacing failed pods: it doubles with each
// failure since the last success.
func (p *plan) backoff() time.Duration {
	var lastSuccess, lastFailure time.Time
	for _, pod := range p.pods {
		if at := finishedAt(pod); pod.Status.Phase == corev1.PodSucceeded && at.After(lastSuccess) {
			lastSuccess = at
		}
	}
	failures := 0
	for _, pod := range p.pods {
		if at := finishedAt(pod); pod.Status.Phase == corev1.PodFailed && at.After(lastSuccess) {
			failures++
			if at.After(lastFailure) {
				lastFailure = at
			}
		}
	}
	if failures == 0 {
		return 0
	}
	delay := min(time.Duration(float64(firstBackoff)*math.Pow(2, float64(failures-1))), maxBackoff)
	return max(lastFailure.Add(delay).Sub(p.now), 0)
}

// finishedAt is when the last container of a finished pod ended.
func finishedAt(pod *corev1.Pod) time.Time {
	var at time.Time
	for i := range pod.Status.ContainerStatuses {
		if t := pod.Status.ContainerStatuses[i].State.Terminated; t != nil && t.FinishedAt.After(at) {
			at = t.FinishedAt.Time
		}
	}
	if at.IsZero() {
		if c := podset.Condition(pod, corev1.PodReady); c != nil {
			return c.LastTransitionTime.Time
		}
		return pod.CreationTimestamp.Time
	}
	return at
}

// policyFailure is the message of the first failed pod that a FailJob rule of the
// pod failure policy matches.
func (p *plan) policyFailure() string {
	for _, pod := range p.pods {
		if pod.Status.Phase != corev1.PodFailed {
			continue
		}
		if i, rule := p.matchingRule(pod); rule != nil && rule.Action == batchv1.PodFailurePolicyActionFailJob {
			return fmt.Sprintf("%s matching %v rule at index %d", describe(pod, rule), rule.Action, i)
		}
	}
	return ""
}

// ignored reports that the policy says not to count a pod's failure.
func (p *plan) ignored(pod *corev1.Pod) bool {
	_, rule := p.matchingRule(pod)
	return rule != nil && rule.Action == batchv1.PodFailurePolicyActionIgnore
}

func (p *plan) matchingRule(pod *corev1.Pod) (int, *batchv1.PodFailurePolicyRule) {
	if p.job.Spec.PodFailurePolicy == nil {
		return 0, nil
	}
	for i := range p.job.Spec.PodFailurePolicy.Rules {
		rule := &p.job.Spec.PodFailurePolicy.Rules[i]
		if rule.OnExitCodes != nil && failedContainer(pod, rule.OnExitCodes) != nil || matchesCondition(pod, rule) {
			return i, rule
		}
	}
	return 0, nil
}

func failedContainer(pod *corev1.Pod, on *batchv1.PodFailurePolicyOnExitCodesRequirement) *corev1.ContainerStatus {
	for _, list := range [][]corev1.ContainerStatus{pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses} {
		for i := range list {
			t := list[i].State.Terminated
			if t == nil || t.ExitCode == 0 || on.ContainerName != nil && *on.ContainerName != list[i].Name {
				continue
			}
			if slices.Contains(on.Values, t.ExitCode) == (on.Operator == batchv1.PodFailurePolicyOnExitCodesOpIn) {
				return &list[i]
			}
		}
	}
	return nil
}

func matchesCondition(pod *corev1.Pod, rule *batchv1.PodFailurePolicyRule) bool {
	for _, pattern := range rule.OnPodConditions {
		if c := podset.Condition(pod, pattern.Type); c != nil && c.Status == cmp.Or(pattern.Status, corev1.ConditionTrue) {
			return true
		}
	}
	return false
}

func describe(pod *corev1.Pod, rule *batchv1.PodFailurePolicyRule) string {
	if rule.OnExitCodes != nil {
		if c := failedContainer(pod, rule.OnExitCodes); c != nil {
			return fmt.Sprintf("Container %s for pod %s/%s failed with exit code %d", c.Name, pod.Namespace, pod.Name, c.State.Terminated.ExitCode)
		}
	}
	return fmt.Sprintf("Pod %s/%s has a condition", pod.Namespace, pod.Name)
}
