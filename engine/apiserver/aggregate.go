package apiserver

import (
	"fmt"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	apiopenapi "k8s.io/apiserver/pkg/endpoints/openapi"
	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/kube-aggregator/pkg/apiserver"
	aggregatorscheme "k8s.io/kube-aggregator/pkg/apiserver/scheme"
	apiregistration "k8s.io/kube-aggregator/pkg/client/clientset_generated/clientset/typed/apiregistration/v1"
	"k8s.io/kube-aggregator/pkg/controllers/autoregister"
	aggregatoropenapi "k8s.io/kube-aggregator/pkg/generated/openapi"
)

// aggregator is the outermost server: upstream's, over our store. It serves
// APIServices, sends the groups of extension servers to them and all others to the
// servers below.
type aggregator struct {
	*apiserver.APIAggregator
	// local keeps the APIServices of what is served here.
	local localServices
}

// localServices wants APIServices to be there, or to be gone.
type localServices interface {
	autoregister.AutoAPIServiceRegistration
	Run(workers int, stop <-chan struct{})
}

func newAggregator(main *genericapiserver.Config, cfg *Config, delegate genericapiserver.DelegationTarget) (*aggregator, error) {
	c := *main
	c.PostStartHooks = map[string]genericapiserver.PostStartHookConfigEntry{}
	c.RESTOptionsGetter = cfg.Registry.APIServices()
	c.MergedResourceConfig = apiserver.DefaultAPIResourceConfigSource()
	c.SkipOpenAPIInstallation = true
	c.OpenAPIV3Config = genericapiserver.DefaultOpenAPIV3Config(
		aggregatoropenapi.GetOpenAPIDefinitions, apiopenapi.NewDefinitionNamer(aggregatorscheme.Scheme))
	config := &apiserver.Config{
		GenericConfig: &genericapiserver.RecommendedConfig{Config: c, SharedInformerFactory: cfg.Informers},
		ExtraConfig: apiserver.ExtraConfig{
			ProxyClientCertFile: cfg.FrontProxy.File,
			ProxyClientKeyFile:  cfg.FrontProxy.File,
			ServiceResolver:     cfg.Services,
		},
	}
	server, err := config.Complete().NewWithDelegate(delegate)
	if err != nil {
		return nil, err
	}
	client, err := apiregistration.NewForConfig(cfg.Loopback)
	if err != nil {
		return nil, err
	}
	services := server.APIRegistrationInformers.Apiregistration().V1().APIServices()
	if cfg.OpenAPI != nil {
		docs, err := newExtensionDocs(cfg, services)
		if err != nil {
			return nil, err
		}
		if err := server.GenericAPIServer.AddPostStartHook("pintle/extension-openapi", docs.start); err != nil {
			return nil, err
		}
	}
	return &aggregator{server, autoregister.NewAutoRegisterController(services, client)}, nil
}

// register keeps an APIService for each group version that is served here: those of
// the registry, of Config.Groups, and of custom resource definitions. It returns a
// channel that is closed once all but the latter are there.
func (a *aggregator) register(cfg *Config, custom *customResources) (<-chan struct{}, error) {
	services, err := builtInServices(cfg)
	if err != nil {
		return nil, err
	}
	for _, s := range services {
		a.local.AddAPIServiceToSync(s)
	}
	awaited := newAwaited(services)
	informer := a.APIRegistrationInformers.Apiregistration().V1().APIServices().Informer()
	if _, err := informer.AddEventHandler(awaited); err != nil {
		return nil, err
	}
	definitions := custom.Informers.Apiextensions().V1().CustomResourceDefinitions()
	handler, err := definitions.Informer().AddEventHandler(&customServices{lister: definitions.Lister(), local: a.local})
	if err != nil {
		return nil, err
	}
	err = a.GenericAPIServer.AddPostStartHook("kube-apiserver-autoregistration", func(ctx genericapiserver.PostStartHookContext) error {
		// Before all definitions are known, their APIServices would look left over.
		select {
		case <-handler.HasSyncedChecker().Done():
			go a.local.Run(registrationWorkers, ctx.Done())
		case <-ctx.Done():
		}
		return nil
	})
	return awaited.complete, err
}

// registrationWorkers write the first APIServices at a time: they share commits.
const registrationWorkers = 8

// builtInGroups lists the group versions of the table, of custom resource
// definitions and of Config.Groups, in the order of discovery.
func builtInGroups(cfg *Config) ([][]schema.GroupVersion, error) {
	groups := append(groupsOf(cfg.Registry.GroupVersions()), []schema.GroupVersion{apiextensionsv1.SchemeGroupVersion})
	for _, list := range cfg.Groups {
		gv, err := schema.ParseGroupVersion(list.GroupVersion)
		if err != nil {
			return nil, fmt.Errorf("group version %q: %w", list.GroupVersion, err)
		}
		groups = append(groups, []schema.GroupVersion{gv})
	}
	return groups, nil
}
