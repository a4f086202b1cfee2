package admission

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	nodev1 "k8s.io/api/node/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apiserver/pkg/admission"
	nodev1listers "k8s.io/client-go/listers/node/v1"
	schedulingv1listers "k8s.io/client-go/listers/scheduling/v1"
)

// tolerations lets pods stay for five minutes on a node that went away.
type tolerations struct{ operations }

const tolerationSeconds int64 = 300

func newTolerations(*builder) (admission.Interface, error) { return &tolerations{onWrite}, nil }

// Admit implements admission.MutationInterface.
func (*tolerations) Admit(_ context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	pod, ok := subject[*corev1.Pod](a, podsResource)
	if !ok {
		return nil
	}
	for _, key := range []string{corev1.TaintNodeNotReady, corev1.TaintNodeUnreachable} {
		if !toleratesEviction(pod, key) {
			seconds := tolerationSeconds
			pod.Spec.Tolerations = append(pod.Spec.Tolerations, corev1.Toleration{
				Key: key, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute, TolerationSeconds: &seconds,
			})
		}
	}
	return nil
}

func toleratesEviction(pod *corev1.Pod, key string) bool {
	for i := range pod.Spec.Tolerations {
		t := &pod.Spec.Tolerations[i]
		if (t.Key == key || t.Key == "") && (t.Effect == corev1.TaintEffectNoExecute || t.Effect == "") {
			return true
		}
	}
	return false
}

// priority resolves the priority class of pods.
type priority struct {
	operations
	classes schedulingv1listers.PriorityClassLister
}

func newPriority(b *builder) (admission.Interface, error) {
	informer := b.Informers.Scheduling().V1().PriorityClasses()
	b.uses(informer.Informer())
	return &priority{onWrite, informer.Lister()}, nil
}

// Admit implements admission.MutationInterface.
func (p *priority) Admit(_ context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	pod, ok := subject[*corev1.Pod](a, podsResource)
	if !ok {
		return nil
	}
	if old, ok := a.GetOldObject().(*corev1.Pod); ok && a.GetOperation() == admission.Update {
		if pod.Spec.Priority == nil {
			pod.Spec.Priority = old.Spec.Priority
		}
		if pod.Spec.PreemptionPolicy == nil {
			pod.Spec.PreemptionPolicy = old.Spec.PreemptionPolicy
		}
		return nil
	}
	class, err := p.classOf(pod)
	if err != nil {
		return admission.NewForbidden(a, err)
	}
	value, preempt := class.Value, corev1.PreemptLowerPriority
	if class.PreemptionPolicy != nil {
		preempt = *class.PreemptionPolicy
	}
	if given := pod.Spec.Priority; given != nil && *given != value {
		return admission.NewForbidden(a, fmt.Errorf("the integer value of priority (%d) must not be provided in pod spec; priority admission controller computed %d from the given PriorityClass name", *given, value))
	}
	if given := pod.Spec.PreemptionPolicy; given != nil && *given != preempt {
		return admission.NewForbidden(a, fmt.Errorf("the string value of PreemptionPolicy (%s) must not be provided in pod spec; priority admission controller computed %s from the given PriorityClass name", *given, preempt))
	}
	pod.Spec.PriorityClassName, pod.Spec.Priority, pod.Spec.PreemptionPolicy = class.Name, &value, &preempt
	return nil
}

// classOf returns the class a pod names, else the global default (the lowest, if
// there are several), else one of priority zero without a name.
func (p *priority) classOf(pod *corev1.Pod) (*schedulingv1.PriorityClass, error) {
	if name := pod.Spec.PriorityClassName; name != "" {
		class, err := p.classes.Get(name)
		if apierrors.IsNotFound(err) {
			return nil, fmt.Errorf("no PriorityClass with name %v was found", name)
		}
		return class, err
	}
	list, err := p.classes.List(labels.Everything())
	if err != nil {
		return nil, err
	}
	best := &schedulingv1.PriorityClass{}
	for _, c := range list {
		if c.GlobalDefault && (best.Name == "" || c.Value < best.Value) {
			best = c
		}
	}
	return best, nil
}

// Validate implements admission.ValidationInterface: one class at most is the
// global default.
func (p *priority) Validate(_ context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	class, ok := subject[*schedulingv1.PriorityClass](a, schedulingv1.Resource("priorityclasses"))
	if !ok || !class.GlobalDefault {
		return nil
	}
	list, err := p.classes.List(labels.Everything())
	if err != nil {
		return apierrors.NewInternalError(err)
	}
	for _, c := range list {
		if c.GlobalDefault && (a.GetOperation() == admission.Create || c.Name != class.Name) {
			return admission.NewForbidden(a, fmt.Errorf("PriorityClass %v is already marked as default. Only one default can exist", c.Name))
		}
	}
	return nil
}

// runtimeClass adds what a runtime costs and where it runs.
type runtimeClass struct {
	operations
	classes nodev1listers.RuntimeClassLister
}

func newRuntimeClass(b *builder) (admission.Interface, error) {
	informer := b.Informers.Node().V1().RuntimeClasses()
	b.uses(informer.Informer())
	return &runtimeClass{onCreate, informer.Lister()}, nil
}

func (r *runtimeClass) of(a admission.Attributes, pod *corev1.Pod) (*nodev1.RuntimeClass, error) {
	if pod.Spec.RuntimeClassName == nil {
		return nil, nil
	}
	class, err := r.classes.Get(*pod.Spec.RuntimeClassName)
	if err != nil {
		return nil, admission.NewForbidden(a, fmt.Errorf("pod rejected: RuntimeClass %q not found", *pod.Spec.RuntimeClassName))
	}
	return class, nil
}

// Admit implements admission.MutationInterface.
func (r *runtimeClass) Admit(_ context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	pod, ok := subject[*corev1.Pod](a, podsResource)
	if !ok {
		return nil
	}
	class, err := r.of(a, pod)
	if err != nil || class == nil {
		return err
	}
	if class.Overhead != nil {
		if pod.Spec.Overhead != nil && !equality.Semantic.DeepEqual(class.Overhead.PodFixed, pod.Spec.Overhead) {
			return admission.NewForbidden(a, fmt.Errorf("pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead"))
		}
		pod.Spec.Overhead = class.Overhead.DeepCopy().PodFixed
	}
	return r.place(a, pod, class.Scheduling)
}

func (*runtimeClass) place(a admission.Attributes, pod *corev1.Pod, where *nodev1.Scheduling) error {
	if where == nil {
		return nil
	}
	for key, value := range where.NodeSelector {
		if given, ok := pod.Spec.NodeSelector[key]; ok && given != value {
			return admission.NewForbidden(a, fmt.Errorf("conflict: runtimeClass.scheduling.nodeSelector[%s] = %s; pod.spec.nodeSelector[%s] = %s", key, value, key, given))
		}
		if pod.Spec.NodeSelector == nil {
			pod.Spec.NodeSelector = map[string]string{}
		}
		pod.Spec.NodeSelector[key] = value
	}
	for i := range where.Tolerations {
		if !containsToleration(pod.Spec.Tolerations, &where.Tolerations[i]) {
			pod.Spec.Tolerations = append(pod.Spec.Tolerations, *where.Tolerations[i].DeepCopy())
		}
	}
	return nil
}

func containsToleration(list []corev1.Toleration, t *corev1.Toleration) bool {
	for i := range list {
		if equality.Semantic.DeepEqual(&list[i], t) {
			return true
		}
	}
	return false
}

// Validate implements admission.ValidationInterface.
func (r *runtimeClass) Validate(_ context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	pod, ok := subject[*corev1.Pod](a, podsResource)
	if !ok {
		return nil
	}
	class, err := r.of(a, pod)
	if err != nil {
		return err
	}
	switch {
	case class != nil && class.Overhead != nil:
		if !equality.Semantic.DeepEqual(class.Overhead.PodFixed, pod.Spec.Overhead) {
			return admission.NewForbidden(a, fmt.Errorf("pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead"))
		}
	case len(pod.Spec.Overhead) > 0:
		return admission.NewForbidden(a, fmt.Errorf("pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead"))
	}
	return nil
}
