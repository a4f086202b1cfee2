package fairness

import (
	"context"

	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	applyconfigurations "k8s.io/client-go/applyconfigurations/flowcontrol/v1"
	client "k8s.io/client-go/kubernetes/typed/flowcontrol/v1"
)

// statusClient writes the status of flow schemas by update. Upstream applies it,
// which would build the whole schema of server-side apply at the start of every new
// server for one condition that nobody else writes.
type statusClient struct {
	client.FlowcontrolV1Interface
}

// FlowSchemas implements client.FlowSchemasGetter.
func (c statusClient) FlowSchemas() client.FlowSchemaInterface {
	return statusSchemas{c.FlowcontrolV1Interface.FlowSchemas()}
}

type statusSchemas struct {
	client.FlowSchemaInterface
}

// ApplyStatus sets the conditions in apply and leaves all others.
func (s statusSchemas) ApplyStatus(ctx context.Context, apply *applyconfigurations.FlowSchemaApplyConfiguration, opts metav1.ApplyOptions) (*flowcontrolv1.FlowSchema, error) {
	schema, err := s.Get(ctx, *apply.Name, metav1.GetOptions{})
	if err != nil {
		return nil, err
	}
	for i := range apply.Status.Conditions {
		setCondition(&schema.Status, condition(&apply.Status.Conditions[i]))
	}
	return s.UpdateStatus(ctx, schema, metav1.UpdateOptions{FieldManager: opts.FieldManager})
}

func condition(apply *applyconfigurations.FlowSchemaConditionApplyConfiguration) flowcontrolv1.FlowSchemaCondition {
	var c flowcontrolv1.FlowSchemaCondition
	if apply.Type != nil {
		c.Type = *apply.Type
	}
	if apply.Status != nil {
		c.Status = *apply.Status
	}
	if apply.Reason != nil {
		c.Reason = *apply.Reason
	}
	if apply.Message != nil {
		c.Message = *apply.Message
	}
	if apply.LastTransitionTime != nil {
		c.LastTransitionTime = *apply.LastTransitionTime
	}
	return c
}

func setCondition(status *flowcontrolv1.FlowSchemaStatus, c flowcontrolv1.FlowSchemaCondition) {
	for i := range status.Conditions {
		if status.Conditions[i].Type == c.Type {
			status.Conditions[i] = c
			return
		}
	}
	status.Conditions = append(status.Conditions, c)
}
