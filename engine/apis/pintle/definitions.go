package pintle

import (
	_ "embed"
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"
)

// GroupVersion of the kinds.
var GroupVersion = schema.GroupVersion{Group: "pintle.io", Version: "v1alpha1"}

// The resources.
var (
	Strategies       = GroupVersion.WithResource("strategies")
	StrategyBindings = GroupVersion.WithResource("strategybindings")
)

var (
	//go:embed strategies.yaml
	strategiesYAML []byte
	//go:embed strategybindings.yaml
	bindingsYAML []byte
)

// Definitions are the CustomResourceDefinitions of the kinds.
func Definitions() ([]*unstructured.Unstructured, error) {
	var all []*unstructured.Unstructured
	for _, raw := range [][]byte{strategiesYAML, bindingsYAML} {
		crd := &unstructured.Unstructured{}
		if err := yaml.Unmarshal(raw, &crd.Object); err != nil {
			return nil, fmt.Errorf("decode a definition of %s: %w", GroupVersion.Group, err)
		}
		all = append(all, crd)
	}
	return all, nil
}

// StrategyOf reads an object of the kind Strategy.
func StrategyOf(u *unstructured.Unstructured) (*Strategy, error) { return read[Strategy](u) }

// BindingOf reads an object of the kind StrategyBinding.
func BindingOf(u *unstructured.Unstructured) (*StrategyBinding, error) {
	return read[StrategyBinding](u)
}

func read[T any](u *unstructured.Unstructured) (*T, error) {
	out := new(T)
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, out); err != nil {
		return nil, fmt.Errorf("read %s %s: %w", u.GetKind(), u.GetName(), err)
	}
	return out, nil
}
