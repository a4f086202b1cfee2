package bootstrap

import (
	"context"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/component-helpers/auth/rbac/validation"
)

// Writer is what Ensure needs of the API; engine/client's Client is one.
type Writer interface {
	Get(ctx context.Context, gvr schema.GroupVersionResource, namespace, name string) (runtime.Object, error)
	Create(ctx context.Context, obj runtime.Object, opts metav1.CreateOptions) (runtime.Object, error)
	Update(ctx context.Context, obj runtime.Object, opts metav1.UpdateOptions) (runtime.Object, error)
	Delete(ctx context.Context, gvr schema.GroupVersionResource, namespace, name string, opts metav1.DeleteOptions) error
}

// inFlight lets the store commit many creates at once.
const inFlight = 64

// Ensure creates what is missing of Objects and brings roles, bindings and the
// server's endpoints up to date. Running it again changes nothing. Rules and
// subjects that others added stay, and so does a role whose autoupdate annotation
// is "false".
func Ensure(ctx context.Context, w Writer, cfg Config) error {
	objects := Objects(cfg)
	first := len(Namespaces())
	if err := ensureAll(ctx, w, objects[:first]); err != nil {
		return err
	}
	return ensureAll(ctx, w, objects[first:])
}

func ensureAll(ctx context.Context, w Writer, objects []runtime.Object) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(inFlight)
	for _, obj := range objects {
		group.Go(func() error { return ensure(ctx, w, obj) })
	}
	return group.Wait()
}

func ensure(ctx context.Context, w Writer, want runtime.Object) error {
	gvr := resourceOf(want)
	meta := want.(metav1.Object)
	namespace, name := meta.GetNamespace(), meta.GetName()
	have, err := w.Get(ctx, gvr, namespace, name)
	if apierrors.IsNotFound(err) {
		_, err = w.Create(ctx, want, metav1.CreateOptions{})
		if err == nil || apierrors.IsAlreadyExists(err) {
			return nil
		}
		return fmt.Errorf("create %s %s/%s: %w", gvr.Resource, namespace, name, err)
	}
	if err != nil {
		return fmt.Errorf("get %s %s/%s: %w", gvr.Resource, namespace, name, err)
	}
	if otherRole(have, want) {
		return replace(ctx, w, gvr, want)
	}
	next := merge(have, want)
	if next == nil {
		return nil
	}
	if _, err := w.Update(ctx, next, metav1.UpdateOptions{}); err != nil && !apierrors.IsConflict(err) {
		return fmt.Errorf("update %s %s/%s: %w", gvr.Resource, namespace, name, err)
	}
	return nil
}

// otherRole reports whether a binding of ours refers to another role than it should.
// That cannot be changed, so it takes a new binding.
func otherRole(have, want runtime.Object) bool {
	var has, wants rbacv1.RoleRef
	switch want := want.(type) {
	case *rbacv1.ClusterRoleBinding:
		has, wants = have.(*rbacv1.ClusterRoleBinding).RoleRef, want.RoleRef
	case *rbacv1.RoleBinding:
		has, wants = have.(*rbacv1.RoleBinding).RoleRef, want.RoleRef
	}
	return has != wants && !protected(have)
}

func replace(ctx context.Context, w Writer, gvr schema.GroupVersionResource, want runtime.Object) error {
	meta := want.(metav1.Object)
	err := w.Delete(ctx, gvr, meta.GetNamespace(), meta.GetName(), metav1.DeleteOptions{})
	if err == nil || apierrors.IsNotFound(err) {
		_, err = w.Create(ctx, want, metav1.CreateOptions{})
	}
	if err != nil {
		return fmt.Errorf("replace %s %s/%s: %w", gvr.Resource, meta.GetNamespace(), meta.GetName(), err)
	}
	return nil
}

func resourceOf(obj runtime.Object) schema.GroupVersionResource {
	switch obj.(type) {
	case *corev1.Namespace:
		return corev1.SchemeGroupVersion.WithResource("namespaces")
	case *corev1.Service:
		return corev1.SchemeGroupVersion.WithResource("services")
	case *corev1.Endpoints:
		return corev1.SchemeGroupVersion.WithResource("endpoints")
	case *discoveryv1.EndpointSlice:
		return discoveryv1.SchemeGroupVersion.WithResource("endpointslices")
	case *storagev1.StorageClass:
		return storagev1.SchemeGroupVersion.WithResource("storageclasses")
	case *schedulingv1.PriorityClass:
		return schedulingv1.SchemeGroupVersion.WithResource("priorityclasses")
	case *rbacv1.ClusterRole:
		return rbacv1.SchemeGroupVersion.WithResource("clusterroles")
	case *rbacv1.ClusterRoleBinding:
		return rbacv1.SchemeGroupVersion.WithResource("clusterrolebindings")
	case *rbacv1.Role:
		return rbacv1.SchemeGroupVersion.WithResource("roles")
	case *rbacv1.RoleBinding:
		return rbacv1.SchemeGroupVersion.WithResource("rolebindings")
	}
	panic(fmt.Sprintf("bootstrap: no resource for %T", obj))
}

// merge returns have brought up to want, or nil if nothing is to change. It
// changes neither.
func merge(have, want runtime.Object) runtime.Object {
	switch want := want.(type) {
	case *rbacv1.ClusterRole:
		next := have.(*rbacv1.ClusterRole).DeepCopy()
		return grown(next, want, addRules(&next.Rules, want.Rules), addSelectors(next, want))
	case *rbacv1.Role:
		next := have.(*rbacv1.Role).DeepCopy()
		return grown(next, want, addRules(&next.Rules, want.Rules))
	case *rbacv1.ClusterRoleBinding:
		next := have.(*rbacv1.ClusterRoleBinding).DeepCopy()
		return grown(next, want, addSubjects(&next.Subjects, want.Subjects))
	case *rbacv1.RoleBinding:
		next := have.(*rbacv1.RoleBinding).DeepCopy()
		return grown(next, want, addSubjects(&next.Subjects, want.Subjects))
	case *corev1.Endpoints:
		next := have.(*corev1.Endpoints).DeepCopy()
		if equality.Semantic.DeepEqual(next.Subsets, want.Subsets) {
			return nil
		}
		next.Subsets = want.Subsets
		return next
	case *discoveryv1.EndpointSlice:
		next := have.(*discoveryv1.EndpointSlice).DeepCopy()
		if equality.Semantic.DeepEqual(next.Endpoints, want.Endpoints) && equality.Semantic.DeepEqual(next.Ports, want.Ports) {
			return nil
		}
		next.Endpoints, next.Ports = want.Endpoints, want.Ports
		return next
	}
	return nil
}

// grown returns next, with the labels and annotations of want, if that or anything
// else changed it.
func grown(next, want runtime.Object, changes ...bool) runtime.Object {
	if protected(next) {
		return nil
	}
	meta, wanted := next.(metav1.Object), want.(metav1.Object)
	labels, newLabels := addMissing(meta.GetLabels(), wanted.GetLabels())
	annotations, newAnnotations := addMissing(meta.GetAnnotations(), wanted.GetAnnotations())
	meta.SetLabels(labels)
	meta.SetAnnotations(annotations)
	if !newLabels && !newAnnotations && !slices.Contains(changes, true) {
		return nil
	}
	return next
}

// protected reports whether somebody asked that the object stay as it is.
func protected(obj runtime.Object) bool {
	return obj.(metav1.Object).GetAnnotations()[rbacv1.AutoUpdateAnnotationKey] == "false"
}

// addMissing adds keys; values that are there stay.
func addMissing(have, want map[string]string) (map[string]string, bool) {
	changed := false
	for k, v := range want {
		if _, ok := have[k]; ok {
			continue
		}
		if have == nil {
			have = map[string]string{}
		}
		have[k], changed = v, true
	}
	return have, changed
}

// addSelectors completes which roles an aggregated role collects.
func addSelectors(next, want *rbacv1.ClusterRole) (changed bool) {
	if want.AggregationRule == nil {
		return false
	}
	if next.AggregationRule == nil {
		next.AggregationRule = &rbacv1.AggregationRule{}
	}
	have := &next.AggregationRule.ClusterRoleSelectors
	for _, selector := range want.AggregationRule.ClusterRoleSelectors {
		if !slices.ContainsFunc(*have, func(s metav1.LabelSelector) bool { return equality.Semantic.DeepEqual(s, selector) }) {
			*have, changed = append(*have, selector), true
		}
	}
	return changed
}

func addRules(have *[]rbacv1.PolicyRule, want []rbacv1.PolicyRule) bool {
	covered, missing := validation.Covers(*have, want)
	*have = append(*have, missing...)
	return !covered
}

func addSubjects(have *[]rbacv1.Subject, want []rbacv1.Subject) (changed bool) {
	for _, s := range want {
		if !slices.Contains(*have, s) {
			*have, changed = append(*have, s), true
		}
	}
	return changed
}

// Hooks are the names of upstream's hooks after the start whose work Ensure has done.
func Hooks() []string {
	return []string{
		"rbac/bootstrap-roles", "scheduling/bootstrap-system-priority-classes", "start-system-namespaces-controller",
		"bootstrap-controller", "start-kubernetes-service-cidr-controller",
	}
}
