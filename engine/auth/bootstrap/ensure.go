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
	next := merge(have, want)
	if next == nil {
		return nil
	}
	if _, err := w.Update(ctx, next, metav1.UpdateOptions{}); err != nil && !apierrors.IsConflict(err) {
		return fmt.Errorf("update %s %s/%s: %w", gvr.Resource, namespace, name, err)
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
		return grown(next, addRules(&next.Rules, want.Rules))
	case *rbacv1.Role:
		next := have.(*rbacv1.Role).DeepCopy()
		return grown(next, addRules(&next.Rules, want.Rules))
	case *rbacv1.ClusterRoleBinding:
		next := have.(*rbacv1.ClusterRoleBinding).DeepCopy()
		return grown(next, addSubjects(&next.Subjects, want.Subjects))
	case *rbacv1.RoleBinding:
		next := have.(*rbacv1.RoleBinding).DeepCopy()
		return grown(next, addSubjects(&next.Subjects, want.Subjects))
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

func grown(next runtime.Object, changed bool) runtime.Object {
	if !changed || next.(metav1.Object).GetAnnotations()[rbacv1.AutoUpdateAnnotationKey] == "false" {
		return nil
	}
	return next
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
