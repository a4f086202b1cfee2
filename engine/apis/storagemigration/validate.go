package storagemigration

import (
	"context"
	"strings"

	v1 "k8s.io/api/storagemigration/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/validation"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/pintle-io/pintle/engine/apis"
)

func validateMigration(m *v1.StorageVersionMigration) field.ErrorList {
	errs := apis.ValidateMeta(&m.ObjectMeta, false, validation.NameIsDNSSubdomain, metadata)
	at, of := specPath.Child("resource"), m.Spec.Resource
	if of.Resource == "" {
		errs = append(errs, field.Required(at.Child("resource"), "resource is required to be set"))
	} else if bad := utilvalidation.IsDNS1035Label(of.Resource); len(bad) > 0 {
		errs = append(errs, field.Invalid(at.Child("resource"), of.Resource, strings.Join(bad, ",")))
	}
	if of.Group != "" {
		if bad := utilvalidation.IsDNS1123Subdomain(of.Group); len(bad) > 0 {
			errs = append(errs, field.Invalid(at.Child("group"), of.Group, strings.Join(bad, ",")))
		}
	}
	return errs
}

// validateMigrationStatus: a migration ends once, in one way, at one revision.
func validateMigrationStatus(_ context.Context, m, old *v1.StorageVersionMigration) field.ErrorList {
	errs := apis.ValidateMetaUpdate(&m.ObjectMeta, &old.ObjectMeta, metadata)
	at := field.NewPath("status")
	if v := m.Status.ResourceVersion; v != "" {
		if _, err := resourceversion.CompareResourceVersion(v, v); err != nil {
			errs = append(errs, field.Invalid(at.Child("resourceVersion"), v, err.Error()))
		}
	}
	errs = append(errs, metavalidation.ValidateConditions(m.Status.Conditions, at.Child("conditions"))...)
	if was := old.Status.ResourceVersion; was != "" && was != m.Status.ResourceVersion {
		errs = append(errs, field.Invalid(at.Child("resourceVersion"), m.Status.ResourceVersion, "field is immutable"))
	}
	if holds(m, v1.MigrationSucceeded) && holds(m, v1.MigrationFailed) {
		errs = append(errs, field.Invalid(at.Child("conditions"), m.Status.Conditions, "Both success and failed conditions cannot be true at the same time"))
	}
	for _, end := range []struct {
		condition v1.MigrationConditionType
		word      string
	}{{v1.MigrationSucceeded, "Success"}, {v1.MigrationFailed, "Failed"}} {
		if holds(old, end.condition) && !holds(m, end.condition) {
			errs = append(errs, field.Invalid(at.Child("conditions"), m.Status.Conditions, end.word+" condition cannot be set to false once it is true"))
		}
	}
	return errs
}

func holds(m *v1.StorageVersionMigration, condition v1.MigrationConditionType) bool {
	return meta.IsStatusConditionTrue(m.Status.Conditions, string(condition))
}
