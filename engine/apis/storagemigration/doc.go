// Package storagemigration holds the rules of storage version migrations.
//
// Every function is safe for concurrent use on distinct objects.
package storagemigration

import (
	"context"

	v1 "k8s.io/api/storagemigration/v1"
	"k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/pintle-io/pintle/engine/apis"
)

// Resources lists the rows of the storagemigration.k8s.io group.
func Resources() []apis.Resource {
	return []apis.Resource{migrations()}
}

var (
	metadata = field.NewPath("metadata")
	specPath = field.NewPath("spec")
)

func migrations() apis.Resource {
	parts := apis.Parts[*v1.StorageVersionMigration, v1.StorageVersionMigrationSpec, v1.StorageVersionMigrationStatus]{
		Spec:         func(m *v1.StorageVersionMigration) *v1.StorageVersionMigrationSpec { return &m.Spec },
		Status:       func(m *v1.StorageVersionMigration) *v1.StorageVersionMigrationStatus { return &m.Status },
		NoGeneration: true,
	}
	rules := apis.TypedRules[*v1.StorageVersionMigration]{
		PrepareForCreate: parts.Create,
		PrepareForUpdate: parts.Update,
		PrepareForStatusUpdate: func(ctx context.Context, m, old *v1.StorageVersionMigration) {
			parts.UpdateStatus(ctx, m, old)
			metav1.ResetObjectMetaForStatus(&m.ObjectMeta, &old.ObjectMeta)
		},
		Validate: func(_ context.Context, m *v1.StorageVersionMigration) field.ErrorList { return validateMigration(m) },
		ValidateUpdate: func(_ context.Context, m, old *v1.StorageVersionMigration) field.ErrorList {
			errs := append(validateMigration(m), apis.ValidateMetaUpdate(&m.ObjectMeta, &old.ObjectMeta, metadata)...)
			return append(errs, validation.ValidateImmutableField(m.Spec, old.Spec, specPath)...)
		},
		ValidateStatusUpdate: validateMigrationStatus,
	}.Rules()
	rules.ForbidUnconditionalUpdate = true
	return apis.Resource{
		GVK: v1.SchemeGroupVersion.WithKind("StorageVersionMigration"), Plural: "storageversionmigrations", Singular: "storageversionmigration",
		New:     func() runtime.Object { return &v1.StorageVersionMigration{} },
		NewList: func() runtime.Object { return &v1.StorageVersionMigrationList{} },
		Rules:   rules,
		Columns: []apis.Column{
			apis.NameColumn(),
			apis.Text("Resource", "What is migrated.", func(m *v1.StorageVersionMigration) string { return m.Spec.Resource.String() }),
			apis.Text("Status", "How far the migration is.", migrationState),
		},
		HasStatus: true,
	}
}

// migrationState is the last of the conditions that hold.
func migrationState(m *v1.StorageVersionMigration) string {
	state := "Unknown"
	for _, c := range m.Status.Conditions {
		if c.Status != metav1.ConditionTrue {
			continue
		}
		switch v1.MigrationConditionType(c.Type) {
		case v1.MigrationRunning, v1.MigrationFailed, v1.MigrationSucceeded:
			state = c.Type
		}
	}
	return state
}
