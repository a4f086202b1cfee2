package apiserver

import (
	"cmp"
	"slices"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	extensions "k8s.io/apiextensions-apiserver/pkg/apiserver"
	apiextensionslisters "k8s.io/apiextensions-apiserver/pkg/client/listers/apiextensions/v1"
	openapiv2 "k8s.io/apiextensions-apiserver/pkg/controller/openapi"
	openapiv3 "k8s.io/apiextensions-apiserver/pkg/controller/openapiv3"
	extensionsopenapi "k8s.io/apiextensions-apiserver/pkg/generated/openapi"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/version"
	"k8s.io/apiserver/pkg/endpoints/discovery"
	apiopenapi "k8s.io/apiserver/pkg/endpoints/openapi"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/client-go/tools/cache"

	"github.com/pintle-io/pintle/engine/apiserver/openapi"
)

// customResources is the delegate that serves custom resource definitions and the
// resources they define: upstream's, over our store.
type customResources struct {
	*extensions.CustomResourceDefinitions
}

func newCustomResources(main *genericapiserver.Config, cfg *Config, delegate genericapiserver.DelegationTarget) (*customResources, error) {
	c := *main
	c.PostStartHooks = map[string]genericapiserver.PostStartHookConfigEntry{}
	c.RESTOptionsGetter = cfg.Registry.CustomResourceDefinitions()
	c.MergedResourceConfig = extensions.DefaultAPIResourceConfigSource()
	c.SkipOpenAPIInstallation = true
	// Upstream's hook polls, and ends the process if the server is stopped before
	// it is through; publish has one that does neither.
	c.DisabledPostStartHooks = sets.NewString("crd-informer-synced")
	// The definitions' own schema alone: server-side apply of a definition needs it.
	c.OpenAPIV3Config = genericapiserver.DefaultOpenAPIV3Config(
		extensionsopenapi.GetOpenAPIDefinitions, apiopenapi.NewDefinitionNamer(extensions.Scheme))
	extensionsConfig := &extensions.Config{
		GenericConfig: &genericapiserver.RecommendedConfig{Config: c},
		ExtraConfig: extensions.ExtraConfig{
			CRDRESTOptionsGetter: cfg.Registry.CustomResources(),
			MasterCount:          1,
			ServiceResolver:      serviceNames{},
		},
	}
	server, err := extensionsConfig.Complete().New(delegate)
	if err != nil {
		return nil, err
	}
	return &customResources{server}, nil
}

// publish keeps the group list and the OpenAPI documents of the main server in step
// with the definitions. It closes complete when all stored definitions are known.
func (c *customResources) publish(main *genericapiserver.GenericAPIServer, docs *openapi.Service, complete chan<- struct{}) error {
	gv := apiextensionsv1.SchemeGroupVersion
	main.DiscoveryGroupManager.AddGroup(apiGroup([]schema.GroupVersion{gv}))
	main.AggregatedDiscoveryGroupManager.SetGroupVersionPriority(metav1.GroupVersion(gv), 16700, 15)

	definitions := c.Informers.Apiextensions().V1().CustomResourceDefinitions()
	groups := &customGroups{
		lister: definitions.Lister(),
		groups: main.DiscoveryGroupManager,
	}
	if _, err := definitions.Informer().AddEventHandler(groups); err != nil {
		return err
	}
	synced := definitions.Informer().HasSyncedChecker().Done()
	err := main.AddPostStartHook("pintle/custom-resources", func(ctx genericapiserver.PostStartHookContext) error {
		select {
		case <-synced:
			close(complete)
		case <-ctx.Done():
		}
		return nil
	})
	if err != nil || docs == nil {
		return err
	}
	return main.AddPostStartHook("pintle/custom-openapi", func(ctx genericapiserver.PostStartHookContext) error {
		go openapiv2.NewController(definitions).Run(openapi.EmptySwagger(), docs.CustomV2, ctx.Done())
		go openapiv3.NewController(definitions).Run(docs.CustomV3, ctx.Done())
		return nil
	})
}

// customGroups lists the groups of established definitions under /apis.
type customGroups struct {
	lister apiextensionslisters.CustomResourceDefinitionLister
	groups discovery.GroupManager
}

var _ cache.ResourceEventHandler = (*customGroups)(nil)

// OnAdd implements cache.ResourceEventHandler.
func (g *customGroups) OnAdd(obj any, _ bool) { g.sync(obj) }

// OnUpdate implements cache.ResourceEventHandler.
func (g *customGroups) OnUpdate(_, obj any) { g.sync(obj) }

// OnDelete implements cache.ResourceEventHandler.
func (g *customGroups) OnDelete(obj any) {
	if gone, ok := obj.(cache.DeletedFinalStateUnknown); ok {
		obj = gone.Obj
	}
	g.sync(obj)
}

// sync recomputes the group of one definition from all that share it.
func (g *customGroups) sync(obj any) {
	definition, ok := obj.(*apiextensionsv1.CustomResourceDefinition)
	if !ok || definition.Spec.Group == apiextensions.GroupName {
		return
	}
	all, err := g.lister.List(labels.Everything())
	if err != nil {
		return
	}
	versions := servedVersions(all, definition.Spec.Group)
	if len(versions) == 0 {
		g.groups.RemoveGroup(definition.Spec.Group)
		return
	}
	g.groups.AddGroup(apiGroup(versions))
}

// servedVersions lists the versions of a group that established definitions serve,
// the preferred one first.
func servedVersions(all []*apiextensionsv1.CustomResourceDefinition, group string) []schema.GroupVersion {
	var out []schema.GroupVersion
	for _, definition := range all {
		if definition.Spec.Group != group || !established(definition) {
			continue
		}
		for _, v := range definition.Spec.Versions {
			if gv := (schema.GroupVersion{Group: group, Version: v.Name}); v.Served && !slices.Contains(out, gv) {
				out = append(out, gv)
			}
		}
	}
	slices.SortFunc(out, func(a, b schema.GroupVersion) int {
		return cmp.Compare(0, version.CompareKubeAwareVersionStrings(a.Version, b.Version))
	})
	return out
}

func established(definition *apiextensionsv1.CustomResourceDefinition) bool {
	for _, c := range definition.Status.Conditions {
		if c.Type == apiextensionsv1.Established {
			return c.Status == apiextensionsv1.ConditionTrue
		}
	}
	return false
}
