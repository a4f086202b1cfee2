package batch

import (
	"strconv"

	batchv1 "k8s.io/api/batch/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/pintle-io/pintle/engine/apis"
)

func jobs() apis.Resource {
	rules := apis.TypedRules[*batchv1.Job]{
		Default:                defaultJob,
		PrepareForCreate:       prepareJobCreate,
		PrepareForUpdate:       prepareJobUpdate,
		PrepareForStatusUpdate: prepareJobStatusUpdate,
		Validate:               validateJob,
		ValidateUpdate:         validateJobUpdate,
		ValidateStatusUpdate:   validateJobStatusUpdate,
		WarningsOnCreate:       jobCreateWarnings,
		WarningsOnUpdate:       jobUpdateWarnings,
	}.Rules()
	rules.DeclaredOptions = map[string]bool{"WorkloadWithJob": false}
	rules.DefaultOrphan = true
	return apis.Resource{
		GVK: kind("Job"), Plural: "jobs", Singular: "job", Categories: []string{"all"}, Namespaced: true,
		New:     func() runtime.Object { return &batchv1.Job{} },
		NewList: func() runtime.Object { return &batchv1.JobList{} },
		Rules:   rules,
		Columns: jobColumns(),
		Fields: func(obj runtime.Object) fields.Set {
			return fields.Set{"status.successful": strconv.Itoa(int(obj.(*batchv1.Job).Status.Succeeded))}
		},
		HasStatus: true,
	}
}
