package core

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"github.com/pintle-io/pintle/engine/apis/apistest"
)

func validPod() *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: "default", Labels: map[string]string{"app": "web"}},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{
			Name: "main", Image: "nginx:1.27",
			Ports: []corev1.ContainerPort{{Name: "http", ContainerPort: 80}},
			Env:   []corev1.EnvVar{{Name: "A", Value: "1"}},
		}}},
	}
}

type podCase = apistest.Case[*corev1.Pod]

func first(p *corev1.Pod) *corev1.Container { return &p.Spec.Containers[0] }

func TestPodCreate(t *testing.T) {
	apistest.RunCreate(t, pods(), validPod, map[string]podCase{
		"no containers":   {Change: func(p *corev1.Pod) { p.Spec.Containers = nil }, Want: []string{"spec.containers: Required value"}},
		"container name":  {Change: func(p *corev1.Pod) { first(p).Name = "" }, Want: []string{"spec.containers[0].name: Required value"}},
		"container label": {Change: func(p *corev1.Pod) { first(p).Name = "A_b" }, Want: []string{"spec.containers[0].name: Invalid value"}},
		"image":           {Change: func(p *corev1.Pod) { first(p).Image = "" }, Want: []string{"spec.containers[0].image: Required value"}},
		"image space":     {Change: func(p *corev1.Pod) { first(p).Image = " x" }, Want: []string{"spec.containers[0].image: Invalid value"}},
		"same name twice": {Change: func(p *corev1.Pod) { p.Spec.Containers = append(p.Spec.Containers, *first(p)) }, Want: []string{"spec.containers[1].name: Duplicate value"}},
		"port range":      {Change: func(p *corev1.Pod) { first(p).Ports[0].ContainerPort = 70000 }, Want: []string{"spec.containers[0].ports[0].containerPort: Invalid value"}},
		"port missing":    {Change: func(p *corev1.Pod) { first(p).Ports[0].ContainerPort = 0 }, Want: []string{"spec.containers[0].ports[0].containerPort: Required value"}},
		"port name":       {Change: func(p *corev1.Pod) { first(p).Ports[0].Name = "a very bad name" }, Want: []string{"spec.containers[0].ports[0].name: Invalid value"}},
		"protocol":        {Change: func(p *corev1.Pod) { first(p).Ports[0].Protocol = "QUIC" }, Want: []string{"spec.containers[0].ports[0].protocol: Unsupported value"}},
		"host port twice": {Change: func(p *corev1.Pod) {
			first(p).Ports = []corev1.ContainerPort{{ContainerPort: 1, HostPort: 9}, {ContainerPort: 2, HostPort: 9}}
		}, Want: []string{"spec.containers[0].ports[1].hostPort: Duplicate value"}},
		"host network port": {Change: func(p *corev1.Pod) {
			p.Spec.HostNetwork = true
			first(p).Ports[0].HostPort = 81
		}, Want: []string{"spec.containers[0].ports[0].hostPort: Invalid value"}},
		"env name":     {Change: func(p *corev1.Pod) { first(p).Env[0].Name = "A=B" }, Want: []string{"spec.containers[0].env[0].name: Invalid value"}},
		"env no name":  {Change: func(p *corev1.Pod) { first(p).Env[0].Name = "" }, Want: []string{"spec.containers[0].env[0].name: Required value"}},
		"env no value": {Change: func(p *corev1.Pod) { first(p).Env[0] = corev1.EnvVar{Name: "A", ValueFrom: &corev1.EnvVarSource{}} }, Want: []string{"spec.containers[0].env[0].valueFrom: Invalid value"}},
		"env field": {Change: func(p *corev1.Pod) {
			first(p).Env[0] = corev1.EnvVar{Name: "A", ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: "status.phase"}}}
		}, Want: []string{"spec.containers[0].env[0].valueFrom.fieldRef.fieldPath: Unsupported value"}},
		"env label": {Change: func(p *corev1.Pod) {
			first(p).Env[0] = corev1.EnvVar{Name: "A", ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.labels['app']"}}}
		}},
		"env config map": {Change: func(p *corev1.Pod) {
			first(p).Env[0] = corev1.EnvVar{Name: "A", Value: "x", ValueFrom: &corev1.EnvVarSource{ConfigMapKeyRef: &corev1.ConfigMapKeySelector{}}}
		}, Want: []string{
			"spec.containers[0].env[0].valueFrom.configMapKeyRef.name: Invalid value",
			"spec.containers[0].env[0].valueFrom.configMapKeyRef.key: Required value",
			"spec.containers[0].env[0].valueFrom: Invalid value",
		}},
		"envFrom empty":  {Change: func(p *corev1.Pod) { first(p).EnvFrom = []corev1.EnvFromSource{{}} }, Want: []string{"spec.containers[0].envFrom: Invalid value"}},
		"restart policy": {Change: func(p *corev1.Pod) { p.Spec.RestartPolicy = "Sometimes" }, Want: []string{"spec.restartPolicy: Unsupported value"}},
		"dns policy":     {Change: func(p *corev1.Pod) { p.Spec.DNSPolicy = "None" }, Want: []string{"spec.dnsConfig: Required value"}},
		"request above limit": {Change: func(p *corev1.Pod) {
			first(p).Resources = requirements("200m", "100m")
		}, Want: []string{"spec.containers[0].resources.requests: Invalid value"}},
		"negative limit": {Change: func(p *corev1.Pod) {
			first(p).Resources.Limits = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("-1")}
		}, Want: []string{"spec.containers[0].resources.limits[cpu]: Invalid value", "spec.containers[0].resources.requests[cpu]: Invalid value"}},
		"unknown resource": {Change: func(p *corev1.Pod) {
			first(p).Resources.Limits = corev1.ResourceList{"gpu": resource.MustParse("1")}
		}, Want: []string{
			"spec.containers[0].resources.limits[gpu]: Invalid value", "spec.containers[0].resources.limits[gpu]: Invalid value",
			"spec.containers[0].resources.requests[gpu]: Invalid value", "spec.containers[0].resources.requests[gpu]: Invalid value",
		}},
		"device": {Change: func(p *corev1.Pod) {
			first(p).Resources.Limits = corev1.ResourceList{"example.com/gpu": resource.MustParse("1")}
		}},
		"half a device": {Change: func(p *corev1.Pod) {
			first(p).Resources.Limits = corev1.ResourceList{"example.com/gpu": resource.MustParse("500m")}
		}, Want: []string{"spec.containers[0].resources.limits[example.com/gpu]: Invalid value", "spec.containers[0].resources.requests[example.com/gpu]: Invalid value"}},
		"huge pages alone": {Change: func(p *corev1.Pod) {
			first(p).Resources.Limits = corev1.ResourceList{"hugepages-2Mi": resource.MustParse("2Mi")}
		}, Want: []string{"spec.containers[0].resources: Forbidden"}},
		"mount of nothing": {Change: func(p *corev1.Pod) {
			first(p).VolumeMounts = []corev1.VolumeMount{{Name: "data", MountPath: "/data"}}
		}, Want: []string{"spec.containers[0].volumeMounts[0].name: Not found"}},
		"two volumes, one name": {Change: func(p *corev1.Pod) {
			p.Spec.Volumes = []corev1.Volume{{Name: "a"}, {Name: "a"}}
		}, Want: []string{"spec.volumes[1].name: Duplicate value"}},
		"two sources": {Change: func(p *corev1.Pod) {
			p.Spec.Volumes = []corev1.Volume{{Name: "a", VolumeSource: corev1.VolumeSource{
				EmptyDir: &corev1.EmptyDirVolumeSource{}, Secret: &corev1.SecretVolumeSource{SecretName: "s"},
			}}}
		}, Want: []string{"spec.volumes[0].secret: Forbidden"}},
		"sub path": {Change: func(p *corev1.Pod) {
			p.Spec.Volumes = []corev1.Volume{{Name: "a"}}
			first(p).VolumeMounts = []corev1.VolumeMount{{Name: "a", MountPath: "/a", SubPath: "/b/../c"}}
		}, Want: []string{"spec.containers[0].volumeMounts.subPath: Invalid value", "spec.containers[0].volumeMounts.subPath: Invalid value"}},
		"shared mount, unprivileged": {Change: func(p *corev1.Pod) {
			p.Spec.Volumes = []corev1.Volume{{Name: "a"}}
			first(p).VolumeMounts = []corev1.VolumeMount{{Name: "a", MountPath: "/a", MountPropagation: ptr.To(corev1.MountPropagationBidirectional)}}
		}, Want: []string{"spec.containers[0].volumeMounts.mountPropagation: Forbidden"}},
		"token without account": {Change: func(p *corev1.Pod) {
			p.Spec.Volumes = []corev1.Volume{{Name: "a", VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{
				Sources: []corev1.VolumeProjection{{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Path: "token"}}},
			}}}}
		}, Want: []string{"spec.volumes[0].projected.sources[0].serviceAccountToken: Forbidden"}},
		"probe without handler": {Change: func(p *corev1.Pod) { first(p).LivenessProbe = &corev1.Probe{} }, Want: []string{"spec.containers[0].livenessProbe: Required value"}},
		"liveness threshold": {Change: func(p *corev1.Pod) {
			first(p).LivenessProbe = &corev1.Probe{SuccessThreshold: 2, ProbeHandler: corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromString("http")}}}
		}, Want: []string{"spec.containers[0].livenessProbe.successThreshold: Invalid value"}},
		"two handlers": {Change: func(p *corev1.Pod) {
			first(p).ReadinessProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{
				Exec: &corev1.ExecAction{Command: []string{"true"}}, HTTPGet: &corev1.HTTPGetAction{Port: intstr.FromInt32(80)},
			}}
		}, Want: []string{"spec.containers[0].readinessProbe.httpGet: Forbidden"}},
		"init probe": {Change: func(p *corev1.Pod) {
			p.Spec.InitContainers = []corev1.Container{{Name: "init", Image: "x", ReadinessProbe: &corev1.Probe{ProbeHandler: corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{"a"}}}}}}
		}, Want: []string{"spec.initContainers[0].readinessProbe: Forbidden"}},
		"sidecar probe": {Change: func(p *corev1.Pod) {
			p.Spec.InitContainers = []corev1.Container{{
				Name: "init", Image: "x", RestartPolicy: ptr.To(corev1.ContainerRestartPolicyAlways),
				ReadinessProbe: &corev1.Probe{ProbeHandler: corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{"a"}}}},
			}}
		}},
		"init named as main": {Change: func(p *corev1.Pod) {
			p.Spec.InitContainers = []corev1.Container{{Name: "main", Image: "x"}}
		}, Want: []string{"spec.initContainers[0].name: Duplicate value"}},
		"ephemeral on create": {Change: func(p *corev1.Pod) {
			p.Spec.EphemeralContainers = []corev1.EphemeralContainer{{EphemeralContainerCommon: corev1.EphemeralContainerCommon{Name: "debug", Image: "x"}}}
		}, Want: []string{"spec.ephemeralContainers: Forbidden"}},
		"privileged without escalation": {Change: func(p *corev1.Pod) {
			first(p).SecurityContext = &corev1.SecurityContext{Privileged: ptr.To(true), AllowPrivilegeEscalation: ptr.To(false)}
		}, Want: []string{"spec.containers[0].securityContext: Invalid value"}},
		"negative user": {Change: func(p *corev1.Pod) { p.Spec.SecurityContext = &corev1.PodSecurityContext{RunAsUser: ptr.To(int64(-1))} }, Want: []string{"spec.securityContext.runAsUser: Invalid value"}},
		"seccomp file": {Change: func(p *corev1.Pod) {
			p.Spec.SecurityContext = &corev1.PodSecurityContext{SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeLocalhost}}
		}, Want: []string{"spec.securityContext.seccompProfile.localhostProfile: Required value"}},
		"toleration": {Change: func(p *corev1.Pod) {
			p.Spec.Tolerations = []corev1.Toleration{{Operator: corev1.TolerationOpEqual}, {Key: "a", Operator: "In"}, {Key: "a", TolerationSeconds: ptr.To(int64(1))}}
		}, Want: []string{"spec.tolerations[0].operator: Invalid value", "spec.tolerations[1].operator: Unsupported value", "spec.tolerations[2].effect: Invalid value"}},
		"node affinity": {Change: func(p *corev1.Pod) {
			p.Spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{}}}
		}, Want: []string{"spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms: Required value"}},
		"pod affinity": {Change: func(p *corev1.Pod) {
			p.Spec.Affinity = &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{PreferredDuringSchedulingIgnoredDuringExecution: []corev1.WeightedPodAffinityTerm{{
				Weight: 101, PodAffinityTerm: corev1.PodAffinityTerm{TopologyKey: "zone"},
			}}}}
		}, Want: []string{"spec.affinity.podAntiAffinity.preferredDuringSchedulingIgnoredDuringExecution[0].weight: Invalid value"}},
		"spread": {Change: func(p *corev1.Pod) {
			p.Spec.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{{TopologyKey: "zone", WhenUnsatisfiable: "Maybe"}}
		}, Want: []string{"spec.topologySpreadConstraints[0].maxSkew: Invalid value", "spec.topologySpreadConstraints[0].whenUnsatisfiable: Unsupported value"}},
		"gated and placed": {Change: func(p *corev1.Pod) {
			p.Spec.SchedulingGates = []corev1.PodSchedulingGate{{Name: "example.com/wait"}}
			p.Spec.NodeName = "n"
		}, Want: []string{"spec.nodeName: Forbidden"}},
		"deadline": {Change: func(p *corev1.Pod) { p.Spec.ActiveDeadlineSeconds = ptr.To(int64(0)) }, Want: []string{"spec.activeDeadlineSeconds: Invalid value"}},
	})
}

func requirements(request, limit string) corev1.ResourceRequirements {
	return corev1.ResourceRequirements{
		Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(request)},
		Limits:   corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(limit)},
	}
}

func TestPodUpdate(t *testing.T) {
	base := func() *corev1.Pod {
		p := validPod()
		p.ResourceVersion = "1"
		p.Spec.Tolerations = []corev1.Toleration{{Key: "a", Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute}}
		p.Spec.ActiveDeadlineSeconds = ptr.To(int64(60))
		return p
	}
	apistest.RunUpdate(t, pods(), base, map[string]podCase{
		"nothing":   {Change: func(*corev1.Pod) {}},
		"image":     {Change: func(p *corev1.Pod) { first(p).Image = "nginx:2" }},
		"labels":    {Change: func(p *corev1.Pod) { p.Labels["x"] = "y" }},
		"command":   {Change: func(p *corev1.Pod) { first(p).Command = []string{"sh"} }, Want: []string{"spec: Forbidden"}},
		"node":      {Change: func(p *corev1.Pod) { p.Spec.NodeName = "n" }, Want: []string{"spec: Forbidden"}},
		"resources": {Change: func(p *corev1.Pod) { first(p).Resources = requirements("1", "1") }, Want: []string{"spec: Forbidden"}},
		"container added": {Change: func(p *corev1.Pod) {
			p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Name: "b", Image: "x"})
		}, Want: []string{"spec.containers: Forbidden"}},
		"toleration added": {Change: func(p *corev1.Pod) {
			p.Spec.Tolerations = append(p.Spec.Tolerations, corev1.Toleration{Key: "b", Operator: "Exists"})
		}},
		"toleration removed": {Change: func(p *corev1.Pod) { p.Spec.Tolerations = nil }, Want: []string{"spec.tolerations: Forbidden"}},
		"toleration seconds": {Change: func(p *corev1.Pod) { p.Spec.Tolerations[0].TolerationSeconds = ptr.To(int64(5)) }},
		"shorter deadline":   {Change: func(p *corev1.Pod) { p.Spec.ActiveDeadlineSeconds = ptr.To(int64(5)) }},
		"longer deadline":    {Change: func(p *corev1.Pod) { p.Spec.ActiveDeadlineSeconds = ptr.To(int64(61)) }, Want: []string{"spec.activeDeadlineSeconds: Invalid value"}},
		"no deadline":        {Change: func(p *corev1.Pod) { p.Spec.ActiveDeadlineSeconds = nil }, Want: []string{"spec.activeDeadlineSeconds: Invalid value"}},
		"grace period":       {Change: func(p *corev1.Pod) { p.Spec.TerminationGracePeriodSeconds = ptr.To(int64(1)) }, Want: []string{"spec: Forbidden"}},
		"new gate": {Change: func(p *corev1.Pod) {
			p.Spec.SchedulingGates = []corev1.PodSchedulingGate{{Name: "g"}}
		}, Want: []string{"spec.schedulingGates[0].name: Forbidden"}},
	})
}

func TestGatedPodUpdate(t *testing.T) {
	base := func() *corev1.Pod {
		p := validPod()
		p.ResourceVersion = "1"
		p.Spec.SchedulingGates = []corev1.PodSchedulingGate{{Name: "g"}}
		p.Spec.NodeSelector = map[string]string{"disk": "ssd"}
		return p
	}
	apistest.RunUpdate(t, pods(), base, map[string]podCase{
		"gate removed":     {Change: func(p *corev1.Pod) { p.Spec.SchedulingGates = nil }},
		"selector added":   {Change: func(p *corev1.Pod) { p.Spec.NodeSelector["zone"] = "a" }},
		"selector changed": {Change: func(p *corev1.Pod) { p.Spec.NodeSelector["disk"] = "hdd" }, Want: []string{"spec.nodeSelector: Invalid value"}},
		"affinity added": {Change: func(p *corev1.Pod) {
			p.Spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{
				NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchExpressions: []corev1.NodeSelectorRequirement{{Key: "a", Operator: corev1.NodeSelectorOpExists}}}},
			}}}
		}},
	})
}

func TestNegativeGracePeriodMayBecomeOne(t *testing.T) {
	old := validPod()
	old.ResourceVersion = "1"
	old.Spec.TerminationGracePeriodSeconds = ptr.To(int64(-1))
	DefaultPod(old)
	p := old.DeepCopy()
	p.Spec.TerminationGracePeriodSeconds = ptr.To(int64(1))
	if errs := apistest.Update(pods(), p, old); len(errs) > 0 {
		t.Error(errs.ToAggregate())
	}
	if p.Generation != old.Generation+1 {
		t.Errorf("generation = %d, want one more than %d", p.Generation, old.Generation)
	}
}

func TestPodStatusUpdate(t *testing.T) {
	base := func() *corev1.Pod {
		p := validPod()
		p.ResourceVersion = "1"
		return p
	}
	apistest.RunStatus(t, pods(), base, map[string]podCase{
		"phase": {Change: func(p *corev1.Pod) { p.Status.Phase = corev1.PodRunning }},
		"spec is kept": {Change: func(p *corev1.Pod) {
			first(p).Command = []string{"other"}
			p.OwnerReferences = []metav1.OwnerReference{{Name: "x"}}
		}},
		"qos":       {Change: func(p *corev1.Pod) { p.Status.QOSClass = corev1.PodQOSGuaranteed }, Want: []string{"status.qosClass: Invalid value"}},
		"addresses": {Change: func(p *corev1.Pod) { p.Status.PodIPs = []corev1.PodIP{{IP: "10.0.0.1"}, {IP: "10.0.0.2"}} }, Want: []string{"status.podIPs: Invalid value"}},
		"address":   {Change: func(p *corev1.Pod) { p.Status.PodIP = "nowhere" }, Want: []string{"status.podIPs[0]: Invalid value"}},
	})
}

func TestPodDefaults(t *testing.T) {
	p := &corev1.Pod{Spec: corev1.PodSpec{
		DeprecatedServiceAccount: "robot",
		Volumes:                  []corev1.Volume{{Name: "a"}},
		Containers: []corev1.Container{
			{Image: "repo:5000/a"},
			{Image: "a@sha256:0000"},
			{Image: "a:latest", Resources: corev1.ResourceRequirements{Limits: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("1")}}},
			{Image: "a:1", LivenessProbe: &corev1.Probe{ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{}}}},
		},
	}}
	DefaultPod(p)
	var policies []corev1.PullPolicy
	for _, c := range p.Spec.Containers {
		policies = append(policies, c.ImagePullPolicy)
	}
	want := []corev1.PullPolicy{corev1.PullAlways, corev1.PullIfNotPresent, corev1.PullAlways, corev1.PullIfNotPresent}
	if diff := cmp.Diff(want, policies); diff != "" {
		t.Errorf("pull policies (-want +got):\n%s", diff)
	}
	if q := p.Spec.Containers[2].Resources.Requests[corev1.ResourceCPU]; q.String() != "1" {
		t.Errorf("cpu request = %s, want that of the limit", q.String())
	}
	if p.Spec.Volumes[0].EmptyDir == nil {
		t.Error("a volume without source is not an emptyDir")
	}
	probe := p.Spec.Containers[3].LivenessProbe
	if probe.TimeoutSeconds != 1 || probe.PeriodSeconds != 10 || probe.SuccessThreshold != 1 || probe.FailureThreshold != 3 || probe.HTTPGet.Path != "/" || probe.HTTPGet.Scheme != "HTTP" {
		t.Errorf("probe defaults: %+v", probe)
	}
	if p.Spec.ServiceAccountName != "robot" || !*p.Spec.EnableServiceLinks || p.Spec.SchedulerName != "default-scheduler" || *p.Spec.TerminationGracePeriodSeconds != 30 {
		t.Errorf("spec defaults: %+v", p.Spec)
	}
}

func TestPodColumns(t *testing.T) {
	want := []string{"Name", "Ready", "Status", "Restarts", "Age", "(IP)", "(Node)", "(Nominated Node)", "(Readiness Gates)"}
	if diff := cmp.Diff(want, apistest.Columns(pods())); diff != "" {
		t.Errorf("columns (-want +got):\n%s", diff)
	}
	running := corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}
	waiting := func(reason string) corev1.ContainerState {
		return corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason}}
	}
	ended := func(code int32, reason string) corev1.ContainerState {
		return corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: code, Reason: reason}}
	}
	restarted := corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{FinishedAt: metav1.NewTime(time.Now().Add(-5*time.Minute - time.Second))}}
	always := ptr.To(corev1.ContainerRestartPolicyAlways)
	type row struct{ Ready, Status, Restarts string }
	for name, c := range map[string]struct {
		change func(*corev1.Pod)
		want   row
	}{
		"pending": {func(p *corev1.Pod) { p.Status.Phase = corev1.PodPending }, row{"0/1", "Pending", "0"}},
		"gated": {func(p *corev1.Pod) {
			p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Reason: corev1.PodReasonSchedulingGated}}
		}, row{"0/1", "SchedulingGated", "0"}},
		"running": {func(p *corev1.Pod) {
			p.Status.Phase = corev1.PodRunning
			p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "main", Ready: true, State: running, RestartCount: 3, LastTerminationState: restarted}}
		}, row{"1/1", "Running", "3 (5m1s ago)"}},
		"crash loop": {func(p *corev1.Pod) {
			p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "main", State: waiting("CrashLoopBackOff"), RestartCount: 2}}
		}, row{"0/1", "CrashLoopBackOff", "2"}},
		"failed": {func(p *corev1.Pod) {
			p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "main", State: ended(2, "")}}
		}, row{"0/1", "ExitCode:2", "0"}},
		"init waits": {func(p *corev1.Pod) {
			p.Spec.InitContainers = []corev1.Container{{Name: "i"}, {Name: "j"}}
			p.Status.InitContainerStatuses = []corev1.ContainerStatus{{Name: "i", State: ended(0, "Completed")}, {Name: "j", State: running}}
		}, row{"0/1", "Init:1/2", "0"}},
		"init fails": {func(p *corev1.Pod) {
			p.Spec.InitContainers = []corev1.Container{{Name: "i"}}
			p.Status.InitContainerStatuses = []corev1.ContainerStatus{{Name: "i", State: ended(1, "Error"), RestartCount: 1}}
		}, row{"0/1", "Init:Error", "1"}},
		"sidecar": {func(p *corev1.Pod) {
			p.Status.Phase = corev1.PodRunning
			p.Spec.InitContainers = []corev1.Container{{Name: "s", RestartPolicy: always}}
			p.Status.InitContainerStatuses = []corev1.ContainerStatus{{Name: "s", Ready: true, Started: ptr.To(true), State: running, RestartCount: 1}}
			p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "main", Ready: true, State: running, RestartCount: 1}}
		}, row{"2/2", "Running", "2"}},
		"completed, one still running": {func(p *corev1.Pod) {
			p.Status.Phase = corev1.PodRunning
			p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "main", State: ended(0, "Completed")}, {Name: "b", Ready: true, State: running}}
		}, row{"1/1", "NotReady", "0"}},
		"terminating": {func(p *corev1.Pod) { p.DeletionTimestamp = &metav1.Time{} }, row{"0/1", "Terminating", "0"}},
		"evicted":     {func(p *corev1.Pod) { p.Status.Phase, p.Status.Reason = corev1.PodFailed, "Evicted" }, row{"0/1", "Evicted", "0"}},
	} {
		t.Run(name, func(t *testing.T) {
			p := validPod()
			p.Status.Phase = corev1.PodPending
			c.change(p)
			cells := apistest.Cells(pods(), p)
			got := row{cells["Ready"].(string), cells["Status"].(string), cells["Restarts"].(string)}
			if got != c.want {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

func TestPodGracefulDelete(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*corev1.Pod)
		asked  *int64
		want   int64
	}{
		"own period":   {func(*corev1.Pod) {}, nil, 30},
		"asked":        {func(*corev1.Pod) {}, ptr.To(int64(5)), 5},
		"negative":     {func(*corev1.Pod) {}, ptr.To(int64(-5)), 1},
		"not placed":   {func(p *corev1.Pod) { p.Spec.NodeName = "" }, nil, 0},
		"ended before": {func(p *corev1.Pod) { p.Status.Phase = corev1.PodSucceeded }, ptr.To(int64(5)), 0},
	} {
		t.Run(name, func(t *testing.T) {
			p := validPod()
			DefaultPod(p)
			p.Spec.NodeName = "n"
			c.change(p)
			options := &metav1.DeleteOptions{GracePeriodSeconds: c.asked}
			if !checkPodGracefulDelete(context.Background(), p, options) || *options.GracePeriodSeconds != c.want {
				t.Errorf("grace period %d, want %d", *options.GracePeriodSeconds, c.want)
			}
		})
	}
}

func TestPodWarnings(t *testing.T) {
	p := validPod()
	p.Name = "a.b"
	p.Spec.NodeSelector = map[string]string{"beta.kubernetes.io/os": "linux"}
	p.Spec.ImagePullSecrets = []corev1.LocalObjectReference{{}}
	first(p).Env = []corev1.EnvVar{{Name: "A"}, {Name: "A"}}
	first(p).Ports = append(first(p).Ports, corev1.ContainerPort{ContainerPort: 80})
	want := []string{
		"metadata.name: this is used in the Pod's hostname, which can result in surprising behavior; a DNS label is recommended: [must not contain dots]",
		`spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; use "kubernetes.io/os" instead`,
		`spec.imagePullSecrets[0].name: invalid empty name ""`,
		`spec.containers[0].env[1]: hides previous definition of "A", which may be dropped when using apply`,
		"spec.containers[0].ports[1]: duplicate port definition with spec.containers[0].ports[0]",
	}
	if diff := cmp.Diff(want, podCreateWarnings(context.Background(), p)); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
}

func TestMatchLabelKeysBecomeRequirements(t *testing.T) {
	p := validPod()
	p.Spec.TopologySpreadConstraints = []corev1.TopologySpreadConstraint{{
		MaxSkew: 1, TopologyKey: "zone", WhenUnsatisfiable: corev1.DoNotSchedule,
		LabelSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"tier": "front"}}, MatchLabelKeys: []string{"app"},
	}}
	if errs := apistest.Create(pods(), p); len(errs) > 0 {
		t.Fatal(errs.ToAggregate())
	}
	want := []metav1.LabelSelectorRequirement{{Key: "app", Operator: metav1.LabelSelectorOpIn, Values: []string{"web"}}}
	if diff := cmp.Diff(want, p.Spec.TopologySpreadConstraints[0].LabelSelector.MatchExpressions); diff != "" {
		t.Errorf("requirements (-want +got):\n%s", diff)
	}
}
