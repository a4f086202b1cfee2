package registry

import (
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	extensions "k8s.io/apiextensions-apiserver/pkg/apiserver"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	"k8s.io/apiserver/pkg/registry/generic"
	"k8s.io/apiserver/pkg/storage"
	"k8s.io/apiserver/pkg/storage/storagebackend"
	"k8s.io/apiserver/pkg/storage/storagebackend/factory"
	"k8s.io/apiserver/pkg/storage/value"
	"k8s.io/client-go/tools/cache"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
	aggregatorscheme "k8s.io/kube-aggregator/pkg/apiserver/scheme"

	"github.com/pintle-io/pintle/store"
)

// backend opens the store's resources for genericregistry.
type backend struct {
	store        store.Backend
	codecs       serializer.CodecFactory
	transformers map[schema.GroupResource]value.Transformer
	counted      counted
}

// deleteCollectionWorkers is how many deletes of a collection run at a time; they
// share synced commits.
const deleteCollectionWorkers = 16

// options returns the storage options of a kind stored as protobuf in version gv.
func (b *backend) options(gr schema.GroupResource, gv schema.GroupVersion, typer *runtime.Scheme) generic.RESTOptions {
	pb := protobuf.NewSerializer(typer, typer)
	codec := b.codecs.CodecForVersions(pb, b.codecs.UniversalDeserializer(), gv,
		schema.GroupVersion{Group: gv.Group, Version: runtime.APIVersionInternal})
	options := b.optionsFor(gr, codec, gv)
	options.Decorator = opener{b, b.encodings(gv), typer.Default}.open
	return options
}

// encodings names the encoders of answers in version gv.
func (b *backend) encodings(gv schema.GroupVersion) store.Encodings {
	identifier := func(mediaType string) runtime.Identifier {
		info, ok := runtime.SerializerInfoForMediaType(b.codecs.SupportedMediaTypes(), mediaType)
		if !ok {
			return ""
		}
		return b.codecs.EncoderForVersion(info.Serializer, gv).Identifier()
	}
	return store.Encodings{
		Protobuf: identifier(runtime.ContentTypeProtobuf),
		JSON:     identifier(runtime.ContentTypeJSON),
	}
}

func (b *backend) optionsFor(gr schema.GroupResource, codec runtime.Codec, versioner runtime.GroupVersioner) generic.RESTOptions {
	return generic.RESTOptions{
		StorageConfig: &storagebackend.ConfigForResource{
			Config:        storagebackend.Config{Codec: codec, EncodeVersioner: versioner},
			GroupResource: gr,
		},
		Decorator:               opener{backend: b}.open,
		EnableGarbageCollection: true,
		DeleteCollectionWorkers: deleteCollectionWorkers,
		ResourcePrefix:          keyPrefix(gr),
	}
}

// opener opens resources of a kind.
type opener struct {
	*backend
	encodings store.Encodings
	defaults  func(runtime.Object)
}

// open is the generic.StorageDecorator of our store.
func (o opener) open(config *storagebackend.ConfigForResource, prefix string, _ func(runtime.Object) (string, error),
	newFunc, newListFunc func() runtime.Object, _ storage.AttrFunc, trigger storage.IndexerFuncs, _ *cache.Indexers,
) (storage.Interface, factory.DestroyFunc, error) {
	resource, stop, err := o.store.Storage(store.ResourceConfig{
		Prefix:        prefix,
		GroupResource: config.GroupResource,
		Codec:         config.Codec,
		Encodings:     o.encodings,
		Default:       o.defaults,
		NewFunc:       newFunc,
		NewListFunc:   newListFunc,
		Transformer:   o.transformers[config.GroupResource],
		Indexers:      trigger,
	})
	if err != nil {
		return nil, nil, err
	}
	// Fails only if it was done before, which is as good.
	_ = resource.EnableResourceSizeEstimation(noKeys)
	o.counted.add(config.GroupResource, resource)
	return resource, func() { o.counted.remove(config.GroupResource, resource); stop() }, nil
}

// keyPrefix is the root of a resource's keys: /pods, /apps/deployments.
func keyPrefix(gr schema.GroupResource) string {
	if gr.Group == "" {
		return "/" + gr.Resource
	}
	return "/" + gr.Group + "/" + gr.Resource
}

// eventTTL is how long an event is kept.
const eventTTL = time.Hour

// CustomResources returns the storage options of custom resources: the codec
// comes from the custom resource handler, the keys are below the group.
func (r *Registry) CustomResources() generic.RESTOptionsGetter { return customResources{r.backend} }

type customResources struct{ backend *backend }

// GetRESTOptions implements generic.RESTOptionsGetter.
func (c customResources) GetRESTOptions(gr schema.GroupResource, _ runtime.Object) (generic.RESTOptions, error) {
	return c.backend.optionsFor(gr, unstructured.UnstructuredJSONScheme, nil), nil
}

// CustomResourceDefinitions returns the storage options of the definitions.
func (r *Registry) CustomResourceDefinitions() generic.RESTOptionsGetter {
	gv := apiextensionsv1.SchemeGroupVersion
	return r.backend.optionsFor(gv.WithResource("customresourcedefinitions").GroupResource(),
		extensions.Codecs.LegacyCodec(gv), gv)
}

// APIServices returns the storage options of the registrations of API groups.
func (r *Registry) APIServices() generic.RESTOptionsGetter {
	gv := apiregistrationv1.SchemeGroupVersion
	return r.backend.optionsFor(gv.WithResource("apiservices").GroupResource(),
		aggregatorscheme.Codecs.LegacyCodec(gv), gv)
}
