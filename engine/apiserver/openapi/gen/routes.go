//go:build gen

package main

import (
	"net/http"
	"sort"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/emicklei/go-restful/v3"
	extensions "k8s.io/apiextensions-apiserver/pkg/apiserver"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authorization/authorizerfactory"
	"k8s.io/apiserver/pkg/util/webhook"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	restclient "k8s.io/client-go/rest"
	aggregatorscheme "k8s.io/kube-aggregator/pkg/apiserver/scheme"

	"github.com/pintle-io/pintle/engine/apis/served"
	"github.com/pintle-io/pintle/engine/apiserver"
	"github.com/pintle-io/pintle/engine/registry"
	"github.com/pintle-io/pintle/store"
)

// routes installs the whole API over an empty store in memory and returns its
// web services, ordered by path, with the schemes that name their types.
func routes() ([]*runtime.Scheme, []*restful.WebService, error) {
	st, err := store.Open("gen", store.Options{FS: vfs.NewMem()})
	if err != nil {
		return nil, nil, err
	}
	defer st.Close()
	reg, err := registry.New(registry.Config{Table: served.Table(), Scheme: served.Scheme(), Codecs: served.Codecs(), Store: st})
	if err != nil {
		return nil, nil, err
	}
	loopback := &restclient.Config{Host: "https://localhost"}
	server, err := apiserver.New(apiserver.Config{
		RouteDocs: true,
		Registry:  reg,
		Authenticator: authenticator.RequestFunc(func(*http.Request) (*authenticator.Response, bool, error) {
			return nil, false, nil
		}),
		Authorizer: authorizerfactory.NewAlwaysAllowAuthorizer(),
		Loopback:   loopback,
		Informers:  informers.NewSharedInformerFactory(kubernetes.NewForConfigOrDie(loopback), 0),
		Services:   webhook.NewDefaultServiceResolver(),
	})
	if err != nil {
		return nil, nil, err
	}
	var services []*restful.WebService
	seen := map[string]bool{}
	for _, c := range server.Containers() {
		for _, ws := range c.RegisteredWebServices() {
			if !seen[ws.RootPath()] {
				seen[ws.RootPath()] = true
				services = append(services, ws)
			}
		}
	}
	sort.Slice(services, func(i, j int) bool { return services[i].RootPath() < services[j].RootPath() })
	return []*runtime.Scheme{served.Scheme(), extensions.Scheme, aggregatorscheme.Scheme, publishedGroups()}, services, nil
}
