package apiserver

import (
	"sync"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apiextensionslisters "k8s.io/apiextensions-apiserver/pkg/client/listers/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/cache"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
	"k8s.io/kube-aggregator/pkg/controllers/autoregister"
)

// Priorities of custom resources in discovery, as upstream has them: below all
// built-in groups.
const customGroupPriority, customVersionPriority = 1000, 100

// builtInServices are the APIServices of what the binary brings.
func builtInServices(cfg *Config) ([]*apiregistrationv1.APIService, error) {
	groups, err := builtInGroups(cfg)
	if err != nil {
		return nil, err
	}
	var out []*apiregistrationv1.APIService
	for i, versions := range groups {
		for j, gv := range versions {
			out = append(out, localService(gv, groupPriority(i), versionPriority(j)))
		}
	}
	return out, nil
}

// groupPriority and versionPriority order what is built in: i and j count groups and
// the versions within one, the preferred first.
func groupPriority(i int) int32   { return int32(18000 - 100*i) }
func versionPriority(j int) int32 { return int32(15 - j) }

// localService is the APIService of a group version that is served here.
func localService(gv schema.GroupVersion, group, version int32) *apiregistrationv1.APIService {
	return &apiregistrationv1.APIService{
		ObjectMeta: metav1.ObjectMeta{Name: gv.Version + "." + gv.Group},
		Spec: apiregistrationv1.APIServiceSpec{
			Group: gv.Group, Version: gv.Version, GroupPriorityMinimum: group, VersionPriority: version,
		},
	}
}

// customServices keeps the APIServices of custom resource definitions.
type customServices struct {
	lister apiextensionslisters.CustomResourceDefinitionLister
	local  autoregister.AutoAPIServiceRegistration
}

var _ cache.ResourceEventHandler = (*customServices)(nil)

// OnAdd implements cache.ResourceEventHandler.
func (c *customServices) OnAdd(obj any, _ bool) { c.sync(obj) }

// OnUpdate implements cache.ResourceEventHandler.
func (c *customServices) OnUpdate(old, obj any) {
	c.sync(old)
	c.sync(obj)
}

// OnDelete implements cache.ResourceEventHandler.
func (c *customServices) OnDelete(obj any) {
	if gone, ok := obj.(cache.DeletedFinalStateUnknown); ok {
		obj = gone.Obj
	}
	c.sync(obj)
}

// sync wants, for each version of a definition, the APIService that all definitions
// of its group call for.
func (c *customServices) sync(obj any) {
	definition, ok := obj.(*apiextensionsv1.CustomResourceDefinition)
	if !ok {
		return
	}
	all, err := c.lister.List(labels.Everything())
	if err != nil {
		return
	}
	for _, v := range definition.Spec.Versions {
		gv := schema.GroupVersion{Group: definition.Spec.Group, Version: v.Name}
		service := localService(gv, customGroupPriority, customVersionPriority)
		if serves(all, gv) {
			c.local.AddAPIServiceToSync(service)
		} else {
			c.local.RemoveAPIServiceToSync(service.Name)
		}
	}
}

func serves(all []*apiextensionsv1.CustomResourceDefinition, gv schema.GroupVersion) bool {
	for _, definition := range all {
		if definition.Spec.Group != gv.Group {
			continue
		}
		for _, v := range definition.Spec.Versions {
			if v.Name == gv.Version && v.Served {
				return true
			}
		}
	}
	return false
}

// awaited closes complete when all of some APIServices have been seen.
type awaited struct {
	complete chan struct{}
	mu       struct {
		sync.Mutex
		missing map[string]bool
	}
}

var _ cache.ResourceEventHandler = (*awaited)(nil)

func newAwaited(services []*apiregistrationv1.APIService) *awaited {
	a := &awaited{complete: make(chan struct{})}
	a.mu.missing = map[string]bool{}
	for _, s := range services {
		a.mu.missing[s.Name] = true
	}
	return a
}

// OnAdd implements cache.ResourceEventHandler.
func (a *awaited) OnAdd(obj any, _ bool) {
	service, ok := obj.(*apiregistrationv1.APIService)
	if !ok {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.mu.missing[service.Name] {
		return
	}
	delete(a.mu.missing, service.Name)
	if len(a.mu.missing) == 0 {
		close(a.complete)
	}
}

// OnUpdate implements cache.ResourceEventHandler.
func (a *awaited) OnUpdate(_, _ any) {}

// OnDelete implements cache.ResourceEventHandler.
func (a *awaited) OnDelete(any) {}
