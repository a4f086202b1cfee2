// Package catalog lists the resources that exist right now: the built-in ones
// from the table, others (custom resources, aggregated APIs) from discovery. For
// controllers that concern every kind.
package catalog

import (
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"

	"github.com/pintle-io/pintle/engine/client"
)

// Resource is one resource whose objects can be listed, watched and deleted.
type Resource struct {
	schema.GroupVersionResource
	Kind       schema.GroupVersionKind
	Namespaced bool
	BuiltIn    bool
}

// eventsAlias is the second name of the core group's events.
var eventsAlias = schema.GroupResource{Group: "events.k8s.io", Resource: "events"}

// Catalog finds resources.
type Catalog struct {
	client    *client.Client
	discovery discovery.DiscoveryInterface
	builtIn   []Resource
	events    Resource
	tableHas  map[schema.GroupResource]bool
}

// New builds a catalog.
func New(c *client.Client) *Catalog {
	out := &Catalog{client: c, discovery: c.Clientset().Discovery(), tableHas: map[schema.GroupResource]bool{}}
	table := c.Table()
	for i := range table {
		row := &table[i]
		out.tableHas[row.GVR().GroupResource()] = true
		r := Resource{GroupVersionResource: row.GVR(), Kind: row.GVK, Namespaced: row.Namespaced, BuiltIn: true}
		if r.Resource == "events" {
			out.events = r
			continue
		}
		out.builtIn = append(out.builtIn, r)
	}
	return out
}

// BuiltIn lists the resources of the table but events, which are neither collected
// as garbage nor counted by quotas.
func (c *Catalog) BuiltIn() []Resource { return c.builtIn }

// Events is the resource of events, which go with their namespace.
func (c *Catalog) Events() Resource { return c.events }

// Others lists what else discovery shows. With an error it is what could be
// found all the same.
func (c *Catalog) Others() ([]Resource, error) {
	lists, err := c.discovery.ServerPreferredResources()
	if err != nil {
		err = fmt.Errorf("discover resources: %w", err)
	}
	var out []Resource
	for _, list := range lists {
		gv, parseErr := schema.ParseGroupVersion(list.GroupVersion)
		if parseErr != nil {
			continue
		}
		for _, r := range list.APIResources {
			gvr := gv.WithResource(r.Name)
			if c.ignored(gvr, r) {
				continue
			}
			out = append(out, Resource{GroupVersionResource: gvr, Kind: gv.WithKind(r.Kind), Namespaced: r.Namespaced})
		}
	}
	return out, err
}

// ignored leaves out what the table has, under any group (events have two).
func (c *Catalog) ignored(gvr schema.GroupVersionResource, r metav1.APIResource) bool {
	if c.tableHas[gvr.GroupResource()] || gvr.GroupResource() == eventsAlias {
		return true
	}
	for _, verb := range []string{"list", "watch", "delete"} {
		if !slices.Contains(r.Verbs, verb) {
			return true
		}
	}
	return false
}
