package registry

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/storage"
	storeerr "k8s.io/apiserver/pkg/storage/errors"
	"k8s.io/apiserver/pkg/util/dryrun"
)

// addPods serves the subresources of pods.
func (r *Registry) addPods(pods *REST) {
	v1 := corev1.SchemeGroupVersion
	bind := &bindingREST{pods: pods}
	r.serve(v1, "bindings", &legacyBindingREST{bind})
	r.serve(v1, "pods/binding", bind)
	r.serve(v1, "pods/eviction", &evictionREST{
		pods: pods, budgets: r.stores[policyv1.SchemeGroupVersion.WithResource("poddisruptionbudgets")],
	})
	r.serve(v1, "pods/ephemeralcontainers", newPartREST(pods, ephemeralStrategy{podPartStrategy{pods.strategy.of("ephemeralcontainers")}}))
	r.serve(v1, "pods/resize", newPartREST(pods, resizeStrategy{podPartStrategy{pods.strategy.of("resize")}}))
	agent := agentProxy{pods: pods, nodes: r.stores[v1.WithResource("nodes")], hooks: r.hooks.Load}
	r.serve(v1, "pods/log", &logREST{agent})
	r.serve(v1, "pods/exec", &execREST{agent})
	r.serve(v1, "pods/attach", &attachREST{agent})
	r.serve(v1, "pods/portforward", &portForwardREST{agent})
	r.serve(v1, "pods/proxy", &podProxyREST{agent})
}

// bindingREST assigns pods to nodes.
type bindingREST struct{ pods *REST }

var _ rest.NamedCreater = (*bindingREST)(nil)

// New implements rest.Storage.
func (*bindingREST) New() runtime.Object { return &corev1.Binding{} }

// Destroy implements rest.Storage.
func (*bindingREST) Destroy() {}

// NamespaceScoped implements rest.Scoper.
func (*bindingREST) NamespaceScoped() bool { return true }

// PreserveRequestObjectMetaSystemFieldsOnSubresourceCreate keeps the UID of a
// binding: it is the precondition on the pod's.
func (*bindingREST) PreserveRequestObjectMetaSystemFieldsOnSubresourceCreate() bool { return true }

// Create binds the named pod. A pod that is bound or being deleted is a conflict.
func (s *bindingREST) Create(ctx context.Context, name string, obj runtime.Object, validate rest.ValidateObjectFunc, options *metav1.CreateOptions) (runtime.Object, error) {
	binding, ok := obj.(*corev1.Binding)
	if !ok {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("not a Binding object: %#v", obj))
	}
	if name != binding.Name {
		return nil, apierrors.NewBadRequest("name in URL does not match name in Binding object")
	}
	if errs := validateTarget(&binding.Target); len(errs) > 0 {
		return nil, errs.ToAggregate() // an error of code 500 for clients, as upstream
	}
	if validate != nil {
		if err := validate(ctx, binding.DeepCopyObject()); err != nil {
			return nil, err
		}
	}
	if err := s.bind(ctx, binding, dryrun.IsDryRun(options.DryRun)); err != nil {
		return nil, err
	}
	return &metav1.Status{Status: metav1.StatusSuccess}, nil
}

func validateTarget(target *corev1.ObjectReference) field.ErrorList {
	kindAt, nameAt := field.NewPath("target", "kind"), field.NewPath("target", "name")
	var errs field.ErrorList
	node := target.Kind == "" || target.Kind == "Node"
	if !node {
		errs = append(errs, field.NotSupported(kindAt, target.Kind, []string{"Node", "<empty>"}))
	}
	if target.Name == "" {
		return append(errs, field.Required(nameAt, ""))
	}
	if node {
		for _, msg := range validation.NameIsDNSSubdomain(target.Name, false) {
			errs = append(errs, field.Invalid(nameAt, target.Name, msg))
		}
	}
	return errs
}

func (s *bindingREST) bind(ctx context.Context, binding *corev1.Binding, dryRun bool) error {
	key, err := s.pods.KeyFunc(ctx, binding.Name)
	if err != nil {
		return err
	}
	preconditions := &storage.Preconditions{}
	if binding.UID != "" {
		preconditions.UID = &binding.UID
	}
	if binding.ResourceVersion != "" {
		preconditions.ResourceVersion = &binding.ResourceVersion
	}
	err = s.pods.Storage.GuaranteedUpdate(ctx, key, s.pods.New(), false, preconditions,
		storage.SimpleUpdate(func(obj runtime.Object) (runtime.Object, error) {
			pod := obj.(*corev1.Pod)
			return pod, assign(pod, binding)
		}), dryRun, nil)
	if err == nil {
		return nil
	}
	resource := corev1.Resource("pods")
	err = storeerr.InterpretGetError(err, resource, binding.Name)
	err = storeerr.InterpretUpdateError(err, resource, binding.Name)
	if _, isStatus := err.(*apierrors.StatusError); !isStatus { //nolint:errorlint // interpreted errors are not wrapped
		return apierrors.NewConflict(corev1.Resource("pods/binding"), binding.Name, err)
	}
	return err
}

// assign writes a binding into a pod that may still be bound.
func assign(pod *corev1.Pod, binding *corev1.Binding) error {
	if pod.DeletionTimestamp != nil {
		return fmt.Errorf("pod %s is being deleted, cannot be assigned to a host", pod.Name)
	}
	if pod.Spec.NodeName != "" {
		return fmt.Errorf("pod %v is already assigned to node %q", pod.Name, pod.Spec.NodeName)
	}
	if len(pod.Spec.SchedulingGates) != 0 {
		return fmt.Errorf("pod %v has non-empty .spec.schedulingGates", pod.Name)
	}
	pod.Spec.NodeName = binding.Target.Name
	for k, v := range binding.Annotations {
		if pod.Annotations == nil {
			pod.Annotations = map[string]string{}
		}
		pod.Annotations[k] = v
	}
	for k, v := range binding.Labels {
		if pod.Labels == nil {
			pod.Labels = map[string]string{}
		}
		if _, taken := pod.Labels[k]; !taken {
			pod.Labels[k] = v
		}
	}
	setPodCondition(&pod.Status, corev1.PodCondition{Type: corev1.PodScheduled, Status: corev1.ConditionTrue})
	return nil
}

// setPodCondition adds or replaces a condition, dating it if its status is new.
func setPodCondition(status *corev1.PodStatus, c corev1.PodCondition) {
	c.LastTransitionTime = metav1.Now()
	for i := range status.Conditions {
		if old := &status.Conditions[i]; old.Type == c.Type {
			if old.Status == c.Status {
				c.LastTransitionTime = old.LastTransitionTime
			}
			*old = c
			return
		}
	}
	status.Conditions = append(status.Conditions, c)
}

// legacyBindingREST serves POST .../bindings, where the binding names the pod.
type legacyBindingREST struct{ bindings *bindingREST }

var _ rest.Creater = (*legacyBindingREST)(nil)

// New implements rest.Storage.
func (s *legacyBindingREST) New() runtime.Object { return s.bindings.New() }

// Destroy implements rest.Storage.
func (*legacyBindingREST) Destroy() {}

// NamespaceScoped implements rest.Scoper.
func (*legacyBindingREST) NamespaceScoped() bool { return true }

// GetSingularName implements rest.SingularNameProvider.
func (*legacyBindingREST) GetSingularName() string { return "binding" }

// Create binds the pod of the binding's name.
func (s *legacyBindingREST) Create(ctx context.Context, obj runtime.Object, validate rest.ValidateObjectFunc, options *metav1.CreateOptions) (runtime.Object, error) {
	m, ok := obj.(*corev1.Binding)
	if !ok {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("not a Binding object: %#v", obj))
	}
	return s.bindings.Create(request.WithNamespace(ctx, m.Namespace), m.Name, obj, validate, options)
}
