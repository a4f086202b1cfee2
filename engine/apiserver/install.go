package apiserver

import (
	"fmt"
	"strings"
	"time"

	apidiscoveryv2 "k8s.io/api/apidiscovery/v2"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"k8s.io/apiserver/pkg/endpoints"
	"k8s.io/apiserver/pkg/endpoints/discovery"
	"k8s.io/apiserver/pkg/endpoints/discovery/aggregated"
	genericapiserver "k8s.io/apiserver/pkg/server"

	"github.com/pintle-io/pintle/engine/apis/served"
)

// minWatch is the shortest time a watch without a timeout of its own lasts.
const minWatch = 30 * time.Minute

// groupOrder is the order of groups in discovery; others follow in table order.
var groupOrder = []string{
	"", "apps", "events.k8s.io", "authentication.k8s.io", "authorization.k8s.io", "autoscaling", "batch",
	"certificates.k8s.io", "networking.k8s.io", "policy", "rbac.authorization.k8s.io", "storage.k8s.io",
	"admissionregistration.k8s.io", "scheduling.k8s.io", "coordination.k8s.io", "node.k8s.io", "discovery.k8s.io",
	"resource.k8s.io", "flowcontrol.apiserver.k8s.io", "storagemigration.k8s.io",
}

// install serves the registry, the OpenAPI documents and the extra paths.
func (s *Server) install(cfg *Config) error {
	fields := served.Types()
	groups := groupsOf(cfg.Registry.GroupVersions())
	for i, versions := range groups {
		for j, gv := range versions {
			if err := s.installVersion(cfg, gv, fields); err != nil {
				return fmt.Errorf("install %s: %w", gv, err)
			}
			if gv.Group != "" {
				s.generic.AggregatedDiscoveryGroupManager.SetGroupVersionPriority(metav1.GroupVersion(gv), int(groupPriority(i)), int(versionPriority(j)))
			}
		}
		if versions[0].Group == "" {
			s.installLegacyRoot()
			continue
		}
		group := apiGroup(versions)
		s.generic.DiscoveryGroupManager.AddGroup(group)
		s.generic.Handler.GoRestfulContainer.Add(discovery.NewAPIGroupHandler(cfg.Registry.Codecs(), group).WebService())
	}
	mux := s.generic.Handler.NonGoRestfulMux
	if cfg.OpenAPI != nil {
		mux.Handle("/openapi/v2", cfg.OpenAPI)
		mux.Handle("/openapi/v3", cfg.OpenAPI)
		mux.HandlePrefix("/openapi/v3/", cfg.OpenAPI)
	}
	for path, handler := range cfg.Paths {
		if strings.HasSuffix(path, "/") {
			mux.HandlePrefix(path, handler)
			continue
		}
		mux.Handle(path, handler)
	}
	return s.announce(cfg.Groups)
}

// announce lists in discovery what handlers of Config.Paths serve.
func (s *Server) announce(lists []metav1.APIResourceList) error {
	for _, list := range lists {
		gv, err := schema.ParseGroupVersion(list.GroupVersion)
		if err != nil {
			return err
		}
		s.generic.DiscoveryGroupManager.AddGroup(apiGroup([]schema.GroupVersion{gv}))
		resources, err := endpoints.ConvertGroupVersionIntoToDiscovery(list.APIResources)
		if err != nil {
			return err
		}
		s.generic.AggregatedDiscoveryGroupManager.AddGroupVersion(gv.Group, apidiscoveryv2.APIVersionDiscovery{
			Freshness: apidiscoveryv2.DiscoveryFreshnessCurrent, Version: gv.Version, Resources: resources,
		})
	}
	return nil
}

func (s *Server) installVersion(cfg *Config, gv schema.GroupVersion, fields managedfields.TypeConverter) error {
	scheme := cfg.Registry.Scheme()
	root := genericapiserver.APIGroupPrefix
	if gv.Group == "" {
		root = genericapiserver.DefaultLegacyAPIPrefix
	}
	version := &endpoints.APIGroupVersion{
		Root:                       root,
		GroupVersion:               gv,
		Storage:                    cfg.Registry.Resources(gv),
		OptionsExternalVersion:     &schema.GroupVersion{Version: "v1"},
		Serializer:                 cfg.Registry.Codecs(),
		ParameterCodec:             served.ParameterCodec(),
		Typer:                      scheme,
		Creater:                    stackGrowingCreater{scheme},
		Convertor:                  scheme,
		ConvertabilityChecker:      scheme,
		UnsafeConvertor:            runtime.UnsafeObjectConvertor(scheme),
		Defaulter:                  scheme,
		Namer:                      runtime.Namer(meta.NewAccessor()),
		TypeConverter:              fields,
		EquivalentResourceRegistry: s.generic.EquivalentResourceRegistry,
		Authorizer:                 cfg.Authorizer,
		Admit:                      cfg.Admission,
		MinRequestTimeout:          minWatch,
		MaxRequestBodyBytes:        maxBody,
	}
	resources, _, err := version.InstallREST(s.generic.Handler.GoRestfulContainer)
	if err != nil {
		return err
	}
	manager := s.generic.AggregatedDiscoveryGroupManager
	if gv.Group == "" {
		manager = s.generic.AggregatedLegacyDiscoveryGroupManager
	}
	manager.AddGroupVersion(gv.Group, apidiscoveryv2.APIVersionDiscovery{
		Freshness: apidiscoveryv2.DiscoveryFreshnessCurrent, Version: gv.Version, Resources: resources,
	})
	return nil
}

// installLegacyRoot serves /api, plain and aggregated.
func (s *Server) installLegacyRoot() {
	addresses := discovery.DefaultAddresses{DefaultAddress: s.generic.ExternalAddress}
	root := discovery.NewLegacyRootAPIHandler(addresses, s.generic.Serializer, genericapiserver.DefaultLegacyAPIPrefix)
	manager := s.generic.AggregatedLegacyDiscoveryGroupManager
	wrapped := aggregated.WrapAggregatedDiscoveryToHandler(root, manager, manager)
	s.generic.Handler.GoRestfulContainer.Add(wrapped.GenerateWebService(genericapiserver.DefaultLegacyAPIPrefix, metav1.APIVersions{}))
}

// groupsOf sorts group versions by groupOrder, the versions of a group together.
func groupsOf(gvs []schema.GroupVersion) [][]schema.GroupVersion {
	byGroup := map[string][]schema.GroupVersion{}
	order := append([]string{}, groupOrder...)
	for _, gv := range gvs {
		if byGroup[gv.Group] == nil {
			order = append(order, gv.Group)
		}
		byGroup[gv.Group] = append(byGroup[gv.Group], gv)
	}
	var out [][]schema.GroupVersion
	for _, group := range order {
		if versions := byGroup[group]; versions != nil {
			out = append(out, versions)
			delete(byGroup, group)
		}
	}
	return out
}

func apiGroup(versions []schema.GroupVersion) metav1.APIGroup {
	group := metav1.APIGroup{Name: versions[0].Group}
	for _, gv := range versions {
		group.Versions = append(group.Versions, metav1.GroupVersionForDiscovery{GroupVersion: gv.String(), Version: gv.Version})
	}
	group.PreferredVersion = group.Versions[0]
	return group
}
