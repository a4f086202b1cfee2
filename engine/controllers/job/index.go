package job

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
)

// indexSet is a set of completion indexes.
type indexSet map[int]bool

// parseIndexes reads "1,3-5,7".
func parseIndexes(s string) indexSet {
	out := indexSet{}
	for part := range strings.SplitSeq(s, ",") {
		from, to, isRange := strings.Cut(part, "-")
		first, err := strconv.Atoi(from)
		if err != nil {
			continue
		}
		last := first
		if isRange {
			if last, err = strconv.Atoi(to); err != nil {
				continue
			}
		}
		for i := first; i <= last; i++ {
			out[i] = true
		}
	}
	return out
}

// String writes the set as parseIndexes reads it; two neighbours are joined by a
// comma, three or more become a range.
func (s indexSet) String() string {
	sorted := slices.Sorted(maps.Keys(s))
	var parts []string
	for i := 0; i < len(sorted); {
		j := i
		for j+1 < len(sorted) && sorted[j+1] == sorted[j]+1 {
			j++
		}
		switch j - i {
		case 0:
			parts = append(parts, strconv.Itoa(sorted[i]))
		case 1:
			parts = append(parts, fmt.Sprintf("%d,%d", sorted[i], sorted[j]))
		default:
			parts = append(parts, fmt.Sprintf("%d-%d", sorted[i], sorted[j]))
		}
		i = j + 1
	}
	return strings.Join(parts, ",")
}

// indexOf is the completion index of a pod.
func indexOf(pod *corev1.Pod) (int, bool) {
	n, err := strconv.Atoi(pod.Annotations[batchv1.JobCompletionIndexAnnotation])
	return n, err == nil && n >= 0
}

// pending lists the first n indexes that shall have a pod now: they did not end,
// nor run, nor wait for their back-off.
func (p *plan) pending(n int) []int {
	var out []int
	for i := 0; i < int(*p.job.Spec.Completions) && len(out) < n; i++ {
		if p.done[i] || p.running[i] || p.lost[i] {
			continue
		}
		if wait := p.indexBackoff(i); wait > 0 {
			p.RequeueIn(wait)
			continue
		}
		out = append(out, i)
	}
	return out
}

// setIndex makes a pod the one of its index: names, label, annotation and the
// environment variable by which its containers know.
func setIndex(pod *corev1.Pod, job *batchv1.Job, index int) {
	name := fmt.Sprintf("%s-%d", job.Name, index)
	pod.GenerateName = name + "-"
	pod.Spec.Hostname = name
	value := strconv.Itoa(index)
	if pod.Annotations == nil {
		pod.Annotations = map[string]string{}
	}
	pod.Annotations[batchv1.JobCompletionIndexAnnotation] = value
	if pod.Labels == nil {
		pod.Labels = map[string]string{}
	}
	pod.Labels[batchv1.JobCompletionIndexAnnotation] = value
	for _, list := range [][]corev1.Container{pod.Spec.InitContainers, pod.Spec.Containers} {
		for i := range list {
			addIndexEnv(&list[i])
		}
	}
}

func addIndexEnv(c *corev1.Container) {
	const name = "JOB_COMPLETION_INDEX"
	for i := range c.Env {
		if c.Env[i].Name == name {
			return
		}
	}
	c.Env = append(c.Env, corev1.EnvVar{Name: name, ValueFrom: &corev1.EnvVarSource{
		FieldRef: &corev1.ObjectFieldSelector{FieldPath: fmt.Sprintf("metadata.labels['%s']", batchv1.JobCompletionIndexAnnotation)},
	}})
}
