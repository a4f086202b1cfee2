package registry

import (
	"fmt"
	"sync/atomic"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apiserver/pkg/registry/rest"
	"k8s.io/apiserver/pkg/storage/value"

	"github.com/pintle-io/pintle/engine/apis"
	"github.com/pintle-io/pintle/store"
)

// Config describes a Registry. Table, Scheme, Codecs and Store are required.
type Config struct {
	Table  []apis.Resource
	Scheme *runtime.Scheme
	Codecs serializer.CodecFactory
	Store  store.Backend
	// Transformers encrypt what is stored, by resource; others are stored plain.
	Transformers map[schema.GroupResource]value.Transformer
	// ServiceCIDRs are the ranges of cluster addresses, as 10.96.0.0/16 (the default):
	// one per family, first that of services that ask for none.
	ServiceCIDRs []string
	// NodePorts is the range of node ports; the zero value selects 30000-32767.
	NodePorts PortRange
	// Hooks may be given later, by SetHooks, if they depend on the registry.
	Hooks Hooks
}

// Registry holds the storage of everything that is served.
type Registry struct {
	table   []apis.Resource
	scheme  *runtime.Scheme
	codecs  serializer.CodecFactory
	backend *backend
	hooks   atomic.Pointer[Hooks]
	served  map[schema.GroupVersion]map[string]rest.Storage
	order   []schema.GroupVersion
	stores  map[schema.GroupVersionResource]*REST
	// addresses shows the cluster addresses of services as objects; nil if their
	// kinds are not in the table.
	addresses *addressObjects
}

// New builds the storages. It reads the services in the store to learn which
// cluster addresses and node ports are taken.
func New(cfg Config) (*Registry, error) {
	r := &Registry{
		table:   cfg.Table,
		scheme:  cfg.Scheme,
		codecs:  cfg.Codecs,
		backend: &backend{store: cfg.Store, codecs: cfg.Codecs, transformers: cfg.Transformers},
		served:  map[schema.GroupVersion]map[string]rest.Storage{},
		stores:  map[schema.GroupVersionResource]*REST{},
	}
	r.SetHooks(cfg.Hooks)
	for i := range r.table {
		if err := r.addRow(&r.table[i]); err != nil {
			return nil, err
		}
	}
	if err := r.addByHand(cfg); err != nil {
		return nil, err
	}
	return r, nil
}

// addRow serves one row of the table with what it declares of itself.
func (r *Registry) addRow(row *apis.Resource) error {
	s, err := r.newREST(row)
	if err != nil {
		return fmt.Errorf("storage of %s: %w", row.GVR().GroupResource(), err)
	}
	r.stores[row.GVR()] = s
	for _, gvk := range append([]schema.GroupVersionKind{row.GVK}, row.OtherVersions...) {
		gv := gvk.GroupVersion()
		r.serve(gv, row.Plural, s)
		if row.HasStatus {
			r.serve(gv, row.Plural+"/status", newStatusREST(s))
		}
		if row.Scale != nil {
			r.serve(gv, row.Plural+"/scale", &scaleREST{store: s})
		}
	}
	return nil
}

func (r *Registry) serve(gv schema.GroupVersion, path string, s rest.Storage) {
	if r.served[gv] == nil {
		r.served[gv] = map[string]rest.Storage{}
		r.order = append(r.order, gv)
	}
	r.served[gv][path] = s
}

// Storage returns the storage of a resource (subresource empty) or of one of its
// subresources.
func (r *Registry) Storage(gvr schema.GroupVersionResource, subresource string) (rest.Storage, bool) {
	path := gvr.Resource
	if subresource != "" {
		path += "/" + subresource
	}
	s, ok := r.served[gvr.GroupVersion()][path]
	return s, ok
}

// GroupVersions lists what is served, hub versions first within a group.
func (r *Registry) GroupVersions() []schema.GroupVersion { return r.order }

// Resources returns the storages of one group version by path, as
// "pods" and "pods/status". The map must not be changed.
func (r *Registry) Resources(gv schema.GroupVersion) map[string]rest.Storage { return r.served[gv] }

// Table returns the rows the registry was built from.
func (r *Registry) Table() []apis.Resource { return r.table }

// Scheme returns the scheme of the served kinds.
func (r *Registry) Scheme() *runtime.Scheme { return r.scheme }

// Codecs returns the codecs of the served kinds.
func (r *Registry) Codecs() serializer.CodecFactory { return r.codecs }

// SetHooks replaces what the registry calls upon of the rest of the server.
func (r *Registry) SetHooks(h Hooks) { r.hooks.Store(&h) }
