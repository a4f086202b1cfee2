// Package cronjob starts Jobs on a schedule: missed starts are made up for within
// the starting deadline (the last of them only), concurrency is as the policy
// says, and old Jobs are removed.
package cronjob

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/robfig/cron/v3"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/pintle-io/pintle/engine/reconcile"
)

// Kind is the kind of the owner in the Jobs' owner references.
var Kind = batchv1.SchemeGroupVersion.WithKind("CronJob")

var jobs = batchv1.SchemeGroupVersion.WithResource("jobs")

// maxMissed is how many missed starts mean that the clock or the schedule is off.
const maxMissed = 100

// Observed is the snapshot of one CronJob and the Jobs it controls.
type Observed struct {
	CronJob *batchv1.CronJob
	Jobs    []*batchv1.Job
	Now     time.Time
}

// Plan decides whether a Job is due, and what to remove.
func Plan(o Observed) reconcile.Result {
	var result reconcile.Result
	cj := o.CronJob.DeepCopy()
	track(&result, o, cj)
	if cj.DeletionTimestamp == nil {
		clean(&result, o)
		if !ptr.Deref(cj.Spec.Suspend, false) {
			start(&result, o, cj)
		}
	}
	if !apiequality.Semantic.DeepEqual(cj.Status, o.CronJob.Status) {
		result.Add(reconcile.UpdateStatus{Object: cj})
	}
	return result
}

// track keeps the list of active Jobs and the last success.
func track(result *reconcile.Result, o Observed, cj *batchv1.CronJob) {
	was := cj.Status.Active
	cj.Status.Active = nil
	for _, job := range sorted(o.Jobs) {
		done, kind := finished(job)
		listed := slices.ContainsFunc(was, func(r corev1.ObjectReference) bool { return r.UID == job.UID })
		if !done {
			cj.Status.Active = append(cj.Status.Active, reference(job))
			continue
		}
		if listed {
			result.Add(reconcile.Event{About: o.CronJob, Type: corev1.EventTypeNormal, Reason: "SawCompletedJob",
				Message: fmt.Sprintf("Saw completed job: %s, condition: %v", job.Name, kind)})
		}
		if t := job.Status.CompletionTime; kind == batchv1.JobComplete && t != nil &&
			(cj.Status.LastSuccessfulTime == nil || t.After(cj.Status.LastSuccessfulTime.Time)) {
			cj.Status.LastSuccessfulTime = t
		}
	}
}

// clean deletes finished Jobs beyond the history limits, oldest first.
func clean(result *reconcile.Result, o Observed) {
	for kind, limit := range map[batchv1.JobConditionType]*int32{
		batchv1.JobComplete: o.CronJob.Spec.SuccessfulJobsHistoryLimit, batchv1.JobFailed: o.CronJob.Spec.FailedJobsHistoryLimit,
	} {
		if limit == nil {
			continue
		}
		var old []*batchv1.Job
		for _, job := range sorted(o.Jobs) {
			if done, how := finished(job); done && how == kind && job.DeletionTimestamp == nil {
				old = append(old, job)
			}
		}
		for _, job := range old[:max(len(old)-int(*limit), 0)] {
			result.Add(remove(o, job))
		}
	}
	slices.SortStableFunc(result.Actions, func(a, b reconcile.Action) int { return cmp.Compare(deleted(a), deleted(b)) })
}

func deleted(a reconcile.Action) string {
	if d, ok := a.(reconcile.Delete); ok {
		return d.Name
	}
	return ""
}

// start creates the Job of the last start that is due, and asks to be called at
// the next.
func start(result *reconcile.Result, o Observed, cj *batchv1.CronJob) {
	schedule, err := parse(cj)
	if err != nil {
		result.Add(reconcile.Event{About: o.CronJob, Type: corev1.EventTypeWarning, Reason: "UnparseableSchedule",
			Message: fmt.Sprintf("unparseable schedule: %q : %s", cj.Spec.Schedule, err)})
		return
	}
	result.RequeueIn(schedule.Next(o.Now).Sub(o.Now) + 100*time.Millisecond)
	due, missed := lastDue(cj, schedule, o.Now)
	if due.IsZero() {
		return
	}
	if missed > maxMissed {
		result.Add(reconcile.Event{About: o.CronJob, Type: corev1.EventTypeWarning, Reason: "TooManyMissedTimes",
			Message: "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew"})
	}
	if d := cj.Spec.StartingDeadlineSeconds; d != nil && due.Add(time.Duration(*d)*time.Second).Before(o.Now) {
		result.Add(reconcile.Event{About: o.CronJob, Type: corev1.EventTypeWarning, Reason: "MissSchedule",
			Message: "Missed scheduled time to start a job: " + due.UTC().Format(time.RFC1123Z)})
		return
	}
	at := metav1.NewTime(due)
	job := newJob(o.CronJob, due)
	if slices.ContainsFunc(o.Jobs, func(j *batchv1.Job) bool { return j.Name == job.Name }) {
		cj.Status.LastScheduleTime = &at // started before a crash could note it
		return
	}
	if len(cj.Status.Active) > 0 && !concurrent(result, o, cj) {
		return
	}
	result.Add(reconcile.Create{Object: job, Announce: &reconcile.Announce{
		About:  o.CronJob,
		Done:   reconcile.Message{Reason: "SuccessfulCreate", Format: "Created job %s"},
		Failed: reconcile.Message{Type: corev1.EventTypeWarning, Reason: "FailedCreate", Format: "Error creating job: %v"},
	}})
	cj.Status.LastScheduleTime = &at
}

// concurrent applies the policy to Jobs that still run; false means wait.
func concurrent(result *reconcile.Result, o Observed, cj *batchv1.CronJob) bool {
	switch cj.Spec.ConcurrencyPolicy {
	case batchv1.ForbidConcurrent:
		result.Add(reconcile.Event{About: o.CronJob, Type: corev1.EventTypeNormal, Reason: "JobAlreadyActive",
			Message: "Not starting job because prior execution is running and concurrency policy is Forbid"})
		return false
	case batchv1.ReplaceConcurrent:
		for _, job := range sorted(o.Jobs) {
			if done, _ := finished(job); !done {
				result.Add(remove(o, job))
			}
		}
		cj.Status.Active = nil
	}
	return true
}

func parse(cj *batchv1.CronJob) (cron.Schedule, error) {
	spec := cj.Spec.Schedule
	if zone := ptr.Deref(cj.Spec.TimeZone, ""); zone != "" {
		if _, err := time.LoadLocation(zone); err != nil {
			return nil, err
		}
		spec = "CRON_TZ=" + zone + " " + spec
	}
	return cron.ParseStandard(spec)
}

// lastDue is the latest start not made yet, and how many were missed. An
// @every schedule or one with many misses is stepped over, not counted out.
func lastDue(cj *batchv1.CronJob, schedule cron.Schedule, now time.Time) (due time.Time, missed int) {
	from := cj.CreationTimestamp.Time
	if cj.Status.LastScheduleTime != nil {
		from = cj.Status.LastScheduleTime.Time
	}
	if d := cj.Spec.StartingDeadlineSeconds; d != nil {
		if earliest := now.Add(-time.Duration(*d) * time.Second); earliest.After(from) {
			from = earliest
		}
	}
	for t := schedule.Next(from); !t.IsZero() && !t.After(now); t = schedule.Next(t) {
		due = t
		if missed++; missed > maxMissed {
			return skipAhead(schedule, t, now), missed
		}
	}
	return due, missed
}

// skipAhead finds the last start before now without walking all the way.
func skipAhead(schedule cron.Schedule, from, now time.Time) time.Time {
	last := from
	for back := time.Minute; ; back *= 2 {
		begin := now.Add(-back)
		if !begin.After(from) {
			begin = from
		}
		if t := schedule.Next(begin); !t.After(now) {
			for ; !t.After(now); t = schedule.Next(t) {
				last = t
			}
			return last
		}
		if begin.Equal(from) {
			return last
		}
	}
}

// newJob names the Job after its minute, so that no start can happen twice.
func newJob(cj *batchv1.CronJob, due time.Time) *batchv1.Job {
	template := cj.Spec.JobTemplate.DeepCopy()
	job := &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: cj.Namespace, Name: fmt.Sprintf("%s-%d", cj.Name, due.Unix()/60),
			Labels: template.Labels, Annotations: template.Annotations,
			OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(cj, Kind)},
		},
		Spec: template.Spec,
	}
	if job.Annotations == nil {
		job.Annotations = map[string]string{}
	}
	job.Annotations[batchv1.CronJobScheduledTimestampAnnotation] = due.Format(time.RFC3339)
	return job
}

func remove(o Observed, job *batchv1.Job) reconcile.Action {
	d := reconcile.DeleteOf(jobs, job)
	d.Propagation = metav1.DeletePropagationBackground
	d.Announce = &reconcile.Announce{
		About:  o.CronJob,
		Done:   reconcile.Message{Reason: "SuccessfulDelete", Format: "Deleted job %s"},
		Failed: reconcile.Message{Type: corev1.EventTypeWarning, Reason: "FailedDelete", Format: "Deleted job: %v"},
	}
	return d
}

func sorted(in []*batchv1.Job) []*batchv1.Job {
	out := slices.Clone(in)
	slices.SortFunc(out, func(a, b *batchv1.Job) int {
		return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
	})
	return out
}

func finished(job *batchv1.Job) (bool, batchv1.JobConditionType) {
	for _, c := range job.Status.Conditions {
		if (c.Type == batchv1.JobComplete || c.Type == batchv1.JobFailed) && c.Status == corev1.ConditionTrue {
			return true, c.Type
		}
	}
	return false, ""
}

func reference(job *batchv1.Job) corev1.ObjectReference {
	return corev1.ObjectReference{
		APIVersion: batchv1.SchemeGroupVersion.String(), Kind: "Job", Namespace: job.Namespace, Name: job.Name,
		UID: job.UID,
	}
}
