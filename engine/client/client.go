package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"sync"

	"k8s.io/apimachinery/pkg/api/meta"
	metainternalversion "k8s.io/apimachinery/pkg/apis/meta/internalversion"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/client-go/informers"

	"github.com/pintle-io/pintle/engine/apis"
)

// Storages is what the client needs of the registry.
type Storages interface {
	// Storage returns the storage of a resource (subresource empty) or of one of
	// its subresources.
	Storage(gvr schema.GroupVersionResource, subresource string) (rest.Storage, bool)
}

// SharedLister is offered by a storage that can list a kind without copying:
// the objects are those of the store's index. An empty namespace selects all.
type SharedLister interface {
	ListShared(ctx context.Context, namespace string) (items []runtime.Object, resourceVersion string, err error)
}

// SharedWatcher is offered by a storage that can watch without copying, under the
// same rule.
type SharedWatcher interface {
	WatchShared(ctx context.Context, opts *metainternalversion.ListOptions) (watch.Interface, error)
}

// Config describes a client. Storages, Table and Scheme are required.
type Config struct {
	Storages Storages
	Table    []apis.Resource
	Scheme   *runtime.Scheme
	// TypeConverter gives the schema for managedFields; it is called at the
	// first write. nil selects the converter of client-go's apply configurations.
	TypeConverter func() managedfields.TypeConverter
	// FieldManager names the writer in managedFields.
	FieldManager string
	// User is the identity that admission sees.
	User user.Info
	// Late names kinds whose informers fill only after FillLate is called.
	Late []schema.GroupResource
}

// Client reads and writes the API in process.
type Client struct {
	*shared
	user    user.Info
	manager string
}

// shared is the part all derived clients share.
type shared struct {
	storages Storages
	scheme   *runtime.Scheme
	ifaces   admission.ObjectInterfaces
	fields   *fieldManagers

	table  []apis.Resource
	byType map[reflect.Type]*apis.Resource
	byGVR  map[schema.GroupVersionResource]*apis.Resource

	factory     informers.SharedInformerFactory
	factoryOnce sync.Once
	latecomers  *latecomers

	late struct {
		sync.RWMutex
		admission admission.Interface
		handler   http.Handler
	}
}

// New builds a client. Until SetAdmission is called, writes run no admission;
// until SetHandler is called, Patch and the clientset answer with an error.
func New(cfg Config) (*Client, error) {
	if cfg.Storages == nil || cfg.Scheme == nil {
		return nil, errors.New("client: Storages and Scheme are required")
	}
	if cfg.User == nil {
		cfg.User = &user.DefaultInfo{Name: user.APIServerUser, Groups: []string{user.SystemPrivilegedGroup, user.AllAuthenticated}}
	}
	if cfg.FieldManager == "" {
		cfg.FieldManager = "pintle"
	}
	c := &shared{
		storages:   cfg.Storages,
		scheme:     cfg.Scheme,
		table:      cfg.Table,
		ifaces:     admission.NewObjectInterfacesFromScheme(cfg.Scheme),
		fields:     newFieldManagers(cfg.Scheme, cfg.TypeConverter),
		byType:     make(map[reflect.Type]*apis.Resource, len(cfg.Table)),
		latecomers: newLatecomers(cfg.Late),
		byGVR:      make(map[schema.GroupVersionResource]*apis.Resource, len(cfg.Table)),
	}
	for i := range cfg.Table {
		row := &cfg.Table[i]
		t := reflect.TypeOf(row.New())
		if _, taken := c.byType[t]; !taken {
			c.byType[t] = row
		}
		c.byGVR[row.GVR()] = row
	}
	return &Client{shared: c, user: cfg.User, manager: cfg.FieldManager}, nil
}

// SetAdmission installs the admission chain that writes run from now on.
func (c *Client) SetAdmission(a admission.Interface) {
	c.late.Lock()
	defer c.late.Unlock()
	c.late.admission = a
}

// SetHandler installs the server's handler, for Patch and the clientset. The
// server must accept Authenticator among its authenticators.
func (c *Client) SetHandler(h http.Handler) {
	c.late.Lock()
	defer c.late.Unlock()
	c.late.handler = h
}

// As returns a client with another identity.
func (c *Client) As(u user.Info) *Client {
	d := *c
	d.user = u
	return &d
}

// AsController returns a client with the identity of a built-in controller:
// the service account of that name in kube-system.
func (c *Client) AsController(name string) *Client {
	return c.As(&user.DefaultInfo{
		Name:   "system:serviceaccount:kube-system:" + name,
		Groups: []string{"system:serviceaccounts", "system:serviceaccounts:kube-system", user.AllAuthenticated},
	})
}

// WithFieldManager returns a client whose writes carry another manager name.
func (c *Client) WithFieldManager(name string) *Client {
	d := *c
	d.manager = name
	return &d
}

// Scheme returns the scheme of the served kinds.
func (c *Client) Scheme() *runtime.Scheme { return c.scheme }

// Table returns the rows of the built-in kinds; they must not be changed.
func (c *Client) Table() []apis.Resource { return c.table }

// ResourceOf returns the table row of a served Go type.
func (c *Client) ResourceOf(obj runtime.Object) (*apis.Resource, bool) {
	row, ok := c.byType[reflect.TypeOf(obj)]
	return row, ok
}

func (c *Client) currentAdmission() admission.Interface {
	c.late.RLock()
	defer c.late.RUnlock()
	return c.late.admission
}

// rowOf is ResourceOf with an error that names the type.
func (c *Client) rowOf(obj runtime.Object) (*apis.Resource, error) {
	if row, ok := c.byType[reflect.TypeOf(obj)]; ok {
		return row, nil
	}
	return nil, fmt.Errorf("client: type %T is not served", obj)
}

// storage returns the storage of gvr as the interface S that a verb needs.
func storage[S any](c *shared, gvr schema.GroupVersionResource, subresource, verb string) (S, error) {
	var none S
	s, ok := c.storages.Storage(gvr, subresource)
	if !ok {
		return none, fmt.Errorf("client: %s is not served", path(gvr, subresource))
	}
	typed, ok := s.(S)
	if !ok {
		return none, fmt.Errorf("client: %s does not support %s", path(gvr, subresource), verb)
	}
	return typed, nil
}

func path(gvr schema.GroupVersionResource, subresource string) string {
	p := gvr.GroupResource().String()
	if subresource != "" {
		p += "/" + subresource
	}
	return p
}

// scope adds the identity and the namespace, which storages and admission read.
func (c *Client) scope(ctx context.Context, namespace string) context.Context {
	return request.WithNamespace(request.WithUser(ctx, c.user), namespace)
}

// attributesNamespace is the namespace admission sees: that of the object, or
// for a Namespace its own name.
func attributesNamespace(gvr schema.GroupVersionResource, namespace, name string) string {
	if gvr.Group == "" && gvr.Resource == "namespaces" {
		return name
	}
	return namespace
}

func accessor(obj runtime.Object) (namespace, name string, err error) {
	m, err := meta.Accessor(obj)
	if err != nil {
		return "", "", err
	}
	return m.GetNamespace(), m.GetName(), nil
}
