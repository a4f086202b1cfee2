// Package devicetainteviction deletes pods that use devices with a NoExecute taint
// that their claims do not tolerate, or tolerate for a while only. Devices are
// tainted by their driver (in a ResourceSlice) or by a DeviceTaintRule, whose
// status says how far the eviction has come.
package devicetainteviction

import (
	"math"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	dra "k8s.io/dynamic-resource-allocation/resourceclaim"

	"github.com/pintle-io/pintle/engine/controllers/podset"
	"github.com/pintle-io/pintle/engine/reconcile"
)

// Devices is what is known of devices and their taints.
type Devices struct {
	Slices []*resourcev1.ResourceSlice
	Rules  []*resourcev1.DeviceTaintRule
}

// Observed is the snapshot of one pod and the claims that its spec and status name.
type Observed struct {
	Devices
	Pod    *corev1.Pod
	Claims []*resourcev1.ResourceClaim
	// Pending: an earlier plan meant to evict the pod later.
	Pending bool
	Now     time.Time
}

// Plan evicts the pod once all tolerations have run out.
func Plan(o Observed) reconcile.Result {
	var result reconcile.Result
	due, ok := Due(o)
	switch {
	case o.Pod.DeletionTimestamp != nil:
		return result
	case !ok && o.Pending:
		result.Add(event(o.Pod, "Cancelling deletion"))
		return result
	case !ok:
		return result
	}
	if wait := due.At.Sub(o.Now); wait > 0 {
		result.RequeueIn(wait)
		return result
	}
	result.Add(event(o.Pod, "Marking for deletion"))
	if podset.Condition(o.Pod, corev1.DisruptionTarget) == nil {
		marked := o.Pod.DeepCopy()
		marked.Status.Conditions = append(marked.Status.Conditions, corev1.PodCondition{
			Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(o.Now),
			Reason: "DeletionByDeviceTaintManager", Message: "Device Taint manager: deleting due to NoExecute taint",
		})
		result.Add(reconcile.UpdateStatus{Object: marked})
	}
	result.Add(reconcile.DeleteOf(podset.Resource, o.Pod))
	return result
}

func event(pod *corev1.Pod, message string) reconcile.Event {
	return reconcile.Event{About: pod, Type: corev1.EventTypeNormal, Reason: "DeviceTaintManagerEviction", Message: message}
}

// Eviction is when a pod has to go, and the rules that are why.
type Eviction struct {
	At    time.Time
	Rules []types.UID
}

// Due says when a placed pod has to go; false if it may stay.
func Due(o Observed) (due Eviction, ok bool) {
	if o.Pod.Spec.NodeName == "" {
		return due, false
	}
	for name, owned := range dra.PodClaims(o.Pod) {
		i := slices.IndexFunc(o.Claims, func(c *resourcev1.ResourceClaim) bool { return c.Name == name })
		if i < 0 || o.Claims[i].Status.Allocation == nil || owned && dra.IsForPod(o.Pod, o.Claims[i], false) != nil ||
			!dra.IsReservedForPod(o.Pod, o.Claims[i], false) {
			continue
		}
		for _, device := range o.Claims[i].Status.Allocation.Devices.Results {
			for _, t := range o.taints(&device) {
				at, limited := tolerated(&device, t.DeviceTaint)
				if !limited {
					continue
				}
				if !ok || at.Before(due.At) {
					due.At = at
				}
				if t.rule != "" && !slices.Contains(due.Rules, t.rule) {
					due.Rules = append(due.Rules, t.rule)
				}
				ok = true
			}
		}
	}
	return due, ok
}

// taint is one NoExecute taint of a device; rule is empty if its driver put it there.
type taint struct {
	resourcev1.DeviceTaint
	rule types.UID
}

func (d *Devices) taints(device *resourcev1.DeviceRequestAllocationResult) []taint {
	var out []taint
	if found := d.find(device); found != nil {
		for _, t := range found.Taints {
			if t.Effect == resourcev1.DeviceTaintEffectNoExecute {
				out = append(out, taint{DeviceTaint: t})
			}
		}
	}
	for _, rule := range d.Rules {
		if rule.Spec.Taint.Effect == resourcev1.DeviceTaintEffectNoExecute && selects(rule, device.Driver, device.Pool, device.Device) {
			out = append(out, taint{rule.Spec.Taint, rule.UID})
		}
	}
	return out
}

// find looks the device up in the newest generation of its pool.
func (d *Devices) find(device *resourcev1.DeviceRequestAllocationResult) *resourcev1.Device {
	var found *resourcev1.Device
	newest := int64(math.MinInt64)
	for _, slice := range d.Slices {
		if slice.Spec.Driver != device.Driver || slice.Spec.Pool.Name != device.Pool || slice.Spec.Pool.Generation < newest {
			continue
		}
		if slice.Spec.Pool.Generation > newest {
			newest, found = slice.Spec.Pool.Generation, nil
		}
		if i := slices.IndexFunc(slice.Spec.Devices, func(v resourcev1.Device) bool { return v.Name == device.Device }); i >= 0 {
			found = &slice.Spec.Devices[i]
		}
	}
	return found
}

func selects(rule *resourcev1.DeviceTaintRule, driver, pool, device string) bool {
	s := rule.Spec.DeviceSelector
	return s != nil && (s.Driver == nil || *s.Driver == driver) && (s.Pool == nil || *s.Pool == pool) && (s.Device == nil || *s.Device == device)
}

// tolerated is until when the claim bears the taint; false if for ever.
func tolerated(device *resourcev1.DeviceRequestAllocationResult, t resourcev1.DeviceTaint) (until time.Time, limited bool) {
	if t.TimeAdded != nil {
		until = t.TimeAdded.Time
	}
	seconds := int64(-1)
	for _, toleration := range device.Tolerations {
		if toleration.Effect != resourcev1.DeviceTaintEffectNoExecute || !dra.ToleratesTaint(toleration, t) {
			continue
		}
		if toleration.TolerationSeconds == nil {
			return until, false
		}
		if s := max(*toleration.TolerationSeconds, 0); seconds < 0 || s < seconds {
			seconds = s
		}
	}
	return until.Add(time.Duration(max(seconds, 0)) * time.Second), true
}
