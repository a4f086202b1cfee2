package apiserver

import (
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	extensions "k8s.io/apiextensions-apiserver/pkg/apiserver"
	openapiv2 "k8s.io/apiextensions-apiserver/pkg/controller/openapi"
	openapiv3 "k8s.io/apiextensions-apiserver/pkg/controller/openapiv3"
	extensionsopenapi "k8s.io/apiextensions-apiserver/pkg/generated/openapi"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	apiopenapi "k8s.io/apiserver/pkg/endpoints/openapi"
	genericapiserver "k8s.io/apiserver/pkg/server"

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
			ServiceResolver:      cfg.Services,
		},
	}
	server, err := extensionsConfig.Complete().New(delegate)
	if err != nil {
		return nil, err
	}
	return &customResources{server}, nil
}

// publish keeps the OpenAPI documents of the main server in step with the
// definitions. It closes complete when all stored definitions are known.
func (c *customResources) publish(main *genericapiserver.GenericAPIServer, docs *openapi.Service, complete chan<- struct{}) error {
	gv := apiextensionsv1.SchemeGroupVersion
	main.AggregatedDiscoveryGroupManager.SetGroupVersionPriority(metav1.GroupVersion(gv), 16700, 15)

	definitions := c.Informers.Apiextensions().V1().CustomResourceDefinitions()
	synced := definitions.Informer().HasSyncedChecker().Done()
	err := main.AddPostStartHook("crd-informer-synced", func(ctx genericapiserver.PostStartHookContext) error {
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
