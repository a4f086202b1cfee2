package job

import (
	"slices"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/pintle-io/pintle/engine/controllers/podset"
	"github.com/pintle-io/pintle/engine/reconcile"
)

// failedPod reports that a pod counts as a failure: it failed, or it is being
// deleted without having succeeded (unless replacement waits for the failure).
func (p *plan) failedPod(pod *corev1.Pod) bool {
	if pod.Status.Phase == corev1.PodFailed {
		return true
	}
	if policy := p.job.Spec.PodReplacementPolicy; policy != nil && *policy == batchv1.Failed {
		return false
	}
	return pod.DeletionTimestamp != nil && pod.Status.Phase != corev1.PodSucceeded
}

func tracked(pod *corev1.Pod) bool {
	return slices.Contains(pod.Finalizers, batchv1.JobTrackingFinalizer)
}

// count brings the uncounted lists and the counters one step further.
func (p *plan) count() {
	s := &p.job.Status
	if s.UncountedTerminatedPods == nil {
		s.UncountedTerminatedPods = &batchv1.UncountedTerminatedPods{}
	}
	uncounted := s.UncountedTerminatedPods
	holding := map[types.UID]bool{}
	for _, pod := range p.pods {
		if tracked(pod) {
			holding[pod.UID] = true
		}
	}
	settle := func(uids []types.UID, counter *int32) []types.UID {
		var rest []types.UID
		for _, uid := range uids {
			if holding[uid] {
				rest = append(rest, uid)
			} else {
				*counter++
			}
		}
		return rest
	}
	uncounted.Succeeded = settle(uncounted.Succeeded, &s.Succeeded)
	uncounted.Failed = settle(uncounted.Failed, &s.Failed)
	p.done = parseIndexes(s.CompletedIndexes)
	p.running = indexSet{}
	for _, pod := range p.pods {
		p.countPod(pod, uncounted)
	}
	p.findFailures()
	if p.indexed() {
		s.CompletedIndexes = p.done.String()
		s.Succeeded = int32(len(p.done))
		uncounted.Succeeded = nil
	}
	p.succeeded = s.Succeeded + int32(len(uncounted.Succeeded))
	p.failed = s.Failed + int32(len(uncounted.Failed))
}

func (p *plan) countPod(pod *corev1.Pod, uncounted *batchv1.UncountedTerminatedPods) {
	index, hasIndex := indexOf(pod)
	switch {
	case p.indexed() && (!hasIndex || index >= int(*p.job.Spec.Completions)):
	case pod.Status.Phase == corev1.PodSucceeded:
		if !tracked(pod) {
			return
		}
		if p.indexed() {
			p.done[index] = true
		} else if !slices.Contains(uncounted.Succeeded, pod.UID) {
			uncounted.Succeeded = append(uncounted.Succeeded, pod.UID)
		}
	case p.failedPod(pod):
		if tracked(pod) && !slices.Contains(uncounted.Failed, pod.UID) && !p.ignored(pod) {
			uncounted.Failed = append(uncounted.Failed, pod.UID)
		}
	case hasIndex && pod.DeletionTimestamp == nil:
		p.running[index] = true
	}
}

// giveUp counts, once the Job is to fail, also those pods as failures that are being
// deleted and have not ended: nobody waits for how they end.
func (p *plan) giveUp() {
	if p.condition(batchv1.JobFailureTarget) == nil {
		return
	}
	uncounted := p.job.Status.UncountedTerminatedPods
	for _, pod := range p.pods {
		if !tracked(pod) || !podset.IsTerminating(pod) || slices.Contains(uncounted.Failed, pod.UID) {
			continue
		}
		if index, ok := indexOf(pod); p.indexed() && (!ok || index >= int(*p.job.Spec.Completions)) {
			continue
		}
		uncounted.Failed = append(uncounted.Failed, pod.UID)
	}
}

// allCounted reports that no finished pod still waits to enter a counter.
func (p *plan) allCounted() bool {
	u := p.job.Status.UncountedTerminatedPods
	if u != nil && len(u.Succeeded)+len(u.Failed) > 0 {
		return false
	}
	for _, pod := range p.pods {
		if tracked(pod) {
			return false
		}
	}
	return true
}

// releaseFinalizers lets go of pods that are written down (the status update
// comes before this in the plan) or that no longer matter, as the Job is about to
// end; or of all if it has ended.
func (p *plan) releaseFinalizers(all bool) {
	var batch reconcile.Batch
	for _, pod := range p.pods {
		settled := pod.Status.Phase == corev1.PodSucceeded || p.failedPod(pod) || p.ending() && podset.IsTerminating(pod)
		if !tracked(pod) || !all && !settled {
			continue
		}
		if !all && p.remembers(pod) {
			continue
		}
		batch = append(batch, release(pod))
	}
	if len(batch) > 0 {
		p.Add(batch)
	}
}

func release(pod *corev1.Pod) reconcile.Action {
	freed := pod.DeepCopy()
	freed.Finalizers = slices.DeleteFunc(freed.Finalizers, func(f string) bool { return f == batchv1.JobTrackingFinalizer })
	return reconcile.Update{Object: freed}
}
