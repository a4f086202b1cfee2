package client

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/registry/rest"

	"github.com/pintle-io/pintle/engine/apis"
)

// mutate runs the mutating half of the chain, if there is one for the operation.
func mutate(ctx context.Context, admit admission.Interface, attrs admission.Attributes, ifaces admission.ObjectInterfaces) error {
	m, ok := admit.(admission.MutationInterface)
	if !ok || !m.Handles(attrs.GetOperation()) {
		return nil
	}
	return m.Admit(ctx, attrs, ifaces)
}

func (c *Client) validateCreate(admit admission.Interface, attrs admission.Attributes) rest.ValidateObjectFunc {
	if admit == nil {
		return rest.ValidateAllObjectFunc
	}
	return rest.AdmissionToValidateObjectFunc(admit, attrs, c.ifaces)
}

func (c *Client) validateUpdate(admit admission.Interface, attrs admission.Attributes) rest.ValidateObjectUpdateFunc {
	if admit == nil {
		return rest.ValidateAllObjectUpdateFunc
	}
	return rest.AdmissionToValidateObjectUpdateFunc(admit, attrs, c.ifaces)
}

func (c *Client) validateDelete(row *apis.Resource, namespace, name string, opts *metav1.DeleteOptions) rest.ValidateObjectFunc {
	admit := c.currentAdmission()
	if admit == nil {
		return rest.ValidateAllObjectFunc
	}
	attrs := admission.NewAttributesRecord(nil, nil, row.GVK, attributesNamespace(row.GVR(), namespace, name), name,
		row.GVR(), "", admission.Delete, opts, len(opts.DryRun) > 0, c.user)
	return rest.AdmissionToValidateObjectDeleteFunc(admit, attrs, c.ifaces)
}
