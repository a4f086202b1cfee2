package job

import (
	"fmt"
	"math"
	"strconv"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
)

// perIndex reports that each index of the Job has a back-off limit of its own.
func (p *plan) perIndex() bool { return p.indexed() && p.job.Spec.BackoffLimitPerIndex != nil }

// failures is how often an index failed, as its last failed pod tells: each pod
// carries the number of failures before it. Ignored ones delay the next pod, and
// count for nothing else.
type failures struct {
	pod              *corev1.Pod
	counted, ignored int
}

func failuresBefore(pod *corev1.Pod) failures {
	number := func(annotation string) int {
		n, err := strconv.Atoi(pod.Annotations[annotation])
		if err != nil {
			return 0
		}
		return max(n, 0)
	}
	return failures{pod, number(batchv1.JobIndexFailureCountAnnotation), number(batchv1.JobIndexIgnoredFailureCountAnnotation)}
}

// findFailures notes the last failed pod of each index, and the indexes that must
// not run again: those over their limit, and those a FailIndex rule ended.
func (p *plan) findFailures() {
	p.last, p.lost = map[int]failures{}, indexSet{}
	if !p.perIndex() {
		return
	}
	p.lost = parseIndexes(ptr.Deref(p.job.Status.FailedIndexes, ""))
	for _, pod := range p.pods {
		index, ok := indexOf(pod)
		if !ok || index >= int(*p.job.Spec.Completions) || !p.failedPod(pod) {
			continue
		}
		f := failuresBefore(pod)
		ignored := p.ignored(pod)
		_, rule := p.matchingRule(pod)
		ended := rule != nil && rule.Action == batchv1.PodFailurePolicyActionFailIndex
		if ended || !ignored && f.counted >= int(*p.job.Spec.BackoffLimitPerIndex) {
			p.lost[index] = true
		}
		if ignored {
			f.ignored++
		} else {
			f.counted++
		}
		if old, ok := p.last[index]; !ok || old.counted+old.ignored < f.counted+f.ignored {
			p.last[index] = f
		}
	}
	for index := range p.done {
		delete(p.lost, index)
	}
	p.job.Status.FailedIndexes = ptr.To(p.lost.String())
}

// remembers reports that a failed pod is the only one to know how often its index
// failed: it must stay until its successor exists.
func (p *plan) remembers(pod *corev1.Pod) bool {
	index, ok := indexOf(pod)
	return ok && !p.ending() && p.last[index].pod == pod && !p.running[index] && !p.lost[index] && !p.done[index]
}

// indexBackoff is how long the next pod of an index has to wait.
func (p *plan) indexBackoff(index int) time.Duration {
	f, ok := p.last[index]
	if !ok {
		return 0
	}
	delay := min(time.Duration(float64(firstBackoff)*math.Pow(2, float64(f.counted+f.ignored-1))), maxBackoff)
	return max(finishedAt(f.pod).Add(delay).Sub(p.now), 0)
}

// setFailures tells a new pod how often its index failed before.
func (p *plan) setFailures(pod *corev1.Pod, index int) {
	if !p.perIndex() {
		return
	}
	f := p.last[index]
	pod.Annotations[batchv1.JobIndexFailureCountAnnotation] = strconv.Itoa(f.counted)
	if f.ignored > 0 {
		pod.Annotations[batchv1.JobIndexIgnoredFailureCountAnnotation] = strconv.Itoa(f.ignored)
	}
}

// indexFailure names the reason to give up over failed indexes: too many, or all
// others are done.
func (p *plan) indexFailure() (reason, message string) {
	if most := p.job.Spec.MaxFailedIndexes; most != nil && len(p.lost) > int(*most) {
		return batchv1.JobReasonMaxFailedIndexesExceeded, "Job has exceeded the specified maximal number of failed indexes"
	}
	if len(p.lost) > 0 && len(p.lost)+len(p.done) >= int(*p.job.Spec.Completions) {
		return batchv1.JobReasonFailedIndexes, "Job has failed indexes"
	}
	return "", ""
}

// successRule is the first rule of the success policy that the succeeded indexes
// fulfil, or -1.
func (p *plan) successRule() int {
	if p.job.Spec.SuccessPolicy == nil || !p.indexed() {
		return -1
	}
	for i := range p.job.Spec.SuccessPolicy.Rules {
		rule := &p.job.Spec.SuccessPolicy.Rules[i]
		got, want := len(p.done), 0
		if rule.SucceededIndexes != nil {
			listed := parseIndexes(*rule.SucceededIndexes)
			got, want = 0, len(listed)
			for index := range listed {
				if p.done[index] {
					got++
				}
			}
		}
		if got >= int(ptr.Deref(rule.SucceededCount, int32(want))) {
			return i
		}
	}
	return -1
}

// success names why the Job has reached its goal, if it has.
func (p *plan) success() (reason, message string) {
	if rule := p.successRule(); rule >= 0 {
		return batchv1.JobReasonSuccessPolicy, fmt.Sprintf("Matched rules at index %d", rule)
	}
	if p.complete() {
		return batchv1.JobReasonCompletionsReached, "Reached expected number of succeeded pods"
	}
	return "", ""
}
