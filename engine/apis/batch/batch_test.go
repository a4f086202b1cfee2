package batch

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/pintle-io/pintle/engine/apis/apistest"
)

func job() *batchv1.Job {
	return &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{Name: "once", Namespace: "default", UID: "u1", ResourceVersion: "1"},
		Spec: batchv1.JobSpec{Template: corev1.PodTemplateSpec{
			ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "once"}},
			Spec:       corev1.PodSpec{RestartPolicy: corev1.RestartPolicyNever, Containers: []corev1.Container{{Name: "main", Image: "busybox:1"}}},
		}},
	}
}

func indexedJob(j *batchv1.Job) {
	j.Spec.CompletionMode, j.Spec.Completions = ptr.To(batchv1.IndexedCompletion), ptr.To(int32(5))
}

func TestJobCreate(t *testing.T) {
	rule := func(r batchv1.PodFailurePolicyRule) func(*batchv1.Job) {
		return func(j *batchv1.Job) {
			j.Spec.PodFailurePolicy = &batchv1.PodFailurePolicy{Rules: []batchv1.PodFailurePolicyRule{r}}
		}
	}
	codes := func(values ...int32) *batchv1.PodFailurePolicyOnExitCodesRequirement {
		return &batchv1.PodFailurePolicyOnExitCodesRequirement{Operator: batchv1.PodFailurePolicyOnExitCodesOpIn, Values: values}
	}
	success := func(indexes string) func(*batchv1.Job) {
		return func(j *batchv1.Job) {
			indexedJob(j)
			j.Spec.SuccessPolicy = &batchv1.SuccessPolicy{Rules: []batchv1.SuccessPolicyRule{{SucceededIndexes: &indexes}}}
		}
	}
	apistest.RunCreate(t, jobs(), job, map[string]apistest.Case[*batchv1.Job]{
		"restart always": {Change: func(j *batchv1.Job) { j.Spec.Template.Spec.RestartPolicy = "" }, Want: []string{"spec.template.spec.restartPolicy: Required value"}},
		"restart other":  {Change: func(j *batchv1.Job) { j.Spec.Template.Spec.RestartPolicy = "Maybe" }, Want: []string{"spec.template.spec.restartPolicy: Unsupported value", "spec.template.spec.restartPolicy: Unsupported value"}},
		"parallelism":    {Change: func(j *batchv1.Job) { j.Spec.Parallelism = ptr.To(int32(-1)) }, Want: []string{"spec.parallelism: Invalid value"}},
		"mode":           {Change: func(j *batchv1.Job) { j.Spec.CompletionMode = ptr.To(batchv1.CompletionMode("X")) }, Want: []string{"spec.completionMode: Unsupported value"}},
		"indexed, no completions": {Change: func(j *batchv1.Job) {
			j.Spec.CompletionMode, j.Spec.Parallelism = ptr.To(batchv1.IndexedCompletion), ptr.To(int32(1))
		}, Want: []string{"spec.completions: Required value"}},
		"limit per index": {Change: func(j *batchv1.Job) { j.Spec.BackoffLimitPerIndex = ptr.To(int32(1)) }, Want: []string{"spec.backoffLimitPerIndex: Invalid value"}},
		"own selector": {Change: func(j *batchv1.Job) {
			j.Spec.Selector = &metav1.LabelSelector{MatchLabels: map[string]string{"app": "x"}}
		}, Want: []string{"spec.selector: Invalid value", "spec.template.metadata.labels: Invalid value"}},
		"somebody's uid":      {Change: func(j *batchv1.Job) { j.Spec.Template.Labels[batchv1.ControllerUidLabel] = "u2" }, Want: []string{"spec.template.metadata.labels[batch.kubernetes.io/controller-uid]: Invalid value", "spec.selector: Invalid value", "spec.template.metadata.labels: Invalid value"}},
		"manual, no selector": {Change: func(j *batchv1.Job) { j.Spec.ManualSelector = ptr.To(true) }, Want: []string{"spec.selector: Required value"}},
		"managed by":          {Change: func(j *batchv1.Job) { j.Spec.ManagedBy = ptr.To("me") }, Want: []string{"spec.managedBy: Invalid value"}},
		"rule without cause":  {Change: rule(batchv1.PodFailurePolicyRule{Action: batchv1.PodFailurePolicyActionFailJob}), Want: []string{"spec.podFailurePolicy.rules[0]: Invalid value"}},
		"rule for zero":       {Change: rule(batchv1.PodFailurePolicyRule{Action: batchv1.PodFailurePolicyActionFailJob, OnExitCodes: codes(0, 1)}), Want: []string{"spec.podFailurePolicy.rules[0].onExitCodes.values[0]: Invalid value"}},
		"codes out of order":  {Change: rule(batchv1.PodFailurePolicyRule{Action: batchv1.PodFailurePolicyActionFailJob, OnExitCodes: codes(2, 1)}), Want: []string{"spec.podFailurePolicy.rules[0].onExitCodes.values: Invalid value"}},
		"fail index":          {Change: rule(batchv1.PodFailurePolicyRule{Action: batchv1.PodFailurePolicyActionFailIndex, OnExitCodes: codes(1)}), Want: []string{"spec.podFailurePolicy.rules[0].action: Invalid value"}},
		"success":             {Change: success("0,2-4")},
		"success beyond":      {Change: success("0-5"), Want: []string{"spec.successPolicy.rules[0].succeededIndexes: Invalid value"}},
		"success disorder":    {Change: success("3,1"), Want: []string{"spec.successPolicy.rules[0].succeededIndexes: Invalid value"}},
	})
}

func TestJobSelectorIsGenerated(t *testing.T) {
	j := job()
	if errs := apistest.Create(jobs(), j); len(errs) > 0 {
		t.Fatal(errs.ToAggregate())
	}
	if diff := cmp.Diff(map[string]string{batchv1.ControllerUidLabel: "u1"}, j.Spec.Selector.MatchLabels); diff != "" {
		t.Errorf("selector (-want +got):\n%s", diff)
	}
	want := map[string]string{"app": "once", "job-name": "once", "controller-uid": "u1", batchv1.JobNameLabel: "once", batchv1.ControllerUidLabel: "u1"}
	if diff := cmp.Diff(want, j.Spec.Template.Labels); diff != "" {
		t.Errorf("template labels (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want, j.Labels); diff != "" {
		t.Errorf("labels (-want +got):\n%s", diff)
	}
	if *j.Spec.BackoffLimit != 6 || *j.Spec.Completions != 1 || *j.Spec.Parallelism != 1 || *j.Spec.PodReplacementPolicy != batchv1.TerminatingOrFailed {
		t.Errorf("defaults: %+v", j.Spec)
	}
}

func TestJobUpdate(t *testing.T) {
	cases := map[string]apistest.Case[*batchv1.Job]{
		"parallelism": {Change: func(j *batchv1.Job) { j.Spec.Parallelism = ptr.To(int32(3)) }},
		"suspend":     {Change: func(j *batchv1.Job) { j.Spec.Suspend = ptr.To(true) }},
		"completions": {Change: func(j *batchv1.Job) { j.Spec.Completions = ptr.To(int32(3)) }, Want: []string{"spec.completions: Invalid value"}},
		"image":       {Change: func(j *batchv1.Job) { j.Spec.Template.Spec.Containers[0].Image = "x" }, Want: []string{"spec.template: Invalid value"}},
		"node":        {Change: func(j *batchv1.Job) { j.Spec.Template.Spec.NodeSelector = map[string]string{"a": "b"} }, Want: []string{"spec.template: Invalid value"}},
	}
	apistest.RunUpdate(t, jobs(), job, cases)
	suspended := func() *batchv1.Job {
		j := job()
		j.Spec.Suspend = ptr.To(true)
		return j
	}
	apistest.RunUpdate(t, jobs(), suspended, map[string]apistest.Case[*batchv1.Job]{
		"node":  {Change: func(j *batchv1.Job) { j.Spec.Template.Spec.NodeSelector = map[string]string{"a": "b"} }},
		"image": cases["image"],
	})
	elastic := func() *batchv1.Job {
		j := job()
		indexedJob(j)
		j.Spec.Parallelism = ptr.To(int32(5))
		return j
	}
	apistest.RunUpdate(t, jobs(), elastic, map[string]apistest.Case[*batchv1.Job]{
		"both": {Change: func(j *batchv1.Job) { j.Spec.Completions, j.Spec.Parallelism = ptr.To(int32(3)), ptr.To(int32(3)) }},
		"one":  {Change: func(j *batchv1.Job) { j.Spec.Completions = ptr.To(int32(3)) }, Want: []string{"spec.completions: Invalid value"}},
	})
}

func TestJobStatus(t *testing.T) {
	complete := batchv1.JobCondition{Type: batchv1.JobComplete, Status: corev1.ConditionTrue}
	apistest.RunStatus(t, jobs(), job, map[string]apistest.Case[*batchv1.Job]{
		"complete": {Change: func(j *batchv1.Job) {
			j.Status.Conditions, j.Status.CompletionTime = []batchv1.JobCondition{complete}, ptr.To(metav1.Now())
		}},
		"complete, no time": {Change: func(j *batchv1.Job) { j.Status.Conditions = []batchv1.JobCondition{complete} }, Want: []string{"status.completionTime: Required value"}},
		"negative":          {Change: func(j *batchv1.Job) { j.Status.Failed = -1 }, Want: []string{"status.failed: Invalid value"}},
	})
}

func TestCronJob(t *testing.T) {
	base := func() *batchv1.CronJob {
		return &batchv1.CronJob{
			ObjectMeta: metav1.ObjectMeta{Name: "nightly", Namespace: "default", ResourceVersion: "1"},
			Spec:       batchv1.CronJobSpec{Schedule: "0 3 * * *", JobTemplate: batchv1.JobTemplateSpec{Spec: job().Spec}},
		}
	}
	apistest.RunCreate(t, cronJobs(), base, map[string]apistest.Case[*batchv1.CronJob]{
		"schedule":       {Change: func(c *batchv1.CronJob) { c.Spec.Schedule = "at night" }, Want: []string{"spec.schedule: Invalid value"}},
		"no schedule":    {Change: func(c *batchv1.CronJob) { c.Spec.Schedule = "" }, Want: []string{"spec.schedule: Required value"}},
		"macro":          {Change: func(c *batchv1.CronJob) { c.Spec.Schedule = "@hourly" }},
		"zone in it":     {Change: func(c *batchv1.CronJob) { c.Spec.Schedule = "TZ=UTC 0 3 * * *" }, Want: []string{"spec.schedule: Invalid value"}},
		"zone":           {Change: func(c *batchv1.CronJob) { c.Spec.TimeZone = ptr.To("Nowhere/Else") }, Want: []string{"spec.timeZone: Invalid value"}},
		"concurrency":    {Change: func(c *batchv1.CronJob) { c.Spec.ConcurrencyPolicy = "Sometimes" }, Want: []string{"spec.concurrencyPolicy: Unsupported value"}},
		"name":           {Change: func(c *batchv1.CronJob) { c.Name = "a23456789012345678901234567890123456789012345678901234" }, Want: []string{"metadata.name: Invalid value"}},
		"restart policy": {Change: func(c *batchv1.CronJob) { c.Spec.JobTemplate.Spec.Template.Spec.RestartPolicy = "" }, Want: []string{"spec.jobTemplate.spec.template.spec.restartPolicy: Required value"}},
	})
}

func TestJobCells(t *testing.T) {
	start := metav1.NewTime(time.Now().Add(-time.Hour))
	j := job()
	defaultJob(j)
	j.Status = batchv1.JobStatus{
		StartTime: &start, CompletionTime: ptr.To(metav1.NewTime(start.Add(90 * time.Second))), Succeeded: 1,
		Conditions: []batchv1.JobCondition{{Type: batchv1.JobComplete, Status: corev1.ConditionTrue}},
	}
	cells := apistest.Cells(jobs(), j)
	if cells["Status"] != "Complete" || cells["Completions"] != "1/1" || cells["Duration"] != "90s" || cells["Images"] != "busybox:1" {
		t.Errorf("cells: %v", cells)
	}
	want := []string{"Name", "Status", "Completions", "Duration", "Age", "(Containers)", "(Images)", "(Selector)"}
	if diff := cmp.Diff(want, apistest.Columns(jobs())); diff != "" {
		t.Errorf("columns (-want +got):\n%s", diff)
	}
	want = []string{"Name", "Schedule", "Timezone", "Suspend", "Active", "Last Schedule", "Age", "(Containers)", "(Images)", "(Selector)"}
	if diff := cmp.Diff(want, apistest.Columns(cronJobs())); diff != "" {
		t.Errorf("columns (-want +got):\n%s", diff)
	}
}
