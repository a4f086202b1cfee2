package extension

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/kube-openapi/pkg/common"
	"k8s.io/kube-openapi/pkg/validation/spec"
)

const group = "fruit.conformance.example"

var version = schema.GroupVersion{Group: group, Version: "v1"}

// Fruit is the kind that the extension serves. By is who made it, as the extension
// was told.
type Fruit struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Colour string   `json:"colour,omitempty"`
	By     string   `json:"by,omitempty"`
	Groups []string `json:"groups,omitempty"`
}

// FruitList is a list of fruits.
type FruitList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []Fruit `json:"items"`
}

// DeepCopyObject implements runtime.Object.
func (f *Fruit) DeepCopyObject() runtime.Object {
	out := *f
	f.ObjectMeta.DeepCopyInto(&out.ObjectMeta)
	out.Groups = append([]string(nil), f.Groups...)
	return &out
}

// DeepCopyObject implements runtime.Object.
func (l *FruitList) DeepCopyObject() runtime.Object {
	out := *l
	out.Items = make([]Fruit, len(l.Items))
	for i := range l.Items {
		out.Items[i] = *l.Items[i].DeepCopyObject().(*Fruit)
	}
	return &out
}

// OpenAPIModelName names the definition in OpenAPI documents.
func (Fruit) OpenAPIModelName() string { return "example.conformance.fruit.v1.Fruit" }

// OpenAPIModelName names the definition in OpenAPI documents.
func (FruitList) OpenAPIModelName() string { return "example.conformance.fruit.v1.FruitList" }

func newScheme() (*runtime.Scheme, serializer.CodecFactory) {
	s := runtime.NewScheme()
	for _, gv := range []schema.GroupVersion{version, {Group: group, Version: runtime.APIVersionInternal}} {
		s.AddKnownTypes(gv, &Fruit{}, &FruitList{})
	}
	metav1.AddToGroupVersion(s, version)
	metav1.AddToGroupVersion(s, schema.GroupVersion{Version: "v1"})
	s.AddUnversionedTypes(schema.GroupVersion{Version: "v1"},
		&metav1.Status{}, &metav1.APIVersions{}, &metav1.APIGroupList{}, &metav1.APIGroup{}, &metav1.APIResourceList{})
	utilruntime.Must(s.SetVersionPriority(version))
	return s, serializer.NewCodecFactory(s)
}

// definitions describe the kind for OpenAPI.
func definitions(ref common.ReferenceCallback) map[string]common.OpenAPIDefinition {
	text := func(description string) spec.Schema {
		return spec.Schema{SchemaProps: spec.SchemaProps{Type: []string{"string"}, Description: description}}
	}
	reference := func(name string) spec.Schema {
		return spec.Schema{SchemaProps: spec.SchemaProps{Default: map[string]any{}, Ref: ref(name)}}
	}
	texts := func() spec.Schema {
		item := text("")
		return spec.Schema{SchemaProps: spec.SchemaProps{Type: []string{"array"}, Items: &spec.SchemaOrArray{Schema: &item}}}
	}
	item := reference(Fruit{}.OpenAPIModelName())
	object := func(description string, properties map[string]spec.Schema) spec.Schema {
		properties["kind"], properties["apiVersion"] = text("Kind of the object."), text("Version of the kind.")
		return spec.Schema{SchemaProps: spec.SchemaProps{Type: []string{"object"}, Description: description, Properties: properties}}
	}
	return map[string]common.OpenAPIDefinition{
		Fruit{}.OpenAPIModelName(): {
			Schema: object("A fruit grows on a tree.", map[string]spec.Schema{
				"metadata": reference(metav1.ObjectMeta{}.OpenAPIModelName()),
				"colour":   text("What it looks like."), "by": text("Who made it."), "groups": texts(),
			}),
			Dependencies: []string{metav1.ObjectMeta{}.OpenAPIModelName()},
		},
		FruitList{}.OpenAPIModelName(): {
			Schema: object("Fruits.", map[string]spec.Schema{
				"metadata": reference(metav1.ListMeta{}.OpenAPIModelName()),
				"items":    {SchemaProps: spec.SchemaProps{Type: []string{"array"}, Items: &spec.SchemaOrArray{Schema: &item}}},
			}),
			Dependencies: []string{Fruit{}.OpenAPIModelName(), metav1.ListMeta{}.OpenAPIModelName()},
		},
	}
}
