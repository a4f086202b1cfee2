package apps

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"github.com/pintle-io/pintle/engine/apis/apistest"
)

func meta(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Name: name, Namespace: "default", ResourceVersion: "1"}
}

func selector() *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}}
}

func template() corev1.PodTemplateSpec {
	return corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "web"}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "main", Image: "nginx:1"}}},
	}
}

func deployment() *appsv1.Deployment {
	return &appsv1.Deployment{ObjectMeta: meta("web"), Spec: appsv1.DeploymentSpec{Selector: selector(), Template: template()}}
}

func share(text string) *intstr.IntOrString { return ptr.To(intstr.Parse(text)) }

func rolling(unavailable, surge string) appsv1.DeploymentStrategy {
	return appsv1.DeploymentStrategy{
		Type:          appsv1.RollingUpdateDeploymentStrategyType,
		RollingUpdate: &appsv1.RollingUpdateDeployment{MaxUnavailable: share(unavailable), MaxSurge: share(surge)},
	}
}

func TestDeployment(t *testing.T) {
	apistest.RunCreate(t, deployments(), deployment, map[string]apistest.Case[*appsv1.Deployment]{
		"no selector":    {Change: func(d *appsv1.Deployment) { d.Spec.Selector = nil }, Want: []string{"spec.selector: Required value", "spec.template.metadata.labels: Invalid value"}},
		"empty selector": {Change: func(d *appsv1.Deployment) { d.Spec.Selector = &metav1.LabelSelector{} }, Want: []string{"spec.selector: Invalid value"}},
		"other labels":   {Change: func(d *appsv1.Deployment) { d.Spec.Template.Labels = map[string]string{"a": "b"} }, Want: []string{"spec.template.metadata.labels: Invalid value"}},
		"replicas":       {Change: func(d *appsv1.Deployment) { d.Spec.Replicas = ptr.To(int32(-1)) }, Want: []string{"spec.replicas: Invalid value"}},
		"container":      {Change: func(d *appsv1.Deployment) { d.Spec.Template.Spec.Containers[0].Name = "" }, Want: []string{"spec.template.spec.containers[0].name: Required value"}},
		"restart policy": {Change: func(d *appsv1.Deployment) { d.Spec.Template.Spec.RestartPolicy = "OnFailure" }, Want: []string{"spec.template.spec.restartPolicy: Unsupported value"}},
		"deadline":       {Change: func(d *appsv1.Deployment) { d.Spec.Template.Spec.ActiveDeadlineSeconds = ptr.To(int64(1)) }, Want: []string{"spec.template.spec.activeDeadlineSeconds: Forbidden"}},
		"strategy":       {Change: func(d *appsv1.Deployment) { d.Spec.Strategy.Type = "Sudden" }, Want: []string{"spec.strategy.type: Unsupported value"}},
		"recreate, rolling": {Change: func(d *appsv1.Deployment) {
			d.Spec.Strategy = rolling("1", "1")
			d.Spec.Strategy.Type = appsv1.RecreateDeploymentStrategyType
		}, Want: []string{"spec.strategy.rollingUpdate: Forbidden"}},
		"no progress":      {Change: func(d *appsv1.Deployment) { d.Spec.Strategy = rolling("0%", "0") }, Want: []string{"spec.strategy.rollingUpdate.maxUnavailable: Invalid value"}},
		"more than all":    {Change: func(d *appsv1.Deployment) { d.Spec.Strategy = rolling("101%", "0") }, Want: []string{"spec.strategy.rollingUpdate.maxUnavailable: Invalid value"}},
		"not a percentage": {Change: func(d *appsv1.Deployment) { d.Spec.Strategy = rolling("1", "some") }, Want: []string{"spec.strategy.rollingUpdate.maxSurge: Invalid value"}},
		"progress deadline": {Change: func(d *appsv1.Deployment) {
			d.Spec.ProgressDeadlineSeconds, d.Spec.MinReadySeconds = ptr.To(int32(5)), 5
		}, Want: []string{"spec.progressDeadlineSeconds: Invalid value"}},
	})
	apistest.RunUpdate(t, deployments(), deployment, map[string]apistest.Case[*appsv1.Deployment]{
		"image":    {Change: func(d *appsv1.Deployment) { d.Spec.Template.Spec.Containers[0].Image = "nginx:2" }},
		"selector": {Change: func(d *appsv1.Deployment) { d.Spec.Selector.MatchLabels["app"] = "other" }, Want: []string{"spec.template.metadata.labels: Invalid value", "spec.selector: Invalid value"}},
	})
	apistest.RunStatus(t, deployments(), deployment, map[string]apistest.Case[*appsv1.Deployment]{
		"fine": {Change: func(d *appsv1.Deployment) {
			d.Status = appsv1.DeploymentStatus{Replicas: 2, ReadyReplicas: 1, AvailableReplicas: 1}
		}},
		"more than there": {Change: func(d *appsv1.Deployment) { d.Status.ReadyReplicas = 1 }, Want: []string{"status.readyReplicas: Invalid value"}},
	})
}

func TestDeploymentDefaultsAndGeneration(t *testing.T) {
	d := deployment()
	d.Status.Replicas = 7
	if errs := apistest.Create(deployments(), d); len(errs) > 0 {
		t.Fatal(errs.ToAggregate())
	}
	if *d.Spec.Replicas != 1 || *d.Spec.RevisionHistoryLimit != 10 || *d.Spec.ProgressDeadlineSeconds != 600 ||
		d.Spec.Strategy.RollingUpdate.MaxSurge.String() != "25%" || d.Spec.Strategy.RollingUpdate.MaxUnavailable.String() != "25%" {
		t.Errorf("defaults: %+v", d.Spec)
	}
	if d.Generation != 1 || d.Status.Replicas != 0 {
		t.Errorf("generation %d, status %+v after create", d.Generation, d.Status)
	}
	for name, c := range map[string]struct {
		change func(*appsv1.Deployment)
		bumped bool
	}{
		"spec":        {func(d *appsv1.Deployment) { d.Spec.Replicas = ptr.To(int32(2)) }, true},
		"annotations": {func(d *appsv1.Deployment) { d.Annotations = map[string]string{"a": "b"} }, true},
		"labels":      {func(d *appsv1.Deployment) { d.Labels = map[string]string{"a": "b"} }, false},
		"status":      {func(d *appsv1.Deployment) { d.Status.Replicas = 3 }, false},
	} {
		t.Run(name, func(t *testing.T) {
			next := d.DeepCopy()
			c.change(next)
			apistest.Update(deployments(), next, d)
			if bumped := next.Generation == 2; bumped != c.bumped {
				t.Errorf("generation %d", next.Generation)
			}
			if next.Status.Replicas != 0 {
				t.Error("the main endpoint changed the status")
			}
		})
	}
}

func TestReplicaSet(t *testing.T) {
	base := func() *appsv1.ReplicaSet {
		return &appsv1.ReplicaSet{ObjectMeta: meta("web"), Spec: appsv1.ReplicaSetSpec{Selector: selector(), Template: template()}}
	}
	apistest.RunCreate(t, replicaSets(), base, map[string]apistest.Case[*appsv1.ReplicaSet]{
		"labels": {Change: func(r *appsv1.ReplicaSet) { r.Spec.Template.Labels = nil }, Want: []string{"spec.template.metadata.labels: Invalid value"}},
	})
	apistest.RunUpdate(t, replicaSets(), base, map[string]apistest.Case[*appsv1.ReplicaSet]{
		"replicas": {Change: func(r *appsv1.ReplicaSet) { r.Spec.Replicas = ptr.To(int32(5)) }},
		"selector": {Change: func(r *appsv1.ReplicaSet) {
			r.Spec.Selector.MatchLabels["app"] = "b"
			r.Spec.Template.Labels["app"] = "b"
		}, Want: []string{"spec.selector: Invalid value"}},
	})
	row, r := replicaSets(), base()
	row.Scale.SetReplicas(r, 4)
	if spec, _ := row.Scale.Replicas(r); spec != 4 || row.Scale.Selector(r) != "app=web" {
		t.Errorf("scale: %d replicas, selector %q", spec, row.Scale.Selector(r))
	}
}

func TestStatefulSet(t *testing.T) {
	claim := corev1.PersistentVolumeClaim{ObjectMeta: metav1.ObjectMeta{Name: "data"}, Spec: corev1.PersistentVolumeClaimSpec{
		AccessModes: []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce},
		Resources:   corev1.VolumeResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse("1Gi")}},
	}}
	base := func() *appsv1.StatefulSet {
		return &appsv1.StatefulSet{ObjectMeta: meta("db"), Spec: appsv1.StatefulSetSpec{
			Selector: selector(), Template: template(), ServiceName: "db", VolumeClaimTemplates: []corev1.PersistentVolumeClaim{*claim.DeepCopy()},
		}}
	}
	apistest.RunCreate(t, statefulSets(), base, map[string]apistest.Case[*appsv1.StatefulSet]{
		"name":       {Change: func(s *appsv1.StatefulSet) { s.Name = "a.b" }, Want: []string{"metadata.name: Invalid value"}},
		"management": {Change: func(s *appsv1.StatefulSet) { s.Spec.PodManagementPolicy = "Any" }, Want: []string{"spec.podManagementPolicy: Invalid value"}},
		"partition": {Change: func(s *appsv1.StatefulSet) {
			s.Spec.UpdateStrategy.RollingUpdate = &appsv1.RollingUpdateStatefulSetStrategy{Partition: ptr.To(int32(-1))}
		}, Want: []string{"spec.updateStrategy.rollingUpdate.partition: Invalid value"}},
		"claims as volumes": {Change: func(s *appsv1.StatefulSet) {
			s.Spec.Template.Spec.Volumes = []corev1.Volume{{Name: "data", VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{}}}}
			s.Spec.Template.Spec.Containers[0].VolumeMounts = []corev1.VolumeMount{{Name: "data", MountPath: "/d"}}
		}},
		"claim": {Change: func(s *appsv1.StatefulSet) {
			s.Spec.VolumeClaimTemplates = []corev1.PersistentVolumeClaim{{ObjectMeta: metav1.ObjectMeta{Name: "A"}}}
		}, Want: []string{
			"spec.template.spec.volumes[0].name: Invalid value",
			"spec.volumeClaimTemplates[0].spec.accessModes: Required value", "spec.volumeClaimTemplates[0].spec.resources[storage]: Required value",
		}},
		"first ordinal": {Change: func(s *appsv1.StatefulSet) { s.Spec.Ordinals = &appsv1.StatefulSetOrdinals{Start: -1} }, Want: []string{"spec.ordinals.start: Invalid value"}},
	})
	apistest.RunUpdate(t, statefulSets(), base, map[string]apistest.Case[*appsv1.StatefulSet]{
		"replicas": {Change: func(s *appsv1.StatefulSet) { s.Spec.Replicas = ptr.To(int32(3)) }},
		"service":  {Change: func(s *appsv1.StatefulSet) { s.Spec.ServiceName = "x" }, Want: []string{"spec.serviceName: Invalid value"}},
		"claims":   {Change: func(s *appsv1.StatefulSet) { s.Spec.VolumeClaimTemplates = nil }, Want: []string{"spec.volumeClaimTemplates: Invalid value"}},
	})
	s := base()
	defaultStatefulSet(s)
	if c := s.Spec.VolumeClaimTemplates[0]; c.Kind != "PersistentVolumeClaim" || c.APIVersion != "v1" || *c.Spec.VolumeMode != corev1.PersistentVolumeFilesystem {
		t.Errorf("claim template: %+v", c)
	}
}

func TestDaemonSet(t *testing.T) {
	base := func() *appsv1.DaemonSet {
		return &appsv1.DaemonSet{ObjectMeta: meta("agent"), Spec: appsv1.DaemonSetSpec{Selector: selector(), Template: template()}}
	}
	rolling := func(unavailable, surge string) func(*appsv1.DaemonSet) {
		return func(d *appsv1.DaemonSet) {
			d.Spec.UpdateStrategy.RollingUpdate = &appsv1.RollingUpdateDaemonSet{MaxUnavailable: share(unavailable), MaxSurge: share(surge)}
		}
	}
	apistest.RunCreate(t, daemonSets(), base, map[string]apistest.Case[*appsv1.DaemonSet]{
		"surge":    {Change: rolling("0", "1")},
		"both":     {Change: rolling("1", "1"), Want: []string{"spec.updateStrategy.rollingUpdate.maxSurge: Invalid value"}},
		"neither":  {Change: rolling("0", "0"), Want: []string{"spec.updateStrategy.rollingUpdate.maxUnavailable: Required value"}},
		"strategy": {Change: func(d *appsv1.DaemonSet) { d.Spec.UpdateStrategy.Type = "Never" }, Want: []string{"spec.updateStrategy.type: Unsupported value"}},
	})
}

func TestControllerRevision(t *testing.T) {
	base := func() *appsv1.ControllerRevision {
		return &appsv1.ControllerRevision{ObjectMeta: meta("r"), Data: runtime.RawExtension{Raw: []byte(`{}`)}, Revision: 1}
	}
	apistest.RunCreate(t, controllerRevisions(), base, map[string]apistest.Case[*appsv1.ControllerRevision]{
		"no data": {Change: func(r *appsv1.ControllerRevision) { r.Data.Raw = nil }, Want: []string{"data: Required value"}},
	})
	apistest.RunUpdate(t, controllerRevisions(), base, map[string]apistest.Case[*appsv1.ControllerRevision]{
		"data":   {Change: func(r *appsv1.ControllerRevision) { r.Data.Raw = []byte(`{"a":1}`) }, Want: []string{"data: Invalid value"}},
		"number": {Change: func(r *appsv1.ControllerRevision) { r.Revision = 2 }},
	})
	r := base()
	r.OwnerReferences = []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: "StatefulSet", Name: "db", Controller: ptr.To(true)}}
	if got := revisionOwner(r); got != "statefulset.apps/db" {
		t.Errorf("controller %q", got)
	}
}

func TestColumns(t *testing.T) {
	want := map[string][]string{
		"ControllerRevision": {"Name", "Controller", "Revision", "Age"},
		"DaemonSet":          {"Name", "Desired", "Current", "Ready", "Up-to-date", "Available", "Node Selector", "Age", "(Containers)", "(Images)", "(Selector)"},
		"Deployment":         {"Name", "Ready", "Up-to-date", "Available", "Age", "(Containers)", "(Images)", "(Selector)"},
		"ReplicaSet":         {"Name", "Desired", "Current", "Ready", "Age", "(Containers)", "(Images)", "(Selector)"},
		"StatefulSet":        {"Name", "Ready", "Age", "(Containers)", "(Images)"},
	}
	got := map[string][]string{}
	for _, row := range Resources() {
		got[row.GVK.Kind] = apistest.Columns(row)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("columns (-want +got):\n%s", diff)
	}
}
