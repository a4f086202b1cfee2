package registry

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metainternalversion "k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/storage"
	storeerr "k8s.io/apiserver/pkg/storage/errors"
	"k8s.io/apiserver/pkg/util/dryrun"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
)

// namespaceREST deletes in two steps. The first delete marks the namespace
// Terminating; the namespace controller empties it and takes the finalizers off
// through the finalize subresource, which removes the object with the last.
// A namespace cannot be deleted as part of a collection.
type namespaceREST struct{ store *REST }

var (
	_ rest.Lister               = (*namespaceREST)(nil)
	_ rest.CreaterUpdater       = (*namespaceREST)(nil)
	_ rest.GracefulDeleter      = (*namespaceREST)(nil)
	_ rest.Watcher              = (*namespaceREST)(nil)
	_ rest.Scoper               = (*namespaceREST)(nil)
	_ rest.StorageWithReadiness = (*namespaceREST)(nil)
)

// Delete marks the namespace, or removes it if nothing holds it any more.
func (s *namespaceREST) Delete(ctx context.Context, name string, validate rest.ValidateObjectFunc, options *metav1.DeleteOptions) (runtime.Object, bool, error) {
	current, err := s.store.Get(ctx, name, &metav1.GetOptions{})
	if err != nil {
		return nil, false, err
	}
	namespace := current.(*corev1.Namespace)
	if options == nil {
		options = metav1.NewDeleteOptions(0)
	}
	if options.Preconditions == nil {
		options.Preconditions = &metav1.Preconditions{}
	}
	if options.Preconditions.UID == nil {
		options.Preconditions.UID = &namespace.UID
	} else if *options.Preconditions.UID != namespace.UID {
		return nil, false, apierrors.NewConflict(s.store.DefaultQualifiedResource, name, fmt.Errorf(
			"precondition failed: UID in precondition: %v, UID in object meta: %v", *options.Preconditions.UID, namespace.UID))
	}
	if v := options.Preconditions.ResourceVersion; v != nil && *v != namespace.ResourceVersion {
		return nil, false, apierrors.NewConflict(s.store.DefaultQualifiedResource, name, fmt.Errorf(
			"precondition failed: ResourceVersion in precondition: %v, ResourceVersion in object meta: %v", *v, namespace.ResourceVersion))
	}
	if namespace.DeletionTimestamp.IsZero() {
		return s.mark(ctx, name, validate, options)
	}
	if len(namespace.Spec.Finalizers) != 0 || len(namespace.Finalizers) != 0 {
		return namespace, false, nil
	}
	return s.store.Delete(ctx, name, validate, options)
}

func (s *namespaceREST) mark(ctx context.Context, name string, validate rest.ValidateObjectFunc, options *metav1.DeleteOptions) (runtime.Object, bool, error) {
	key, err := s.store.KeyFunc(ctx, name)
	if err != nil {
		return nil, false, err
	}
	out := s.store.New()
	preconditions := storage.Preconditions{UID: options.Preconditions.UID, ResourceVersion: options.Preconditions.ResourceVersion}
	err = s.store.Storage.GuaranteedUpdate(ctx, key, out, false, &preconditions,
		storage.SimpleUpdate(func(existing runtime.Object) (runtime.Object, error) {
			namespace := existing.(*corev1.Namespace)
			if err := validate(ctx, namespace); err != nil {
				return nil, err
			}
			if namespace.DeletionTimestamp.IsZero() {
				now := metav1.Now()
				namespace.DeletionTimestamp = &now
			}
			namespace.Status.Phase = corev1.NamespaceTerminating
			namespace.Finalizers = gcFinalizers(namespace.Finalizers, options)
			return namespace, nil
		}), dryrun.IsDryRun(options.DryRun), nil)
	if err != nil {
		err = storeerr.InterpretGetError(err, s.store.DefaultQualifiedResource, name)
		err = storeerr.InterpretUpdateError(err, s.store.DefaultQualifiedResource, name)
		return nil, false, err
	}
	return out, false, nil
}

// gcFinalizers adds the finalizer a propagation policy asks for, or removes the one
// it overrules.
func gcFinalizers(finalizers []string, options *metav1.DeleteOptions) []string {
	if options.PropagationPolicy == nil {
		return finalizers
	}
	var out []string
	for _, f := range finalizers {
		if f != metav1.FinalizerOrphanDependents && f != metav1.FinalizerDeleteDependents {
			out = append(out, f)
		}
	}
	switch *options.PropagationPolicy {
	case metav1.DeletePropagationForeground:
		out = append(out, metav1.FinalizerDeleteDependents)
	case metav1.DeletePropagationOrphan:
		out = append(out, metav1.FinalizerOrphanDependents)
	}
	return out
}

// finalizeStrategy lets the finalize subresource change spec.finalizers alone.
type finalizeStrategy struct{ strategy }

func (finalizeStrategy) AllowCreateOnUpdate(context.Context) bool { return false }

func (finalizeStrategy) PrepareForUpdate(_ context.Context, obj, old runtime.Object) {
	namespace, before := obj.(*corev1.Namespace), old.(*corev1.Namespace)
	namespace.Status = before.Status
}

func (finalizeStrategy) ValidateUpdate(context.Context, runtime.Object, runtime.Object) field.ErrorList {
	return nil
}

func (s finalizeStrategy) GetResetFields() map[fieldpath.APIVersion]*fieldpath.Set {
	return perVersion(s.row, fieldpath.NewSet(fieldpath.MakePathOrDie("status")))
}

// finalizeREST serves namespaces/finalize, which can be replaced and not read.
type finalizeREST struct{ part *partREST }

var (
	_ rest.Updater             = (*finalizeREST)(nil)
	_ rest.ResetFieldsStrategy = (*finalizeREST)(nil)
)

// New implements rest.Storage.
func (s *finalizeREST) New() runtime.Object { return s.part.New() }

// Destroy implements rest.Storage; the store belongs to the main resource.
func (*finalizeREST) Destroy() {}

// Update implements rest.Updater.
func (s *finalizeREST) Update(ctx context.Context, name string, info rest.UpdatedObjectInfo, createValidation rest.ValidateObjectFunc,
	updateValidation rest.ValidateObjectUpdateFunc, force bool, options *metav1.UpdateOptions,
) (runtime.Object, bool, error) {
	return s.part.Update(ctx, name, info, createValidation, updateValidation, force, options)
}

// GetResetFields implements rest.ResetFieldsStrategy.
func (s *finalizeREST) GetResetFields() map[fieldpath.APIVersion]*fieldpath.Set {
	return s.part.GetResetFields()
}

// keepWhileFinalized holds a deletion that an update would complete while
// spec.finalizers are left.
func keepWhileFinalized(_ context.Context, _ string, obj, _ runtime.Object) bool {
	namespace, ok := obj.(*corev1.Namespace)
	return !ok || len(namespace.Spec.Finalizers) == 0
}

// New implements rest.Storage.
func (s *namespaceREST) New() runtime.Object { return s.store.New() }

// Destroy implements rest.Storage.
func (s *namespaceREST) Destroy() { s.store.Destroy() }

// ReadinessCheck implements rest.StorageWithReadiness.
func (s *namespaceREST) ReadinessCheck() error { return s.store.ReadinessCheck() }

// NamespaceScoped implements rest.Scoper.
func (*namespaceREST) NamespaceScoped() bool { return false }

// GetSingularName implements rest.SingularNameProvider.
func (s *namespaceREST) GetSingularName() string { return s.store.GetSingularName() }

// ShortNames implements rest.ShortNamesProvider.
func (s *namespaceREST) ShortNames() []string { return s.store.ShortNames() }

// NewList implements rest.Lister.
func (s *namespaceREST) NewList() runtime.Object { return s.store.NewList() }

// List implements rest.Lister.
func (s *namespaceREST) List(ctx context.Context, options *metainternalversion.ListOptions) (runtime.Object, error) {
	return s.store.List(ctx, options)
}

// ListShared lists without copying; see REST.ListShared.
func (s *namespaceREST) ListShared(ctx context.Context, namespace string) ([]runtime.Object, string, error) {
	return s.store.ListShared(ctx, namespace)
}

// WatchShared watches without copying; see REST.WatchShared.
func (s *namespaceREST) WatchShared(ctx context.Context, options *metainternalversion.ListOptions) (watch.Interface, error) {
	return s.store.WatchShared(ctx, options)
}

// Create implements rest.Creater.
func (s *namespaceREST) Create(ctx context.Context, obj runtime.Object, validate rest.ValidateObjectFunc, options *metav1.CreateOptions) (runtime.Object, error) {
	return s.store.Create(ctx, obj, validate, options)
}

// Update implements rest.Updater.
func (s *namespaceREST) Update(ctx context.Context, name string, info rest.UpdatedObjectInfo, createValidation rest.ValidateObjectFunc,
	updateValidation rest.ValidateObjectUpdateFunc, forceAllowCreate bool, options *metav1.UpdateOptions,
) (runtime.Object, bool, error) {
	return s.store.Update(ctx, name, info, createValidation, updateValidation, forceAllowCreate, options)
}

// Get implements rest.Getter.
func (s *namespaceREST) Get(ctx context.Context, name string, options *metav1.GetOptions) (runtime.Object, error) {
	return s.store.Get(ctx, name, options)
}

// Watch implements rest.Watcher.
func (s *namespaceREST) Watch(ctx context.Context, options *metainternalversion.ListOptions) (watch.Interface, error) {
	return s.store.Watch(ctx, options)
}

// ConvertToTable implements rest.TableConvertor.
func (s *namespaceREST) ConvertToTable(ctx context.Context, object, tableOptions runtime.Object) (*metav1.Table, error) {
	return s.store.ConvertToTable(ctx, object, tableOptions)
}

// GetResetFields implements rest.ResetFieldsStrategy.
func (s *namespaceREST) GetResetFields() map[fieldpath.APIVersion]*fieldpath.Set {
	return s.store.GetResetFields()
}

// StorageVersion implements rest.StorageVersionProvider.
func (s *namespaceREST) StorageVersion() runtime.GroupVersioner { return s.store.StorageVersion() }
