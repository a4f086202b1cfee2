package batch

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	"github.com/pintle-io/pintle/engine/apis"
	"github.com/pintle-io/pintle/engine/apis/core"
)

// maxCronJobName leaves room for the time that job names end with.
const maxCronJobName = 52

var concurrencyPolicies = []batchv1.ConcurrencyPolicy{batchv1.AllowConcurrent, batchv1.ForbidConcurrent, batchv1.ReplaceConcurrent}

func validateCronJob(_ context.Context, c *batchv1.CronJob) field.ErrorList {
	errs := apis.ValidateMeta(&c.ObjectMeta, true, validation.NameIsDNSSubdomain, metadata)
	errs = append(errs, validateCronJobSpec(&c.Spec, nil, specPath)...)
	if len(c.Name) > maxCronJobName {
		errs = append(errs, field.Invalid(metadata.Child("name"), c.Name, "must be no more than 52 characters"))
	}
	return errs
}

func validateCronJobUpdate(_ context.Context, c, old *batchv1.CronJob) field.ErrorList {
	errs := apis.ValidateMetaUpdate(&c.ObjectMeta, &old.ObjectMeta, metadata)
	return append(errs, validateCronJobSpec(&c.Spec, &old.Spec, specPath)...)
}

func validateCronJobSpec(spec, old *batchv1.CronJobSpec, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	scheduleAt := at.Child("schedule")
	if spec.Schedule == "" {
		errs = append(errs, field.Required(scheduleAt, ""))
	} else if old == nil || spec.Schedule != old.Schedule {
		errs = append(errs, validateSchedule(spec.Schedule, scheduleAt)...)
	}
	if s := spec.StartingDeadlineSeconds; s != nil {
		errs = append(errs, validation.ValidateNonnegativeField(*s, at.Child("startingDeadlineSeconds"))...)
	}
	if old == nil || !samePtr(spec.TimeZone, old.TimeZone) {
		errs = append(errs, validateTimeZone(spec.TimeZone, at.Child("timeZone"))...)
	}
	switch p := spec.ConcurrencyPolicy; {
	case p == "":
		errs = append(errs, field.Required(at.Child("concurrencyPolicy"), ""))
	case !slices.Contains(concurrencyPolicies, p):
		errs = append(errs, field.NotSupported(at.Child("concurrencyPolicy"), p, concurrencyPolicies))
	}
	templateAt := at.Child("jobTemplate")
	errs = append(errs, validateAnyJobSpec(&spec.JobTemplate.Spec, templateAt.Child("spec"))...)
	if selector := spec.JobTemplate.Spec.Selector; selector != nil {
		errs = append(errs, field.Invalid(templateAt.Child("spec", "selector"), selector, "`selector` will be auto-generated"))
	}
	if ptr.Deref(spec.JobTemplate.Spec.ManualSelector, false) {
		errs = append(errs, field.NotSupported(templateAt.Child("spec", "manualSelector"), true, []string{"nil", "false"}))
	}
	if l := spec.SuccessfulJobsHistoryLimit; l != nil {
		errs = append(errs, core.ValidateNotNegative(*l, at.Child("successfulJobsHistoryLimit"))...)
	}
	if l := spec.FailedJobsHistoryLimit; l != nil {
		errs = append(errs, core.ValidateNotNegative(*l, at.Child("failedJobsHistoryLimit"))...)
	}
	return errs
}

func samePtr(a, b *string) bool { return a == nil && b == nil || a != nil && b != nil && *a == *b }

func validateSchedule(s string, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	if _, err := cron.ParseStandard(s); err != nil {
		errs = append(errs, field.Invalid(at, s, err.Error()))
	}
	if strings.Contains(s, "TZ") {
		errs = append(errs, field.Invalid(at, s, "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"))
	}
	return errs
}

// zonePart is what the names of time zones are made of.
var zonePart = regexp.MustCompile(`^[A-Za-z\.\-_0-9+]{1,14}$`)

func validateTimeZone(zone *string, at *field.Path) field.ErrorList {
	if zone == nil {
		return nil
	}
	if *zone == "" {
		return field.ErrorList{field.Invalid(at, *zone, "timeZone must be nil or non-empty string")}
	}
	for _, part := range strings.Split(*zone, "/") {
		if part == "." || part == ".." || strings.HasPrefix(part, "-") || !zonePart.MatchString(part) {
			return field.ErrorList{field.Invalid(at, *zone, "unknown time zone "+*zone)}
		}
	}
	var errs field.ErrorList
	if strings.EqualFold(*zone, "local") {
		errs = append(errs, field.Invalid(at, *zone, "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones"))
	}
	if _, err := time.LoadLocation(*zone); err != nil {
		errs = append(errs, field.Invalid(at, *zone, err.Error()))
	}
	return errs
}
