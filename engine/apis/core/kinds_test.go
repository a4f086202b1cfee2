package core

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	genericrequest "k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/utils/ptr"

	"github.com/pintle-io/pintle/engine/apis/apistest"
)

func named(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Name: name, Namespace: "default", ResourceVersion: "1"}
}

func TestColumnsOfEachKind(t *testing.T) {
	want := map[string][]string{
		"ConfigMap":             {"Name", "Data", "Age"},
		"Endpoints":             {"Name", "Endpoints", "Age"},
		"Event":                 {"Last Seen", "Type", "Reason", "Object", "(Subobject)", "(Source)", "Message", "(First Seen)", "(Count)", "(Name)"},
		"LimitRange":            {"Name", "Created At"},
		"Namespace":             {"Name", "Status", "Age"},
		"Node":                  {"Name", "Status", "Roles", "Age", "Version", "(Internal-IP)", "(External-IP)", "(OS-Image)", "(Kernel-Version)", "(Container-Runtime)"},
		"PersistentVolumeClaim": {"Name", "Status", "Volume", "Capacity", "Access Modes", "StorageClass", "VolumeAttributesClass", "Age", "(VolumeMode)"},
		"PersistentVolume":      {"Name", "Capacity", "Access Modes", "Reclaim Policy", "Status", "Claim", "StorageClass", "VolumeAttributesClass", "Reason", "Age", "(VolumeMode)"},
		"Pod":                   {"Name", "Ready", "Status", "Restarts", "Age", "(IP)", "(Node)", "(Nominated Node)", "(Readiness Gates)"},
		"PodTemplate":           {"Name", "Containers", "Images", "Pod Labels"},
		"ReplicationController": {"Name", "Desired", "Current", "Ready", "Age", "(Containers)", "(Images)", "(Selector)"},
		"ResourceQuota":         {"Name", "Request", "Limit", "Age"},
		"Secret":                {"Name", "Type", "Data", "Age"},
		"ServiceAccount":        {"Name", "Age"},
		"Service":               {"Name", "Type", "Cluster-IP", "External-IP", "Port(s)", "Age", "(Selector)"},
	}
	got := map[string][]string{}
	for _, row := range Resources() {
		got[row.GVK.Kind] = apistest.Columns(row)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("columns (-want +got):\n%s", diff)
	}
}

func TestConfigMap(t *testing.T) {
	base := func() *corev1.ConfigMap {
		return &corev1.ConfigMap{ObjectMeta: named("c"), Data: map[string]string{"a": "1"}, Immutable: ptr.To(true)}
	}
	apistest.RunCreate(t, configMaps(), base, map[string]apistest.Case[*corev1.ConfigMap]{
		"key":       {Change: func(c *corev1.ConfigMap) { c.Data["a b"] = "" }, Want: []string{"data[a b]: Invalid value"}},
		"key twice": {Change: func(c *corev1.ConfigMap) { c.BinaryData = map[string][]byte{"a": nil} }, Want: []string{"data[a]: Invalid value"}},
		"name":      {Change: func(c *corev1.ConfigMap) { c.Name = "A" }, Want: []string{"metadata.name: Invalid value"}},
	})
	apistest.RunUpdate(t, configMaps(), base, map[string]apistest.Case[*corev1.ConfigMap]{
		"data":    {Change: func(c *corev1.ConfigMap) { c.Data["a"] = "2" }, Want: []string{"data: Forbidden"}},
		"mutable": {Change: func(c *corev1.ConfigMap) { c.Immutable = nil }, Want: []string{"immutable: Forbidden"}},
		"labels":  {Change: func(c *corev1.ConfigMap) { c.Labels = map[string]string{"a": "b"} }},
	})
}

func TestSecret(t *testing.T) {
	base := func() *corev1.Secret {
		return &corev1.Secret{ObjectMeta: named("s"), StringData: map[string]string{"a": "1"}}
	}
	apistest.RunCreate(t, secrets(), base, map[string]apistest.Case[*corev1.Secret]{
		"tls":   {Change: func(s *corev1.Secret) { s.Type = corev1.SecretTypeTLS }, Want: []string{"data[tls.crt]: Required value", "data[tls.key]: Required value"}},
		"token": {Change: func(s *corev1.Secret) { s.Type = corev1.SecretTypeServiceAccountToken }, Want: []string{"metadata.annotations[kubernetes.io/service-account.name]: Required value"}},
		"docker config": {Change: func(s *corev1.Secret) {
			s.Type, s.StringData[".dockerconfigjson"] = corev1.SecretTypeDockerConfigJson, "x"
		}, Want: []string{"data[.dockerconfigjson]: Invalid value"}},
	})
	apistest.RunUpdate(t, secrets(), base, map[string]apistest.Case[*corev1.Secret]{
		"type": {Change: func(s *corev1.Secret) { s.Type = "other" }, Want: []string{"type: Invalid value"}},
		"data": {Change: func(s *corev1.Secret) { s.StringData = map[string]string{"b": "2"} }},
	})
	s := base()
	defaultSecret(s)
	if string(s.Data["a"]) != "1" || s.StringData != nil {
		t.Errorf("stringData was not folded into data: %+v", s)
	}
}

func TestNamespace(t *testing.T) {
	n := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "team"}}
	if errs := apistest.Create(namespaces(), n); len(errs) > 0 {
		t.Fatal(errs.ToAggregate())
	}
	if n.Labels["kubernetes.io/metadata.name"] != "team" || n.Status.Phase != corev1.NamespaceActive || len(n.Spec.Finalizers) != 1 {
		t.Errorf("namespace after create: %+v", n)
	}
	n.ResourceVersion = "1"
	base := func() *corev1.Namespace { return n.DeepCopy() }
	apistest.RunStatus(t, namespaces(), base, map[string]apistest.Case[*corev1.Namespace]{
		"terminating too early": {Change: func(n *corev1.Namespace) { n.Status.Phase = corev1.NamespaceTerminating }, Want: []string{"status.Phase: Invalid value"}},
	})
}

func TestNode(t *testing.T) {
	base := func() *corev1.Node {
		return &corev1.Node{
			ObjectMeta: metav1.ObjectMeta{Name: "n", ResourceVersion: "1", Labels: map[string]string{"node-role.kubernetes.io/control-plane": ""}},
			Spec:       corev1.NodeSpec{PodCIDR: "10.0.0.0/24", ProviderID: "x"},
			Status:     corev1.NodeStatus{Capacity: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("2")}},
		}
	}
	apistest.RunCreate(t, nodes(), base, map[string]apistest.Case[*corev1.Node]{
		"range":                    {Change: func(n *corev1.Node) { n.Spec.PodCIDR = "10.0.0.1/24" }, Want: []string{"spec.podCIDRs[0]: Invalid value"}},
		"two ranges of one family": {Change: func(n *corev1.Node) { n.Spec.PodCIDRs = []string{"10.0.0.0/24", "10.1.0.0/24"} }, Want: []string{"spec.podCIDRs: Invalid value"}},
		"no range":                 {Change: func(n *corev1.Node) { n.Spec.PodCIDRs = []string{"10.0.0.0/24", ""} }, Want: []string{"spec.podCIDRs[1]: Invalid value", "spec.podCIDRs: Internal error", "spec.podCIDRs: Invalid value"}},
		"taint":                    {Change: func(n *corev1.Node) { n.Spec.Taints = []corev1.Taint{{Key: "a"}} }, Want: []string{"metadata.taints[0].effect: Required value"}},
		"taint twice": {Change: func(n *corev1.Node) {
			n.Spec.Taints = []corev1.Taint{{Key: "a", Effect: "NoSchedule"}, {Key: "a", Effect: "NoSchedule"}}
		}, Want: []string{"metadata.taints[1]: Duplicate value"}},
		"capacity": {Change: func(n *corev1.Node) { n.Status.Capacity[corev1.ResourceCPU] = resource.MustParse("-2") }, Want: []string{"status.capacity[cpu]: Invalid value", "status.allocatable[cpu]: Invalid value"}},
	})
	apistest.RunUpdate(t, nodes(), base, map[string]apistest.Case[*corev1.Node]{
		"cordon":       {Change: func(n *corev1.Node) { n.Spec.Unschedulable = true }},
		"range beside": {Change: func(n *corev1.Node) { n.Spec.PodCIDR = "10.1.0.0/24" }, Want: []string{"spec.podCIDRs: Forbidden"}},
		"provider":     {Change: func(n *corev1.Node) { n.Spec.ProviderID = "y" }, Want: []string{"spec.providerID: Invalid value"}},
		"no provider":  {Change: func(n *corev1.Node) { n.Spec.ProviderID = "" }, Want: []string{"spec.providerID: Invalid value"}},
		"range":        {Change: func(n *corev1.Node) { n.Spec.PodCIDR, n.Spec.PodCIDRs = "10.1.0.0/24", []string{"10.1.0.0/24"} }, Want: []string{"spec.podCIDRs: Forbidden"}},
	})
	n := base()
	n.Spec.Unschedulable = true
	n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}
	cells := apistest.Cells(nodes(), n)
	if cells["Status"] != "Ready,SchedulingDisabled" || cells["Roles"] != "control-plane" || cells["OS-Image"] != "<unknown>" {
		t.Errorf("cells: %v", cells)
	}
}

func TestPersistentVolumeClaim(t *testing.T) {
	base := func() *corev1.PersistentVolumeClaim {
		return &corev1.PersistentVolumeClaim{ObjectMeta: named("c"), Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
			Resources:   corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}},
		}}
	}
	apistest.RunCreate(t, persistentVolumeClaims(), base, map[string]apistest.Case[*corev1.PersistentVolumeClaim]{
		"modes": {Change: func(c *corev1.PersistentVolumeClaim) { c.Spec.AccessModes = nil }, Want: []string{"spec.accessModes: Required value"}},
		"size":  {Change: func(c *corev1.PersistentVolumeClaim) { c.Spec.Resources.Requests = nil }, Want: []string{"spec.resources[storage]: Required value"}},
		"class": {Change: func(c *corev1.PersistentVolumeClaim) { c.Spec.StorageClassName = ptr.To("A B") }, Want: []string{"spec.storageClassName: Invalid value"}},
	})
	apistest.RunUpdate(t, persistentVolumeClaims(), base, map[string]apistest.Case[*corev1.PersistentVolumeClaim]{
		"bound":           {Change: func(c *corev1.PersistentVolumeClaim) { c.Spec.VolumeName = "v" }},
		"class set later": {Change: func(c *corev1.PersistentVolumeClaim) { c.Spec.StorageClassName = ptr.To("fast") }},
		"modes":           {Change: func(c *corev1.PersistentVolumeClaim) { c.Spec.AccessModes[0] = corev1.ReadWriteMany }, Want: []string{"spec: Forbidden"}},
		"grow while loose": {Change: func(c *corev1.PersistentVolumeClaim) {
			c.Spec.Resources.Requests[corev1.ResourceStorage] = resource.MustParse("2Gi")
		}, Want: []string{"spec: Forbidden"}},
	})
}

func TestEvent(t *testing.T) {
	base := func() *corev1.Event {
		return &corev1.Event{ObjectMeta: named("e"), InvolvedObject: corev1.ObjectReference{Kind: "Pod", Name: "p", Namespace: "default"}}
	}
	apistest.RunCreate(t, events(), base, map[string]apistest.Case[*corev1.Event]{
		"elsewhere": {Change: func(e *corev1.Event) { e.InvolvedObject.Namespace = "other" }, Want: []string{"involvedObject.namespace: Invalid value"}},
		"new style": {Change: func(e *corev1.Event) { e.EventTime = metav1.NowMicro() }, Want: []string{
			"reportingComponent: Required value", "reportingComponent: Invalid value", "reportingComponent: Invalid value",
			"reportingInstance: Required value", "action: Required value", "reason: Required value",
		}},
	})
	ctx := genericrequest.WithRequestInfo(context.Background(), &genericrequest.RequestInfo{APIGroup: "events.k8s.io"})
	if errs := validateEventCreate(ctx, base()); len(errs) == 0 {
		t.Error("events.k8s.io took an event without time and type")
	}
	cells := apistest.Cells(events(), base())
	if cells["Object"] != "pod/p" || cells["Count"] != int64(1) {
		t.Errorf("cells: %v", cells)
	}
}

func TestQuotaAndLimits(t *testing.T) {
	quota := func() *corev1.ResourceQuota {
		return &corev1.ResourceQuota{ObjectMeta: named("q"), Spec: corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{"count/jobs.batch": resource.MustParse("1"), "pods": resource.MustParse("2")}}}
	}
	apistest.RunCreate(t, resourceQuotas(), quota, map[string]apistest.Case[*corev1.ResourceQuota]{
		"unknown":     {Change: func(q *corev1.ResourceQuota) { q.Spec.Hard["gold"] = resource.MustParse("1") }, Want: []string{"spec.hard[gold]: Invalid value", "spec.hard[gold]: Invalid value"}},
		"part of pod": {Change: func(q *corev1.ResourceQuota) { q.Spec.Hard["pods"] = resource.MustParse("500m") }, Want: []string{"spec.hard[pods]: Invalid value"}},
		"scopes": {Change: func(q *corev1.ResourceQuota) {
			q.Spec.Scopes = []corev1.ResourceQuotaScope{"BestEffort", "NotBestEffort"}
		}, Want: []string{"spec.scopes: Invalid value"}},
	})
	cpu := func(q string) corev1.ResourceList {
		return corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(q)}
	}
	limits := func() *corev1.LimitRange {
		return &corev1.LimitRange{ObjectMeta: named("l"), Spec: corev1.LimitRangeSpec{Limits: []corev1.LimitRangeItem{{Type: corev1.LimitTypeContainer, Max: cpu("2"), Min: cpu("1")}}}}
	}
	apistest.RunCreate(t, limitRanges(), limits, map[string]apistest.Case[*corev1.LimitRange]{
		"min above max": {Change: func(l *corev1.LimitRange) { l.Spec.Limits[0].Min = cpu("3") }, Want: []string{
			"spec.limits[0].min[cpu]: Invalid value", "spec.limits[0].defaultRequest[cpu]: Invalid value", "spec.limits[0].default[cpu]: Invalid value",
		}},
		"resource of no container": {Change: func(l *corev1.LimitRange) { l.Spec.Limits[0].Min["pods"] = resource.MustParse("1") }, Want: []string{
			"spec.limits[0].min[pods]: Invalid value", "spec.limits[0].defaultRequest[pods]: Invalid value",
		}},
		"defaults of pods": {Change: func(l *corev1.LimitRange) {
			l.Spec.Limits[0].Type, l.Spec.Limits[0].Default = corev1.LimitTypePod, cpu("9")
		}, Want: []string{"spec.limits[0].default: Forbidden"}},
		"type": {Change: func(l *corev1.LimitRange) { l.Spec.Limits[0].Type = "Disk" }, Want: []string{"spec.limits[0].type: Invalid value"}},
	})
}

func TestEndpoints(t *testing.T) {
	base := func() *corev1.Endpoints {
		return &corev1.Endpoints{ObjectMeta: named("e"), Subsets: []corev1.EndpointSubset{{Addresses: []corev1.EndpointAddress{{IP: "10.0.0.1"}}}}}
	}
	address := func(ip string) func(*corev1.Endpoints) {
		return func(e *corev1.Endpoints) { e.Subsets[0].Addresses[0].IP = ip }
	}
	apistest.RunCreate(t, endpoints(), base, map[string]apistest.Case[*corev1.Endpoints]{
		"no address": {Change: address(""), Want: []string{"subsets[0].addresses[0].ip: Invalid value", "subsets[0].addresses[0].ip: Invalid value"}},
		"loopback":   {Change: address("127.0.0.1"), Want: []string{"subsets[0].addresses[0].ip: Invalid value"}},
		"none":       {Change: func(e *corev1.Endpoints) { e.Subsets[0].Addresses = nil }, Want: []string{"subsets[0]: Required value"}},
	})
}

func TestPersistentVolume(t *testing.T) {
	on := func(key, value string) *corev1.VolumeNodeAffinity {
		return &corev1.VolumeNodeAffinity{Required: &corev1.NodeSelector{NodeSelectorTerms: []corev1.NodeSelectorTerm{{
			MatchExpressions: []corev1.NodeSelectorRequirement{{Key: key, Operator: corev1.NodeSelectorOpIn, Values: []string{value}}},
		}}}}
	}
	base := func() *corev1.PersistentVolume {
		return &corev1.PersistentVolume{ObjectMeta: metav1.ObjectMeta{Name: "v", ResourceVersion: "1"}, Spec: corev1.PersistentVolumeSpec{
			AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}, Capacity: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")},
			PersistentVolumeSource: corev1.PersistentVolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/d"}},
			NodeAffinity:           on(corev1.LabelFailureDomainBetaZone, "a"),
		}}
	}
	apistest.RunCreate(t, persistentVolumes(), base, map[string]apistest.Case[*corev1.PersistentVolume]{
		"two sources": {Change: func(v *corev1.PersistentVolume) { v.Spec.NFS = &corev1.NFSVolumeSource{Server: "s", Path: "/p"} }, Want: []string{"spec.nfs: Forbidden"}},
		"flex beside": {Change: func(v *corev1.PersistentVolume) { v.Spec.FlexVolume = &corev1.FlexPersistentVolumeSource{} }, Want: []string{"spec.flexVolume.driver: Required value"}},
	})
	apistest.RunUpdate(t, persistentVolumes(), base, map[string]apistest.Case[*corev1.PersistentVolume]{
		"label out of beta": {Change: func(v *corev1.PersistentVolume) { v.Spec.NodeAffinity = on(corev1.LabelTopologyZone, "a") }},
		"other node":        {Change: func(v *corev1.PersistentVolume) { v.Spec.NodeAffinity = on(corev1.LabelTopologyZone, "b") }, Want: []string{"nodeAffinity: Invalid value"}},
		"no node":           {Change: func(v *corev1.PersistentVolume) { v.Spec.NodeAffinity = nil }, Want: []string{"nodeAffinity: Invalid value"}},
		"source":            {Change: func(v *corev1.PersistentVolume) { v.Spec.HostPath.Path = "/e" }, Want: []string{"spec.persistentvolumesource: Forbidden"}},
	})
}

func TestReplicationController(t *testing.T) {
	base := func() *corev1.ReplicationController {
		pod := validPod()
		return &corev1.ReplicationController{ObjectMeta: named("rc"), Spec: corev1.ReplicationControllerSpec{
			Template: &corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: pod.Labels}, Spec: pod.Spec},
		}}
	}
	apistest.RunCreate(t, replicationControllers(), base, map[string]apistest.Case[*corev1.ReplicationController]{
		"selector": {Change: func(rc *corev1.ReplicationController) { rc.Spec.Selector = map[string]string{"a": "b"} }, Want: []string{"spec.template.metadata.labels: Invalid value"}},
		"replicas": {Change: func(rc *corev1.ReplicationController) { rc.Spec.Replicas = ptr.To(int32(-1)) }, Want: []string{"spec.replicas: Invalid value"}},
		"policy":   {Change: func(rc *corev1.ReplicationController) { rc.Spec.Template.Spec.RestartPolicy = "Never" }, Want: []string{"spec.template.spec.restartPolicy: Unsupported value"}},
	})
}

func TestEndpointsCell(t *testing.T) {
	e := &corev1.Endpoints{Subsets: []corev1.EndpointSubset{{
		Addresses: []corev1.EndpointAddress{{IP: "10.0.0.1"}, {IP: "10.0.0.2"}}, Ports: []corev1.EndpointPort{{Port: 80}, {Port: 81}},
	}}}
	if got, want := formatEndpoints(e), "10.0.0.1:80,10.0.0.2:80,10.0.0.1:81 + 1 more..."; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestRowsAreComplete(t *testing.T) {
	for _, row := range Resources() {
		if row.Rules.Validate == nil || row.Rules.ValidateUpdate == nil {
			t.Errorf("%s has no validation", row.Plural)
		}
		if row.HasStatus && (row.Rules.ValidateStatusUpdate == nil || row.Rules.PrepareForStatusUpdate == nil) {
			t.Errorf("%s has a status without rules", row.Plural)
		}
	}
}

// An event of events.k8s.io that states its time was once compared with reflection
// into time.Time, which ended the request in a panic.
func TestEventTimeIsComparedAsTime(t *testing.T) {
	ctx := genericrequest.WithRequestInfo(context.Background(), &genericrequest.RequestInfo{APIGroup: "events.k8s.io"})
	old := &corev1.Event{
		ObjectMeta:          metav1.ObjectMeta{Name: "e", Namespace: "default", ResourceVersion: "1"},
		EventTime:           metav1.NewMicroTime(time.Unix(1_700_000_000, 123_456_000)),
		ReportingController: "example.com/c", ReportingInstance: "i", Action: "act", Reason: "r", Type: corev1.EventTypeNormal,
	}
	same := old.DeepCopy()
	same.EventTime = metav1.NewMicroTime(old.EventTime.In(time.FixedZone("elsewhere", 3600)))
	if errs := validateEventUpdate(ctx, same, old); len(errs) > 0 {
		t.Errorf("the same time in another zone: %v", errs.ToAggregate())
	}
	later := old.DeepCopy()
	later.EventTime = metav1.NewMicroTime(old.EventTime.Add(time.Second))
	if errs := validateEventUpdate(ctx, later, old); len(errs) != 1 || errs[0].Field != "eventTime" {
		t.Errorf("another time: %v, want one error at eventTime", errs.ToAggregate())
	}
}
