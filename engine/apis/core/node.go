package core

import (
	"context"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/pintle-io/pintle/engine/apis"
)

func nodes() apis.Resource {
	rules := apis.TypedRules[*corev1.Node]{
		Default:                defaultNode,
		PrepareForCreate:       prepareNodeCreate,
		PrepareForUpdate:       prepareNodeUpdate,
		PrepareForStatusUpdate: prepareNodeStatusUpdate,
		Validate:               func(_ context.Context, n *corev1.Node) field.ErrorList { return validateNode(n) },
		ValidateUpdate:         validateNodeUpdate,
		ValidateStatusUpdate:   validateNodeStatusUpdate,
		WarningsOnCreate:       nodeWarnings,
		WarningsOnUpdate:       func(ctx context.Context, n, _ *corev1.Node) []string { return nodeWarnings(ctx, n) },
	}.Rules()
	rules.DeclaredOptions = map[string]bool{"InPlacePodVerticalScalingSchedulerPreemption": false}
	return apis.Resource{
		GVK: kind("Node"), Plural: "nodes", Singular: "node", ShortNames: []string{"no"},
		New:       func() runtime.Object { return &corev1.Node{} },
		NewList:   func() runtime.Object { return &corev1.NodeList{} },
		Rules:     rules,
		Columns:   nodeColumns(),
		HasStatus: true,
		Fields: func(obj runtime.Object) fields.Set {
			return fields.Set{"spec.unschedulable": strconv.FormatBool(obj.(*corev1.Node).Spec.Unschedulable)}
		},
	}
}

func defaultNode(n *corev1.Node) {
	if n.Status.Allocatable == nil && n.Status.Capacity != nil {
		n.Status.Allocatable = n.Status.Capacity.DeepCopy()
	}
	DefaultResourceList(n.Status.Allocatable)
	DefaultResourceList(n.Status.Capacity)
	if n.Spec.PodCIDR != "" && (len(n.Spec.PodCIDRs) == 0 || n.Spec.PodCIDRs[0] != n.Spec.PodCIDR) {
		n.Spec.PodCIDRs = []string{n.Spec.PodCIDR}
	}
	if len(n.Spec.PodCIDRs) > 0 {
		n.Spec.PodCIDR = n.Spec.PodCIDRs[0]
	}
}

func nodeColumns() []apis.Column {
	address := func(t corev1.NodeAddressType) func(*corev1.Node) string {
		return func(n *corev1.Node) string {
			for _, a := range n.Status.Addresses {
				if a.Type == t {
					return a.Address
				}
			}
			return "<none>"
		}
	}
	info := func(part func(*corev1.NodeSystemInfo) string) func(*corev1.Node) string {
		return func(n *corev1.Node) string { return apis.OrElse(part(&n.Status.NodeInfo), "<unknown>") }
	}
	return []apis.Column{
		apis.NameColumn(),
		apis.Text("Status", "Whether the node is ready and takes pods.", nodeStatus),
		apis.Text("Roles", "The roles of the node, from its labels.", nodeRoles),
		apis.AgeColumn(),
		apis.Text("Version", "The version of the node agent.", func(n *corev1.Node) string { return n.Status.NodeInfo.KubeletVersion }),
		apis.Text("Internal-IP", "The address within the cluster.", address(corev1.NodeInternalIP)).Wide(),
		apis.Text("External-IP", "The address outside the cluster.", address(corev1.NodeExternalIP)).Wide(),
		apis.Text("OS-Image", "The operating system.", info(func(i *corev1.NodeSystemInfo) string { return i.OSImage })).Wide(),
		apis.Text("Kernel-Version", "The kernel.", info(func(i *corev1.NodeSystemInfo) string { return i.KernelVersion })).Wide(),
		apis.Text("Container-Runtime", "The container runtime and its version.", info(func(i *corev1.NodeSystemInfo) string { return i.ContainerRuntimeVersion })).Wide(),
	}
}

func nodeStatus(n *corev1.Node) string {
	status := "Unknown"
	for _, c := range n.Status.Conditions {
		if c.Type == corev1.NodeReady {
			status = "NotReady"
			if c.Status == corev1.ConditionTrue {
				status = "Ready"
			}
		}
	}
	if n.Spec.Unschedulable {
		status += ",SchedulingDisabled"
	}
	return status
}

func nodeRoles(n *corev1.Node) string {
	roles := sets.New[string]()
	for key, value := range n.Labels {
		if role, ok := strings.CutPrefix(key, "node-role.kubernetes.io/"); ok && role != "" {
			roles.Insert(role)
		}
		if key == "kubernetes.io/role" && value != "" {
			roles.Insert(value)
		}
	}
	return apis.OrNone(strings.Join(sets.List(roles), ","))
}
