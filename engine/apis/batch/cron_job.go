package batch

import (
	"context"
	"fmt"
	"strconv"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"github.com/pintle-io/pintle/engine/apis"
	"github.com/pintle-io/pintle/engine/apis/core"
)

func cronJobs() apis.Resource {
	parts := apis.Parts[*batchv1.CronJob, batchv1.CronJobSpec, batchv1.CronJobStatus]{
		Spec:   func(c *batchv1.CronJob) *batchv1.CronJobSpec { return &c.Spec },
		Status: func(c *batchv1.CronJob) *batchv1.CronJobStatus { return &c.Status },
	}
	rules := apis.TypedRules[*batchv1.CronJob]{
		Default:                defaultCronJob,
		PrepareForCreate:       parts.Create,
		PrepareForUpdate:       parts.Update,
		PrepareForStatusUpdate: parts.UpdateStatus,
		Validate:               validateCronJob,
		ValidateUpdate:         validateCronJobUpdate,
		ValidateStatusUpdate: func(_ context.Context, c, old *batchv1.CronJob) field.ErrorList {
			return apis.ValidateMetaUpdate(&c.ObjectMeta, &old.ObjectMeta, metadata)
		},
		WarningsOnCreate: func(_ context.Context, c *batchv1.CronJob) []string { return cronJobWarnings(c, nil) },
		WarningsOnUpdate: func(_ context.Context, c, old *batchv1.CronJob) []string { return cronJobWarnings(c, old) },
	}.Rules()
	rules.DeclaredOptions = map[string]bool{"WorkloadWithJob": false}
	return apis.Resource{
		GVK: kind("CronJob"), Plural: "cronjobs", Singular: "cronjob", ShortNames: []string{"cj"}, Categories: []string{"all"}, Namespaced: true,
		New:       func() runtime.Object { return &batchv1.CronJob{} },
		NewList:   func() runtime.Object { return &batchv1.CronJobList{} },
		Rules:     rules,
		Columns:   cronJobColumns(),
		HasStatus: true,
	}
}

func defaultCronJob(c *batchv1.CronJob) {
	setDefault(&c.Spec.ConcurrencyPolicy, batchv1.AllowConcurrent)
	setDefaultPtr(&c.Spec.Suspend, false)
	setDefaultPtr(&c.Spec.SuccessfulJobsHistoryLimit, 3)
	setDefaultPtr(&c.Spec.FailedJobsHistoryLimit, 1)
	defaultJobSpec(&c.Spec.JobTemplate.Spec)
}

func cronJobColumns() []apis.Column {
	template := func(c *batchv1.CronJob) *batchv1.JobSpec { return &c.Spec.JobTemplate.Spec }
	return []apis.Column{
		apis.NameColumn(),
		apis.Text("Schedule", "When jobs are made, in cron form.", func(c *batchv1.CronJob) string { return c.Spec.Schedule }),
		apis.Text("Timezone", "The time zone of the schedule.", func(c *batchv1.CronJob) string { return apis.OrNone(ptr.Deref(c.Spec.TimeZone, "")) }),
		{Name: "Suspend", Type: "boolean", Description: "Whether no jobs are made.", Cell: apis.Text("", "", func(c *batchv1.CronJob) string {
			if c.Spec.Suspend == nil {
				return "<unset>"
			}
			return titleBool(*c.Spec.Suspend)
		}).Cell},
		apis.Number("Active", "Jobs running now.", func(c *batchv1.CronJob) int64 { return int64(len(c.Status.Active)) }),
		apis.Text("Last Schedule", "Time since a job was last made.", func(c *batchv1.CronJob) string {
			if c.Status.LastScheduleTime == nil {
				return "<none>"
			}
			return apis.Since(*c.Status.LastScheduleTime)
		}),
		apis.AgeColumn(),
		apis.Text("Containers", "Names of each container in the template.", func(c *batchv1.CronJob) string { return core.ContainerNames(&template(c).Template.Spec) }).Wide(),
		apis.Text("Images", "Images referenced by each container in the template.", func(c *batchv1.CronJob) string { return core.ContainerImages(&template(c).Template.Spec) }).Wide(),
		apis.Text("Selector", "The labels of the pods counted.", func(c *batchv1.CronJob) string { return core.FormatSelector(template(c).Selector) }).Wide(),
	}
}

// titleBool writes True or False, as the table of cron jobs always has.
func titleBool(b bool) string {
	s := strconv.FormatBool(b)
	return string(s[0]-'a'+'A') + s[1:]
}

func cronJobWarnings(c, old *batchv1.CronJob) []string {
	var out []string
	var was *corev1.PodTemplateSpec
	if old != nil {
		was = &old.Spec.JobTemplate.Spec.Template
	} else if bad := utilvalidation.IsDNS1123Label(c.Name); len(bad) > 0 {
		out = append(out, fmt.Sprintf("metadata.name: this is used in Pod names and hostnames, which can result in surprising behavior; a DNS label is recommended: %v", bad))
	}
	return append(out, core.PodTemplateWarnings(specPath.Child("jobTemplate", "spec", "template"), &c.Spec.JobTemplate.Spec.Template, was)...)
}
