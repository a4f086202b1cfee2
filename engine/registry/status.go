package registry

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	genericregistry "k8s.io/apiserver/pkg/registry/generic/registry"
	"k8s.io/apiserver/pkg/registry/rest"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
)

// partREST serves a subresource that is the whole object under other update rules:
// status, pods/resize, certificatesigningrequests/approval.
type partREST struct {
	store    *genericregistry.Store
	strategy rest.UpdateResetFieldsStrategy
}

var (
	_ rest.Patcher             = (*partREST)(nil)
	_ rest.ResetFieldsStrategy = (*partREST)(nil)
	_ rest.TableConvertor      = (*partREST)(nil)
)

func newStatusREST(s *REST) *partREST {
	return newPartREST(s, statusStrategy{s.strategy.of("status")})
}

func newPartREST(s *REST, st rest.UpdateResetFieldsStrategy) *partREST {
	store := *s.Store
	store.UpdateStrategy, store.ResetFieldsStrategy = st, st
	store.BeginUpdate, store.AfterUpdate = nil, nil
	return &partREST{store: &store, strategy: st}
}

// New implements rest.Storage.
func (s *partREST) New() runtime.Object { return s.store.New() }

// Destroy implements rest.Storage; the store belongs to the main resource.
func (*partREST) Destroy() {}

// Get implements rest.Getter.
func (s *partREST) Get(ctx context.Context, name string, options *metav1.GetOptions) (runtime.Object, error) {
	return s.store.Get(ctx, name, options)
}

// Update never creates.
func (s *partREST) Update(ctx context.Context, name string, info rest.UpdatedObjectInfo, createValidation rest.ValidateObjectFunc,
	updateValidation rest.ValidateObjectUpdateFunc, _ bool, options *metav1.UpdateOptions,
) (runtime.Object, bool, error) {
	return s.store.Update(ctx, name, info, createValidation, updateValidation, false, options)
}

// GetResetFields implements rest.ResetFieldsStrategy.
func (s *partREST) GetResetFields() map[fieldpath.APIVersion]*fieldpath.Set {
	return s.strategy.GetResetFields()
}

// ConvertToTable implements rest.TableConvertor.
func (s *partREST) ConvertToTable(ctx context.Context, object, tableOptions runtime.Object) (*metav1.Table, error) {
	return s.store.ConvertToTable(ctx, object, tableOptions)
}
