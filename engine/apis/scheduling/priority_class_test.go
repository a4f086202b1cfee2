package scheduling

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/pintle-io/pintle/engine/apis/apistest"
)

func TestPriorityClass(t *testing.T) {
	base := func() *schedulingv1.PriorityClass {
		return &schedulingv1.PriorityClass{ObjectMeta: metav1.ObjectMeta{Name: "high", ResourceVersion: "1"}, Value: 1000}
	}
	apistest.RunCreate(t, priorityClasses(), base, map[string]apistest.Case[*schedulingv1.PriorityClass]{
		"too high": {Change: func(c *schedulingv1.PriorityClass) { c.Value = 1_000_000_001 }, Want: []string{"value: Forbidden"}},
		"reserved": {Change: func(c *schedulingv1.PriorityClass) { c.Name = "system-mine" }, Want: []string{"metadata.name: Forbidden"}},
		"known":    {Change: func(c *schedulingv1.PriorityClass) { c.Name, c.Value = "system-node-critical", 2_000_001_000 }},
		"policy":   {Change: func(c *schedulingv1.PriorityClass) { c.PreemptionPolicy = ptr.To(corev1.PreemptionPolicy("X")) }, Want: []string{"preemptionPolicy: Unsupported value"}},
	})
	apistest.RunUpdate(t, priorityClasses(), base, map[string]apistest.Case[*schedulingv1.PriorityClass]{
		"value":       {Change: func(c *schedulingv1.PriorityClass) { c.Value++ }, Want: []string{"value: Forbidden"}},
		"policy":      {Change: func(c *schedulingv1.PriorityClass) { c.PreemptionPolicy = ptr.To(corev1.PreemptNever) }, Want: []string{"preemptionPolicy: Invalid value"}},
		"description": {Change: func(c *schedulingv1.PriorityClass) { c.Description = "x" }},
	})
}
