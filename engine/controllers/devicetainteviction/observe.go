package devicetainteviction

import (
	"context"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	resourcev1 "k8s.io/api/resource/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	corelisters "k8s.io/client-go/listers/core/v1"
	resourcelisters "k8s.io/client-go/listers/resource/v1"
	dra "k8s.io/dynamic-resource-allocation/resourceclaim"

	"github.com/pintle-io/pintle/engine/reconcile"
)

// ruleKey begins the names of keys that are rules; all others are pods.
const ruleKey = "rule:"

type observer struct {
	pods   corelisters.PodLister
	claims resourcelisters.ResourceClaimLister
	slices resourcelisters.ResourceSliceLister
	rules  resourcelisters.DeviceTaintRuleLister

	mu struct {
		sync.Mutex
		// pending are the pods to be evicted later, evicted those that were, by rule.
		pending map[types.UID]bool
		evicted map[types.UID]map[types.UID]bool
	}
}

// New builds the controller.
func New(env reconcile.Env) (*reconcile.Controller, error) {
	pods := env.Informers().Core().V1().Pods()
	api := env.Informers().Resource().V1()
	o := &observer{
		pods: pods.Lister(), claims: api.ResourceClaims().Lister(), slices: api.ResourceSlices().Lister(), rules: api.DeviceTaintRules().Lister(),
	}
	o.mu.pending, o.mu.evicted = map[types.UID]bool{}, map[types.UID]map[types.UID]bool{}
	podWatch := reconcile.On(pods.Informer(), func(pod *corev1.Pod) []reconcile.Key {
		if len(pod.Spec.ResourceClaims) == 0 && pod.Status.ExtendedResourceClaimStatus == nil {
			return nil
		}
		return []reconcile.Key{reconcile.KeyOf(pod)}
	})
	podWatch.Skip = func(old, obj any) bool {
		was, pod := old.(*corev1.Pod), obj.(*corev1.Pod)
		return was.Spec.NodeName == pod.Spec.NodeName && dra.PodStatusEqual(was.Status.ResourceClaimStatuses, pod.Status.ResourceClaimStatuses) &&
			dra.PodExtendedStatusEqual(was.Status.ExtendedResourceClaimStatus, pod.Status.ExtendedResourceClaimStatus)
	}
	ruleWatch := reconcile.On(api.DeviceTaintRules().Informer(), func(rule *resourcev1.DeviceTaintRule) []reconcile.Key {
		return append(o.users(func(d *resourcev1.DeviceRequestAllocationResult) bool {
			return selects(rule, d.Driver, d.Pool, d.Device)
		}),
			reconcile.Key{Name: ruleKey + rule.Name})
	})
	ruleWatch.Skip = func(old, obj any) bool {
		return apiequality.Semantic.DeepEqual(old.(*resourcev1.DeviceTaintRule).Spec, obj.(*resourcev1.DeviceTaintRule).Spec)
	}
	return env.Controller(reconcile.Config{
		Name:      "device-taint-eviction-controller",
		Reconcile: o.reconcile,
		Watches: []reconcile.Watch{
			podWatch, ruleWatch,
			reconcile.On(api.ResourceClaims().Informer(), consumers),
			reconcile.On(api.ResourceSlices().Informer(), func(slice *resourcev1.ResourceSlice) []reconcile.Key {
				return o.users(func(d *resourcev1.DeviceRequestAllocationResult) bool {
					return d.Driver == slice.Spec.Driver && d.Pool == slice.Spec.Pool.Name
				})
			}),
		},
	})
}

func consumers(claim *resourcev1.ResourceClaim) []reconcile.Key {
	var keys []reconcile.Key
	for _, ref := range claim.Status.ReservedFor {
		if ref.Resource == "pods" {
			keys = append(keys, reconcile.Key{Namespace: claim.Namespace, Name: ref.Name})
		}
	}
	return keys
}

// users names the pods that use devices.
func (o *observer) users(of func(*resourcev1.DeviceRequestAllocationResult) bool) []reconcile.Key {
	var keys []reconcile.Key
	for _, claim := range o.allocated() {
		for i := range claim.Status.Allocation.Devices.Results {
			if of(&claim.Status.Allocation.Devices.Results[i]) {
				keys = append(keys, consumers(claim)...)
				break
			}
		}
	}
	return keys
}

func (o *observer) allocated() []*resourcev1.ResourceClaim {
	all, err := o.claims.List(labels.Everything())
	if err != nil {
		return nil
	}
	var out []*resourcev1.ResourceClaim
	for _, claim := range all {
		if claim.Status.Allocation != nil {
			out = append(out, claim)
		}
	}
	return out
}

func (o *observer) devices() (d Devices, err error) {
	if d.Slices, err = o.slices.List(labels.Everything()); err != nil {
		return d, err
	}
	d.Rules, err = o.rules.List(labels.Everything())
	return d, err
}

func (o *observer) reconcile(_ context.Context, key reconcile.Key, now time.Time) (reconcile.Result, error) {
	if name, ok := strings.CutPrefix(key.Name, ruleKey); ok {
		return o.rule(name, now)
	}
	pod, err := o.pods.Pods(key.Namespace).Get(key.Name)
	if apierrors.IsNotFound(err) {
		return reconcile.Result{}, nil
	}
	if err != nil {
		return reconcile.Result{}, err
	}
	observed := Observed{Pod: pod, Now: now}
	if observed.Devices, err = o.devices(); err != nil {
		return reconcile.Result{}, err
	}
	for name := range dra.PodClaims(pod) {
		if claim, err := o.claims.ResourceClaims(pod.Namespace).Get(name); err == nil {
			observed.Claims = append(observed.Claims, claim)
		}
	}
	o.mu.Lock()
	observed.Pending = o.mu.pending[pod.UID]
	o.mu.Unlock()
	result := Plan(observed)
	o.note(pod, observed, result)
	return result, nil
}

// note remembers what a plan decided, for the events and counts of later ones.
func (o *observer) note(pod *corev1.Pod, observed Observed, result reconcile.Result) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.mu.pending, pod.UID)
	switch {
	case result.RequeueAfter > 0:
		o.mu.pending[pod.UID] = true
	case len(result.Actions) > 1:
		due, _ := Due(observed)
		for _, rule := range due.Rules {
			if o.mu.evicted[rule] == nil {
				o.mu.evicted[rule] = map[types.UID]bool{}
			}
			o.mu.evicted[rule][pod.UID] = true
		}
	}
}

func (o *observer) rule(name string, now time.Time) (reconcile.Result, error) {
	rule, err := o.rules.Get(name)
	if apierrors.IsNotFound(err) {
		return reconcile.Result{}, nil
	}
	if err != nil {
		return reconcile.Result{}, err
	}
	observed := RuleObserved{Rule: rule, Claims: o.allocated(), Now: now}
	if observed.Devices, err = o.devices(); err != nil {
		return reconcile.Result{}, err
	}
	if observed.Pods, err = o.pods.List(labels.Everything()); err != nil {
		return reconcile.Result{}, err
	}
	o.mu.Lock()
	observed.Evicted = len(o.mu.evicted[rule.UID])
	o.mu.Unlock()
	result := PlanRule(observed)
	if len(result.Actions) > 0 && rule.Spec.Taint.Effect == resourcev1.DeviceTaintEffectNoExecute {
		// What is pending now will have changed by then.
		result.RequeueIn(statusPeriod)
	}
	return result, nil
}
