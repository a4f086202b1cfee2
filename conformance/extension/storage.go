package extension

import (
	"context"
	"strconv"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metainternalversion "k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/uuid"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"
)

// storage keeps fruits in memory.
type storage struct {
	rest.TableConvertor

	watchers *watch.Broadcaster
	mu       struct {
		sync.Mutex
		revision int
		fruits   map[types.NamespacedName]*Fruit
	}
}

var (
	_ rest.Scoper          = (*storage)(nil)
	_ rest.Getter          = (*storage)(nil)
	_ rest.Lister          = (*storage)(nil)
	_ rest.Creater         = (*storage)(nil)
	_ rest.GracefulDeleter = (*storage)(nil)
	_ rest.Watcher         = (*storage)(nil)
)

func newStorage() *storage {
	s := &storage{
		TableConvertor: rest.NewDefaultTableConvertor(version.WithResource("fruits").GroupResource()),
		watchers:       watch.NewBroadcaster(100, watch.WaitIfChannelFull),
	}
	s.mu.fruits = map[types.NamespacedName]*Fruit{}
	return s
}

// New implements rest.Storage.
func (*storage) New() runtime.Object { return &Fruit{} }

// NewList implements rest.Lister.
func (*storage) NewList() runtime.Object { return &FruitList{} }

// Destroy implements rest.Storage.
func (s *storage) Destroy() { s.watchers.Shutdown() }

// NamespaceScoped implements rest.Scoper.
func (*storage) NamespaceScoped() bool { return true }

// GetSingularName implements rest.SingularNameProvider.
func (*storage) GetSingularName() string { return "fruit" }

// ShortNames implements rest.ShortNamesProvider.
func (*storage) ShortNames() []string { return []string{"frt"} }

func key(ctx context.Context, name string) types.NamespacedName {
	return types.NamespacedName{Namespace: request.NamespaceValue(ctx), Name: name}
}

// Get implements rest.Getter.
func (s *storage) Get(ctx context.Context, name string, _ *metav1.GetOptions) (runtime.Object, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f, ok := s.mu.fruits[key(ctx, name)]
	if !ok {
		return nil, apierrors.NewNotFound(version.WithResource("fruits").GroupResource(), name)
	}
	return f.DeepCopyObject(), nil
}

// List implements rest.Lister.
func (s *storage) List(ctx context.Context, _ *metainternalversion.ListOptions) (runtime.Object, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := &FruitList{ListMeta: metav1.ListMeta{ResourceVersion: strconv.Itoa(s.mu.revision)}, Items: []Fruit{}}
	for k, f := range s.mu.fruits {
		if ns := request.NamespaceValue(ctx); ns == "" || ns == k.Namespace {
			list.Items = append(list.Items, *f.DeepCopyObject().(*Fruit))
		}
	}
	return list, nil
}

// Create implements rest.Creater; it remembers who asked.
func (s *storage) Create(ctx context.Context, obj runtime.Object, validate rest.ValidateObjectFunc, _ *metav1.CreateOptions) (runtime.Object, error) {
	if err := validate(ctx, obj); err != nil {
		return nil, err
	}
	f := obj.(*Fruit)
	if who, ok := request.UserFrom(ctx); ok {
		f.By, f.Groups = who.GetName(), who.GetGroups()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	k := types.NamespacedName{Namespace: f.Namespace, Name: f.Name}
	if s.mu.fruits[k] != nil {
		return nil, apierrors.NewAlreadyExists(version.WithResource("fruits").GroupResource(), f.Name)
	}
	s.mu.revision++
	f.UID, f.CreationTimestamp, f.ResourceVersion = uuid.NewUUID(), metav1.Now(), strconv.Itoa(s.mu.revision)
	s.mu.fruits[k] = f
	return f.DeepCopyObject(), s.watchers.Action(watch.Added, f.DeepCopyObject())
}

// Delete implements rest.GracefulDeleter.
func (s *storage) Delete(ctx context.Context, name string, validate rest.ValidateObjectFunc, _ *metav1.DeleteOptions) (runtime.Object, bool, error) {
	obj, err := s.Get(ctx, name, nil)
	if err != nil {
		return nil, false, err
	}
	if err := validate(ctx, obj); err != nil {
		return nil, false, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.mu.fruits, key(ctx, name))
	return obj, true, s.watchers.Action(watch.Deleted, obj)
}

// Watch implements rest.Watcher: all that happens from now on.
func (s *storage) Watch(context.Context, *metainternalversion.ListOptions) (watch.Interface, error) {
	return s.watchers.Watch()
}
