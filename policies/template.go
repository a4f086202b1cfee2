package policies

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/open-policy-agent/frameworks/constraint/pkg/apis/constraints"
	templatesv1 "github.com/open-policy-agent/frameworks/constraint/pkg/apis/templates/v1"
	"github.com/open-policy-agent/frameworks/constraint/pkg/apis/templates/v1beta1"
	constraintclient "github.com/open-policy-agent/frameworks/constraint/pkg/client"
	"github.com/open-policy-agent/frameworks/constraint/pkg/client/drivers/rego"
	"github.com/open-policy-agent/frameworks/constraint/pkg/core/templates"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
)

// The groups of the policy kinds.
const (
	TemplateGroup   = "templates.gatekeeper.sh"
	ConstraintGroup = constraints.Group

	templateKind = "ConstraintTemplate"
	version      = "v1beta1" // of constraints
)

// outward are the built-in functions by which a rule would reach beyond its
// input, or learn about the machine it runs on.
var outward = []string{"http.send", "net.lookup_ip_addr", "opa.runtime"}

// newFramework sets up OPA: this is what is put off until a template exists.
func newFramework() (*constraintclient.Client, error) {
	driver, err := rego.New(rego.DisableBuiltins(outward...))
	if err != nil {
		return nil, fmt.Errorf("set up Rego: %w", err)
	}
	return constraintclient.NewClient(
		constraintclient.Targets(target{}),
		constraintclient.Driver(driver),
		constraintclient.EnforcementPoints(constraints.WebhookEnforcementPoint),
	)
}

// parseTemplate reads a ConstraintTemplate of any served version.
func parseTemplate(obj *unstructured.Unstructured) (*templates.ConstraintTemplate, error) {
	kind := obj.GroupVersionKind()
	if kind.Group != TemplateGroup || kind.Kind != templateKind {
		return nil, fmt.Errorf("%s is not a %s of %s", kind, templateKind, TemplateGroup)
	}
	data, err := json.Marshal(obj.Object)
	if err != nil {
		return nil, err
	}
	switch kind.Version {
	case "v1":
		return versionless(data, &templatesv1.ConstraintTemplate{})
	case "v1beta1":
		return versionless(data, &v1beta1.ConstraintTemplate{})
	}
	return nil, fmt.Errorf("version %q of %s is not known; use v1", kind.Version, templateKind)
}

func versionless(data []byte, into interface {
	runtime.Object
	ToVersionless() (*templates.ConstraintTemplate, error)
}) (*templates.ConstraintTemplate, error) {
	if err := json.Unmarshal(data, into); err != nil {
		return nil, fmt.Errorf("decode template: %w", err)
	}
	template, err := into.ToVersionless()
	if err != nil {
		return nil, fmt.Errorf("read template: %w", err)
	}
	if len(template.Spec.Targets) != 1 || template.Spec.Targets[0].Target != targetName {
		return nil, fmt.Errorf("a template must have one target, %q", targetName)
	}
	return template, nil
}

// CheckTemplate reports what is wrong with a template, down to its Rego, without
// putting it to use.
func CheckTemplate(ctx context.Context, obj *unstructured.Unstructured) error {
	template, err := parseTemplate(obj)
	if err != nil {
		return err
	}
	scratch, err := newFramework()
	if err != nil {
		return err
	}
	_, err = scratch.AddTemplate(ctx, template)
	return plain(err)
}

// plain drops the layers of the framework that say nothing.
func plain(err error) error {
	if err == nil {
		return nil
	}
	return errors.New(err.Error())
}

// crdOf makes the CustomResourceDefinition of the constraints of a template.
func crdOf(ctx context.Context, framework *constraintclient.Client, template *templates.ConstraintTemplate) (*unstructured.Unstructured, error) {
	internal, err := framework.CreateCRD(ctx, template)
	if err != nil {
		return nil, err
	}
	internal = internal.DeepCopy()
	out := &apiextensionsv1.CustomResourceDefinition{}
	if err := apiextensionsv1.Convert_apiextensions_CustomResourceDefinition_To_v1_CustomResourceDefinition(internal, out, nil); err != nil {
		return nil, fmt.Errorf("convert definition of %s: %w", template.Spec.CRD.Spec.Names.Kind, err)
	}
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(out)
	if err != nil {
		return nil, err
	}
	delete(content, "status")
	unstructured.RemoveNestedField(content, "metadata", "creationTimestamp")
	content["apiVersion"], content["kind"] = apiextensionsv1.SchemeGroupVersion.String(), "CustomResourceDefinition"
	return &unstructured.Unstructured{Object: content}, nil
}
