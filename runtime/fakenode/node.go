package fakenode

import (
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// node is a machine of 32 CPUs, 256 GiB and 110 pods in one of three zones.
func node(name string, index int, label string, now time.Time) *corev1.Node {
	at := metav1.NewTime(now)
	room := corev1.ResourceList{
		corev1.ResourceCPU: resource.MustParse("32"), corev1.ResourceMemory: resource.MustParse("256Gi"),
		corev1.ResourcePods: resource.MustParse("110"), corev1.ResourceEphemeralStorage: resource.MustParse("1Ti"),
	}
	n := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{
			corev1.LabelHostname: name, corev1.LabelOSStable: "linux", corev1.LabelArchStable: "amd64",
			corev1.LabelTopologyZone: "zone-" + strconv.Itoa(index%zones),
		}},
		Status: corev1.NodeStatus{
			Capacity: room, Allocatable: room,
			Addresses: []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: hostIP(name)}, {Type: corev1.NodeHostName, Address: name}},
			NodeInfo: corev1.NodeSystemInfo{
				KubeletVersion: "v1.37.2", OperatingSystem: "linux", Architecture: "amd64",
				OSImage: "fake", ContainerRuntimeVersion: "fake://1",
			},
		},
	}
	if label != "" {
		n.Labels[label] = "true"
	}
	for _, c := range []corev1.NodeCondition{
		{Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "FakeNodeReady", Message: "fake nodes are always ready"},
		{Type: corev1.NodeMemoryPressure, Status: corev1.ConditionFalse, Reason: "FakeNodeReady"},
		{Type: corev1.NodeDiskPressure, Status: corev1.ConditionFalse, Reason: "FakeNodeReady"},
		{Type: corev1.NodePIDPressure, Status: corev1.ConditionFalse, Reason: "FakeNodeReady"},
	} {
		c.LastHeartbeatTime, c.LastTransitionTime = at, at
		n.Status.Conditions = append(n.Status.Conditions, c)
	}
	return n
}
