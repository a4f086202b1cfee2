// Package storagemigration rewrites all objects of a resource, so that the store
// holds them in the version and encryption it writes today. A
// StorageVersionMigration asks for it and tells how it went.
package storagemigration

import (
	"fmt"
	"strconv"
	"time"

	migrationv1 "k8s.io/api/storagemigration/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/pintle-io/pintle/engine/reconcile"
)

// patience is how long a resource may take to appear in discovery.
const patience = time.Minute

const (
	reasonRunning   = "MigrationRunning"
	reasonSucceeded = "StorageVersionMigrationSucceeded"
	reasonFailed    = "StorageVersionMigrationFailed"
)

// Observed is one migration, and its resource if discovery shows one.
type Observed struct {
	Migration *migrationv1.StorageVersionMigration
	Resource  *schema.GroupVersionResource
	// Migratable: its objects can be listed and patched.
	Migratable bool
	// Revision is the newest of the resource's lists.
	Revision string
	Objects  []metav1.PartialObjectMetadata
	Now      time.Time
}

// Plan takes one step: note where the resource stands; then rewrite what is not
// newer than that, and say so. Objects that others write meanwhile are done, too.
func Plan(o Observed) reconcile.Result {
	var result reconcile.Result
	m := o.Migration
	switch {
	case Done(m):
	case o.Resource == nil:
		if wait := m.CreationTimestamp.Add(patience).Sub(o.Now); wait > 0 {
			result.RequeueIn(min(wait, time.Second))
			return result
		}
		o.end(&result, m, migrationv1.MigrationFailed, reasonFailed, "resource does not exist in discovery")
	case !o.Migratable:
		o.end(&result, m, migrationv1.MigrationFailed, reasonFailed,
			fmt.Sprintf("resource %q does not support discovery operations: [create update list patch]", o.Resource))
	case m.Status.ResourceVersion == "":
		updated := o.with(m, migrationv1.MigrationRunning, metav1.ConditionTrue, reasonRunning, fmt.Sprintf("Migration %s is running", m.Name))
		updated.Status.ResourceVersion = o.Revision
		result.Add(reconcile.UpdateStatus{Object: updated})
	default:
		o.rewrite(&result)
	}
	return result
}

// Done reports that a migration has ended.
func Done(m *migrationv1.StorageVersionMigration) bool {
	return meta.IsStatusConditionTrue(m.Status.Conditions, string(migrationv1.MigrationSucceeded)) ||
		meta.IsStatusConditionTrue(m.Status.Conditions, string(migrationv1.MigrationFailed))
}

func (o *Observed) rewrite(result *reconcile.Result) {
	var batch reconcile.Batch
	start, err := strconv.ParseUint(o.Migration.Status.ResourceVersion, 10, 64)
	for i := range o.Objects {
		obj := &o.Objects[i]
		if at, parseErr := strconv.ParseUint(obj.ResourceVersion, 10, 64); err == nil && parseErr == nil && at > start {
			continue
		}
		batch = append(batch, reconcile.Patch{
			Resource: *o.Resource, Namespace: obj.Namespace, Name: obj.Name, Type: types.MergePatchType,
			Data: fmt.Appendf(nil, `{"metadata":{"uid":%q,"resourceVersion":%q}}`, obj.UID, obj.ResourceVersion),
		})
	}
	if len(batch) > 0 {
		result.Add(batch)
	}
	o.end(result, o.Migration, migrationv1.MigrationSucceeded, reasonSucceeded, "Migration completed")
}

// end says that the migration runs no more, and why.
func (o *Observed) end(result *reconcile.Result, m *migrationv1.StorageVersionMigration, kind migrationv1.MigrationConditionType, reason, message string) {
	updated := o.with(m, migrationv1.MigrationRunning, metav1.ConditionFalse, "MigrationCompleted", message)
	updated = o.with(updated, kind, metav1.ConditionTrue, reason, message)
	result.Add(reconcile.UpdateStatus{Object: updated})
}

func (o *Observed) with(m *migrationv1.StorageVersionMigration, kind migrationv1.MigrationConditionType, status metav1.ConditionStatus, reason, message string) *migrationv1.StorageVersionMigration {
	updated := m.DeepCopy()
	meta.SetStatusCondition(&updated.Status.Conditions, metav1.Condition{
		Type: string(kind), Status: status, Reason: reason, Message: message, LastTransitionTime: metav1.NewTime(o.Now),
	})
	return updated
}
