// Package job runs pods to completion: it keeps up to parallelism pods going
// until completions of them succeeded, counts each finished pod exactly once, and
// gives up by back-off limit (also per index), deadline or pod failure policy.
//
// Counting is a protocol over crashes. Every pod carries a finalizer. A finished
// pod's UID is first written to status.uncountedTerminatedPods (for an indexed
// job, a success goes to completedIndexes instead); only then is its finalizer
// removed; once the pod is seen without it (or gone), the UID moves into the
// counter. A crash between any two steps repeats a step, never a count.
package job

import (
	"slices"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/pintle-io/pintle/engine/controllers/owned"
	"github.com/pintle-io/pintle/engine/controllers/podset"
	"github.com/pintle-io/pintle/engine/reconcile"
)

// Kind is the kind of the owner in the pods' owner references.
var Kind = batchv1.SchemeGroupVersion.WithKind("Job")

// burst bounds the pods created or deleted by one plan.
const burst = 500

// Observed is the snapshot of one Job.
type Observed struct {
	Job *batchv1.Job
	// Pods are those it controls and the orphans its selector selects.
	Pods []*corev1.Pod
	Now  time.Time
}

// plan carries the working state of one Plan.
type plan struct {
	reconcile.Result
	job    *batchv1.Job // private copy; its status is the desired one
	was    *batchv1.Job
	now    time.Time
	events []reconcile.Action

	pods   []*corev1.Pod
	active []*corev1.Pod
	// succeeded and failed are totals, counted or not.
	succeeded, failed int32
	done, running     indexSet // of an indexed job
	lost              indexSet // indexes that failed for good
	last              map[int]failures
}

// Plan decides the next step of one Job.
func Plan(o Observed) reconcile.Result {
	p := &plan{job: o.Job.DeepCopy(), was: o.Job, now: o.Now}
	if managed := o.Job.Spec.ManagedBy; managed != nil && *managed != batchv1.JobControllerName {
		return p.Result
	}
	selector, err := metav1.LabelSelectorAsSelector(o.Job.Spec.Selector)
	if err != nil {
		return p.Result // validation refuses such selectors
	}
	kept, release, adopt := owned.Claim(o.Job, selector, o.Pods)
	for _, pod := range release {
		p.Add(without(pod, o.Job.UID))
	}
	for _, pod := range adopt {
		taken := pod.DeepCopy()
		taken.OwnerReferences = owned.With(pod.OwnerReferences, *metav1.NewControllerRef(o.Job, Kind))
		p.Add(reconcile.Update{Object: taken})
	}
	p.pods = append(kept, adopt...)
	p.active = podset.Active(p.pods)
	if p.finished() || o.Job.DeletionTimestamp != nil {
		p.releaseFinalizers(true)
		return p.Result
	}
	p.start()
	p.count()
	p.verdict()
	p.giveUp()
	p.manage()
	p.status()
	p.releaseFinalizers(false)
	p.Add(p.events...)
	return p.Result
}

// finished reports that the Job has ended and its status will not change.
func (p *plan) finished() bool {
	for _, c := range p.was.Status.Conditions {
		if (c.Type == batchv1.JobComplete || c.Type == batchv1.JobFailed) && c.Status == corev1.ConditionTrue {
			return true
		}
	}
	return false
}

func (p *plan) suspended() bool { return ptr.Deref(p.job.Spec.Suspend, false) }

func (p *plan) indexed() bool {
	return ptr.Deref(p.job.Spec.CompletionMode, batchv1.NonIndexedCompletion) == batchv1.IndexedCompletion
}

// start keeps startTime and the Suspended condition.
func (p *plan) start() {
	s := &p.job.Status
	if p.suspended() {
		if c := p.condition(batchv1.JobSuspended); c == nil || c.Status != corev1.ConditionTrue {
			p.setCondition(batchv1.JobSuspended, corev1.ConditionTrue, "JobSuspended", "Job suspended")
			p.event(corev1.EventTypeNormal, "Suspended", "Job suspended")
		}
		return
	}
	if c := p.condition(batchv1.JobSuspended); c != nil && c.Status == corev1.ConditionTrue {
		p.setCondition(batchv1.JobSuspended, corev1.ConditionFalse, "JobResumed", "Job resumed")
		p.event(corev1.EventTypeNormal, "Resumed", "Job resumed")
		s.StartTime = ptr.To(metav1.NewTime(p.now))
	}
	if s.StartTime == nil {
		s.StartTime = ptr.To(metav1.NewTime(p.now))
	}
	if limit := p.job.Spec.ActiveDeadlineSeconds; limit != nil {
		if wait := s.StartTime.Add(time.Duration(*limit) * time.Second).Sub(p.now); wait > 0 {
			p.RequeueIn(wait)
		}
	}
}

// verdict decides whether the Job has come to its end, and when all its pods have
// stopped and are counted, writes so.
func (p *plan) verdict() {
	target := p.condition(batchv1.JobFailureTarget)
	success := p.condition(batchv1.JobSuccessCriteriaMet)
	if target == nil && success == nil {
		if reason, message := p.failure(); reason != "" {
			p.setCondition(batchv1.JobFailureTarget, corev1.ConditionTrue, reason, message)
		} else if reason, message := p.success(); reason != "" {
			p.setCondition(batchv1.JobSuccessCriteriaMet, corev1.ConditionTrue, reason, message)
		}
		target, success = p.condition(batchv1.JobFailureTarget), p.condition(batchv1.JobSuccessCriteriaMet)
	}
	if len(p.active) > 0 || p.terminating() > 0 || !p.allCounted() {
		return
	}
	switch {
	case success != nil:
		p.setCondition(batchv1.JobComplete, corev1.ConditionTrue, success.Reason, success.Message)
		p.job.Status.CompletionTime = ptr.To(metav1.NewTime(p.now))
		p.event(corev1.EventTypeNormal, "Completed", "Job completed")
	case target != nil:
		p.setCondition(batchv1.JobFailed, corev1.ConditionTrue, target.Reason, target.Message)
		p.event(corev1.EventTypeWarning, target.Reason, target.Message)
	}
}

// ending reports that no more pods shall run.
func (p *plan) ending() bool {
	return p.condition(batchv1.JobFailureTarget) != nil || p.condition(batchv1.JobSuccessCriteriaMet) != nil
}

// failure names the reason to give up, if there is one.
func (p *plan) failure() (reason, message string) {
	if message := p.policyFailure(); message != "" {
		return batchv1.JobReasonPodFailurePolicy, message
	}
	limit := ptr.Deref(p.job.Spec.BackoffLimit, 6)
	if p.failed > limit || p.restartsExceed(limit) {
		return batchv1.JobReasonBackoffLimitExceeded, "Job has reached the specified backoff limit"
	}
	if deadline := p.job.Spec.ActiveDeadlineSeconds; deadline != nil && p.job.Status.StartTime != nil && !p.suspended() &&
		p.now.Sub(p.job.Status.StartTime.Time) >= time.Duration(*deadline)*time.Second {
		return batchv1.JobReasonDeadlineExceeded, "Job was active longer than specified deadline"
	}
	if p.perIndex() {
		return p.indexFailure()
	}
	return "", ""
}

// restartsExceed counts container restarts as failures where pods restart their
// containers in place.
func (p *plan) restartsExceed(limit int32) bool {
	if p.job.Spec.Template.Spec.RestartPolicy != corev1.RestartPolicyOnFailure {
		return false
	}
	var restarts int32
	for _, pod := range p.active {
		for _, list := range [][]corev1.ContainerStatus{pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses} {
			for i := range list {
				restarts += list[i].RestartCount
			}
		}
	}
	if limit == 0 {
		return restarts > 0
	}
	return restarts >= limit
}

func (p *plan) complete() bool {
	if p.job.Spec.Completions == nil {
		return p.succeeded > 0 && len(p.active) == 0
	}
	return p.succeeded >= *p.job.Spec.Completions
}

// status fills in the counts and writes the status if it differs.
func (p *plan) status() {
	s := &p.job.Status
	s.Active = int32(len(p.active))
	var ready int32
	for _, pod := range p.active {
		if podset.IsReady(pod) {
			ready++
		}
	}
	s.Ready = &ready
	s.Terminating = ptr.To(p.terminating())
	if !apiequality.Semantic.DeepEqual(*s, p.was.Status) {
		p.Add(reconcile.UpdateStatus{Object: p.job})
	}
}

func (p *plan) terminating() int32 {
	var n int32
	for _, pod := range p.pods {
		if podset.IsTerminating(pod) {
			n++
		}
	}
	return n
}

func (p *plan) condition(kind batchv1.JobConditionType) *batchv1.JobCondition {
	for i := range p.job.Status.Conditions {
		if p.job.Status.Conditions[i].Type == kind {
			return &p.job.Status.Conditions[i]
		}
	}
	return nil
}

func (p *plan) setCondition(kind batchv1.JobConditionType, status corev1.ConditionStatus, reason, message string) {
	s := &p.job.Status
	s.Conditions = slices.DeleteFunc(s.Conditions, func(c batchv1.JobCondition) bool { return c.Type == kind })
	at := metav1.NewTime(p.now)
	s.Conditions = append(s.Conditions, batchv1.JobCondition{
		Type: kind, Status: status, Reason: reason, Message: message, LastProbeTime: at, LastTransitionTime: at,
	})
}

func (p *plan) event(kind, reason, message string) {
	p.events = append(p.events, reconcile.Event{About: p.was, Type: kind, Reason: reason, Message: message})
}

func without(pod *corev1.Pod, owner types.UID) reconcile.Action {
	freed := pod.DeepCopy()
	freed.OwnerReferences = owned.Without(pod.OwnerReferences, owner)
	freed.Finalizers = slices.DeleteFunc(freed.Finalizers, func(f string) bool { return f == batchv1.JobTrackingFinalizer })
	return reconcile.Update{Object: freed}
}
