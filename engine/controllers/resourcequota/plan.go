// Package resourcequota keeps in the status of each ResourceQuota what its
// namespace uses of it. Admission raises the numbers before it lets an object in;
// this controller sets them right when objects go, end or were refused after all.
package resourcequota

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	quota "k8s.io/apiserver/pkg/quota/v1"

	"github.com/pintle-io/pintle/engine/reconcile"
)

const (
	// settle is how long a number that admission raised is left alone: the object
	// it was raised for is on its way into the store.
	settle = 200 * time.Millisecond
	// resync counts again, whatever happened.
	resync = 5 * time.Minute
	// unknownResync looks again for a resource that nobody serves yet.
	unknownResync = 30 * time.Second
)

// Observed is the snapshot of one quota.
type Observed struct {
	Quota *corev1.ResourceQuota
	// Used is what could be counted of the quota's resources.
	Used corev1.ResourceList
	// Since is when this version of the quota was first seen.
	Since time.Time
	Now   time.Time
}

// Plan decides the status. A number that could not be counted keeps its value.
func Plan(o Observed) reconcile.Result {
	var result reconcile.Result
	if o.Quota.DeletionTimestamp != nil {
		return result
	}
	hard := o.Quota.Spec.Hard
	result.RequeueIn(resync)
	if len(o.Used) < len(hard) {
		result.RequeueIn(unknownResync)
	}
	used := quota.Mask(merge(o.Quota.Status.Used, o.Used), quota.ResourceNames(hard))
	if wait := o.Since.Add(settle).Sub(o.Now); wait > 0 && lowers(o.Quota.Status.Used, used) {
		result.RequeueIn(wait)
		return result
	}
	status := corev1.ResourceQuotaStatus{Hard: quota.Add(corev1.ResourceList{}, hard), Used: used}
	if apiequality.Semantic.DeepEqual(o.Quota.Status, status) {
		return result
	}
	updated := o.Quota.DeepCopy()
	updated.Status = status
	result.Add(reconcile.UpdateStatus{Object: updated})
	return result
}

// merge returns old with the values of counted in place of its own.
func merge(old, counted corev1.ResourceList) corev1.ResourceList {
	out := corev1.ResourceList{}
	for name, value := range old {
		out[name] = value.DeepCopy()
	}
	for name, value := range counted {
		out[name] = value.DeepCopy()
	}
	return out
}

// lowers reports that next has less than now of something.
func lowers(now, next corev1.ResourceList) bool {
	for name, value := range next {
		if was, ok := now[name]; ok && value.Cmp(was) < 0 {
			return true
		}
	}
	return false
}
