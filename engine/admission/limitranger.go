package admission

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/labels"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	"k8s.io/apiserver/pkg/admission"
	corev1listers "k8s.io/client-go/listers/core/v1"
)

const limitAnnotation = "kubernetes.io/limit-ranger"

// limitRanger fills in the resources a namespace's LimitRanges give by default
// and refuses what lies outside their bounds.
type limitRanger struct {
	operations
	ranges corev1listers.LimitRangeLister
}

func newLimitRanger(b *builder) (admission.Interface, error) {
	informer := b.Informers.Core().V1().LimitRanges()
	b.uses(informer.Informer())
	return &limitRanger{onWrite, informer.Lister()}, nil
}

// Admit implements admission.MutationInterface.
func (l *limitRanger) Admit(_ context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	pod, ok := subject[*corev1.Pod](a, podsResource)
	if !ok || a.GetOperation() != admission.Create {
		return nil
	}
	return l.each(a, func(r *corev1.LimitRange) error {
		fillPod(pod, r)
		return nil
	})
}

// Validate implements admission.ValidationInterface. Pods are looked at when they
// are created or resized, claims when they are written.
func (l *limitRanger) Validate(_ context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	if claim, ok := subject[*corev1.PersistentVolumeClaim](a, claimsResource); ok {
		return l.each(a, func(r *corev1.LimitRange) error { return checkClaim(claim, r) })
	}
	created := is(a, podsResource, "") && a.GetOperation() == admission.Create
	resized := is(a, podsResource, "resize") && a.GetOperation() == admission.Update
	pod, ok := a.GetObject().(*corev1.Pod)
	if !ok || !created && !resized {
		return nil
	}
	return l.each(a, func(r *corev1.LimitRange) error { return checkPod(pod, r) })
}

func (l *limitRanger) each(a admission.Attributes, f func(*corev1.LimitRange) error) error {
	list, err := l.ranges.LimitRanges(a.GetNamespace()).List(labels.Everything())
	if err != nil {
		return apierrors.NewInternalError(err)
	}
	slices.SortFunc(list, func(x, y *corev1.LimitRange) int { return strings.Compare(x.Name, y.Name) })
	for _, r := range list {
		if r.DeletionTimestamp != nil {
			continue
		}
		if err := f(r); err != nil {
			return admission.NewForbidden(a, err)
		}
	}
	return nil
}

// fillPod gives containers the default requests and limits they lack, and says so
// in an annotation.
func fillPod(pod *corev1.Pod, r *corev1.LimitRange) {
	limits, requests := corev1.ResourceList{}, corev1.ResourceList{}
	for i := range r.Spec.Limits {
		if item := &r.Spec.Limits[i]; item.Type == corev1.LimitTypeContainer {
			addMissing(limits, item.Default)
			addMissing(requests, item.DefaultRequest)
		}
	}
	var notes []string
	for i := range pod.Spec.Containers {
		notes = append(notes, fillContainer(&pod.Spec.Containers[i], "container", requests, limits)...)
	}
	for i := range pod.Spec.InitContainers {
		notes = append(notes, fillContainer(&pod.Spec.InitContainers[i], "init container", requests, limits)...)
	}
	if len(notes) == 0 {
		return
	}
	if pod.Annotations == nil {
		pod.Annotations = map[string]string{}
	}
	pod.Annotations[limitAnnotation] = "LimitRanger plugin set: " + strings.Join(notes, "; ")
}

func fillContainer(c *corev1.Container, kind string, requests, limits corev1.ResourceList) []string {
	var notes []string
	for _, part := range []struct {
		name  string
		have  *corev1.ResourceList
		given corev1.ResourceList
	}{{"request", &c.Resources.Requests, requests}, {"limit", &c.Resources.Limits, limits}} {
		if *part.have == nil {
			*part.have = corev1.ResourceList{}
		}
		if names := addMissing(*part.have, part.given); len(names) > 0 {
			notes = append(notes, fmt.Sprintf("%s %s for %s %s", strings.Join(names, ", "), part.name, kind, c.Name))
		}
	}
	return notes
}

func addMissing(have, given corev1.ResourceList) []string {
	var added []string
	for name, quantity := range given {
		if _, ok := have[name]; !ok {
			have[name] = quantity.DeepCopy()
			added = append(added, string(name))
		}
	}
	slices.Sort(added)
	return added
}

func checkClaim(claim *corev1.PersistentVolumeClaim, r *corev1.LimitRange) error {
	var errs []error
	for i := range r.Spec.Limits {
		item := &r.Spec.Limits[i]
		if item.Type != corev1.LimitTypePersistentVolumeClaim {
			continue
		}
		c := bounds{kind: item.Type, requests: claim.Spec.Resources.Requests}
		for name, quantity := range item.Min {
			errs = append(errs, c.min(name, quantity))
		}
		for name, quantity := range item.Max {
			errs = append(errs, c.maxRequest(name, quantity))
		}
	}
	return aggregate(errs)
}

func checkPod(pod *corev1.Pod, r *corev1.LimitRange) error {
	var errs []error
	for i := range r.Spec.Limits {
		item := &r.Spec.Limits[i]
		switch item.Type {
		case corev1.LimitTypeContainer:
			for _, list := range [][]corev1.Container{pod.Spec.Containers, pod.Spec.InitContainers} {
				for j := range list {
					errs = append(errs, bounds{item.Type, list[j].Resources.Requests, list[j].Resources.Limits}.check(item)...)
				}
			}
		case corev1.LimitTypePod:
			requests, limits := podTotals(pod)
			errs = append(errs, bounds{item.Type, requests, limits}.check(item)...)
		}
	}
	return aggregate(errs)
}

// podTotals adds up the containers; an init container counts as far as it asks
// for more than all of them.
func podTotals(pod *corev1.Pod) (requests, limits corev1.ResourceList) {
	requests, limits = corev1.ResourceList{}, corev1.ResourceList{}
	for i := range pod.Spec.Containers {
		sum(requests, pod.Spec.Containers[i].Resources.Requests)
		sum(limits, pod.Spec.Containers[i].Resources.Limits)
	}
	for i := range pod.Spec.InitContainers {
		c := &pod.Spec.InitContainers[i]
		combine := atLeast
		if c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways {
			combine = sum
		}
		combine(requests, c.Resources.Requests)
		combine(limits, c.Resources.Limits)
	}
	return requests, limits
}

func sum(total, more corev1.ResourceList) {
	for name, quantity := range more {
		q := total[name]
		q.Add(quantity)
		total[name] = q
	}
}

func atLeast(total, more corev1.ResourceList) {
	for name, quantity := range more {
		if have, ok := total[name]; !ok || quantity.Cmp(have) > 0 {
			total[name] = quantity
		}
	}
}

func aggregate(errs []error) error {
	errs = slices.DeleteFunc(errs, func(err error) bool { return err == nil })
	slices.SortFunc(errs, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return utilerrors.NewAggregate(errs)
}

// bounds is what something asks for, to be held against a limit of its kind.
type bounds struct {
	kind             corev1.LimitType
	requests, limits corev1.ResourceList
}

func (b bounds) check(item *corev1.LimitRangeItem) []error {
	var errs []error
	for name, quantity := range item.Min {
		errs = append(errs, b.min(name, quantity))
	}
	for name, quantity := range item.Max {
		errs = append(errs, b.max(name, quantity))
	}
	for name, quantity := range item.MaxLimitRequestRatio {
		errs = append(errs, b.ratio(name, quantity))
	}
	return errs
}

func (b bounds) min(name corev1.ResourceName, bound resource.Quantity) error {
	request, hasRequest := b.requests[name]
	limit, hasLimit := b.limits[name]
	switch {
	case !hasRequest:
		return fmt.Errorf("minimum %s usage per %s is %s.  No request is specified", name, b.kind, bound.String())
	case hasLimit && limit.Cmp(bound) < 0:
		return fmt.Errorf("minimum %s usage per %s is %s, but limit is %s", name, b.kind, bound.String(), limit.String())
	case request.Cmp(bound) < 0:
		return fmt.Errorf("minimum %s usage per %s is %s, but request is %s", name, b.kind, bound.String(), request.String())
	}
	return nil
}

func (b bounds) max(name corev1.ResourceName, bound resource.Quantity) error {
	limit, hasLimit := b.limits[name]
	switch {
	case !hasLimit:
		return fmt.Errorf("maximum %s usage per %s is %s.  No limit is specified", name, b.kind, bound.String())
	case limit.Cmp(bound) > 0:
		return fmt.Errorf("maximum %s usage per %s is %s, but limit is %s", name, b.kind, bound.String(), limit.String())
	}
	return b.maxRequest(name, bound)
}

func (b bounds) maxRequest(name corev1.ResourceName, bound resource.Quantity) error {
	if request, ok := b.requests[name]; ok && request.Cmp(bound) > 0 {
		return fmt.Errorf("maximum %s usage per %s is %s, but request is %s", name, b.kind, bound.String(), request.String())
	}
	return nil
}

func (b bounds) ratio(name corev1.ResourceName, bound resource.Quantity) error {
	request, limit := b.requests[name], b.limits[name]
	switch {
	case request.IsZero():
		return fmt.Errorf("%s max limit to request ratio per %s is %s, but no request is specified or request is 0", name, b.kind, bound.String())
	case limit.IsZero():
		return fmt.Errorf("%s max limit to request ratio per %s is %s, but no limit is specified or limit is 0", name, b.kind, bound.String())
	}
	if ratio := limit.AsApproximateFloat64() / request.AsApproximateFloat64(); ratio > bound.AsApproximateFloat64() {
		return fmt.Errorf("%s max limit to request ratio per %s is %s, but provided ratio is %f", name, b.kind, bound.String(), ratio)
	}
	return nil
}
