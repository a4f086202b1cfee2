package policies

import (
	"fmt"

	"github.com/open-policy-agent/frameworks/constraint/pkg/core/constraints"
	"github.com/open-policy-agent/frameworks/constraint/pkg/handler"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// targetName is the target that Gatekeeper's templates are written for.
const targetName = "admission.k8s.gatekeeper.sh"

// target tells the constraint framework about Kubernetes objects.
type target struct{}

var _ handler.TargetHandler = target{}

// GetName implements handler.TargetHandler.
func (target) GetName() string { return targetName }

// HandleReview implements handler.TargetHandler.
func (target) HandleReview(object any) (bool, any, error) {
	r, ok := object.(*review)
	return ok, r, nil
}

// ProcessData implements handler.TargetHandler: it places an object in
// data.inventory.
func (target) ProcessData(data any) (bool, []string, any, error) {
	o, ok := data.(*unstructured.Unstructured)
	if !ok {
		return false, nil, nil, nil
	}
	kind := o.GroupVersionKind()
	if kind.Version == "" || kind.Kind == "" {
		return true, nil, nil, fmt.Errorf("object %q has no version or kind", o.GetName())
	}
	key := []string{kind.GroupVersion().String(), kind.Kind, o.GetName()}
	if ns := o.GetNamespace(); ns != "" {
		return true, append([]string{"namespace", ns}, key...), o.Object, nil
	}
	return true, append([]string{"cluster"}, key...), o.Object, nil
}

// ValidateConstraint implements handler.TargetHandler.
func (target) ValidateConstraint(constraint *unstructured.Unstructured) error {
	_, err := parseMatch(constraint)
	return err
}

// ToMatcher implements handler.TargetHandler.
func (target) ToMatcher(constraint *unstructured.Unstructured) (constraints.Matcher, error) {
	return parseMatch(constraint)
}

// MatchSchema implements handler.TargetHandler: the schema of spec.match.
func (target) MatchSchema() apiextensions.JSONSchemaProps {
	text := apiextensions.JSONSchemaProps{Type: "string"}
	texts := listOf(text)
	labelSelector := object(map[string]apiextensions.JSONSchemaProps{
		"matchLabels": {Type: "object", AdditionalProperties: &apiextensions.JSONSchemaPropsOrBool{Allows: true, Schema: &text}},
		"matchExpressions": listOf(object(map[string]apiextensions.JSONSchemaProps{
			"key":      text,
			"operator": enum("In", "NotIn", "Exists", "DoesNotExist"),
			"values":   texts,
		})),
	})
	return object(map[string]apiextensions.JSONSchemaProps{
		"kinds":              listOf(object(map[string]apiextensions.JSONSchemaProps{"apiGroups": texts, "kinds": texts})),
		"scope":              enum("*", "Cluster", "Namespaced"),
		"namespaces":         texts,
		"excludedNamespaces": texts,
		"labelSelector":      labelSelector,
		"namespaceSelector":  labelSelector,
		"name":               text,
		"source":             enum("All", "Generated", "Original"),
	})
}

func object(properties map[string]apiextensions.JSONSchemaProps) apiextensions.JSONSchemaProps {
	return apiextensions.JSONSchemaProps{Type: "object", Properties: properties}
}

func listOf(item apiextensions.JSONSchemaProps) apiextensions.JSONSchemaProps {
	return apiextensions.JSONSchemaProps{Type: "array", Items: &apiextensions.JSONSchemaPropsOrArray{Schema: &item}}
}

func enum(values ...string) apiextensions.JSONSchemaProps {
	s := apiextensions.JSONSchemaProps{Type: "string"}
	for _, v := range values {
		s.Enum = append(s.Enum, v)
	}
	return s
}
