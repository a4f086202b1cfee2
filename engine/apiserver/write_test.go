package apiserver_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	appsac "k8s.io/client-go/applyconfigurations/apps/v1"
	coreac "k8s.io/client-go/applyconfigurations/core/v1"
	metaac "k8s.io/client-go/applyconfigurations/meta/v1"
	"k8s.io/client-go/rest"
)

func deployment(name string, replicas int32) *appsv1.Deployment {
	labels := map[string]string{"app": name}
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas,
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "image"}}},
			},
		},
	}
}

func TestPatchTypes(t *testing.T) {
	e := start(t)
	ns := e.namespace(t, "a")
	deployments := e.kube.AppsV1().Deployments(ns)
	if _, err := deployments.Create(e.ctx, deployment("web", 2), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		kind  types.PatchType
		patch string
		check func(*appsv1.Deployment) bool
	}{
		{types.JSONPatchType, `[{"op":"replace","path":"/spec/replicas","value":3}]`, func(d *appsv1.Deployment) bool { return *d.Spec.Replicas == 3 }},
		{types.MergePatchType, `{"spec":{"paused":true}}`, func(d *appsv1.Deployment) bool { return d.Spec.Paused }},
		{types.StrategicMergePatchType, `{"spec":{"template":{"spec":{"containers":[{"name":"d","image":"second"}]}}}}`, func(d *appsv1.Deployment) bool { return len(d.Spec.Template.Spec.Containers) == 2 }},
		{types.ApplyYAMLPatchType, "apiVersion: apps/v1\nkind: Deployment\nmetadata: {labels: {applied: yes-it-is}}\n", func(d *appsv1.Deployment) bool { return d.Labels["applied"] == "yes-it-is" }},
	} {
		opts := metav1.PatchOptions{FieldManager: "test"}
		d, err := deployments.Patch(e.ctx, "web", test.kind, []byte(test.patch), opts)
		if err != nil {
			t.Errorf("%s: %v", test.kind, err)
			continue
		}
		if !test.check(d) {
			t.Errorf("%s: not applied: %+v", test.kind, d.Spec)
		}
	}
	d, err := deployments.Get(e.ctx, "web", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if d.Generation != 4 { // created, and three changes of spec; labels do not count
		t.Errorf("generation %d, want 4", d.Generation)
	}
}

func TestServerSideApplyConflict(t *testing.T) {
	e := start(t)
	deployments := e.kube.AppsV1().Deployments(e.namespace(t, "a"))
	apply := func(manager string, replicas int32, force bool) (*appsv1.Deployment, error) {
		labels := map[string]string{"app": "web"}
		return deployments.Apply(e.ctx, appsac.Deployment("web", "a").WithSpec(appsac.DeploymentSpec().
			WithReplicas(replicas).WithSelector(metaac.LabelSelector().WithMatchLabels(labels)).
			WithTemplate(coreac.PodTemplateSpec().WithLabels(labels).WithSpec(coreac.PodSpec().
				WithContainers(coreac.Container().WithName("c").WithImage("image"))))),
			metav1.ApplyOptions{FieldManager: manager, Force: force})
	}
	if _, err := apply("one", 2, false); err != nil {
		t.Fatal(err)
	}
	_, err := apply("two", 3, false)
	if !apierrors.IsConflict(err) || !strings.Contains(err.Error(), `conflict with "one"`) || !strings.Contains(err.Error(), ".spec.replicas") {
		t.Fatalf("second manager: %v", err)
	}
	d, err := apply("two", 3, true)
	if err != nil || *d.Spec.Replicas != 3 {
		t.Fatalf("forced: %v", err)
	}
	again, err := apply("two", 3, true)
	if err != nil || again.ResourceVersion != d.ResourceVersion {
		t.Errorf("equal apply wrote a new version: %v", err)
	}
	scale, err := deployments.GetScale(e.ctx, "web", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	scale.Spec.Replicas = 5
	if _, err := deployments.UpdateScale(e.ctx, "web", scale, metav1.UpdateOptions{FieldManager: "scaler"}); err != nil {
		t.Fatal(err)
	}
	if _, err = apply("two", 3, false); !apierrors.IsConflict(err) || !strings.Contains(err.Error(), `conflict with "scaler"`) {
		t.Errorf("apply after scale: %v", err)
	}
}

func TestStatusIsApart(t *testing.T) {
	e := start(t)
	deployments := e.kube.AppsV1().Deployments(e.namespace(t, "a"))
	d := deployment("web", 1)
	d.Status.Replicas = 9
	d, err := deployments.Create(e.ctx, d, metav1.CreateOptions{})
	if err != nil || d.Status.Replicas != 0 {
		t.Fatalf("create took the status: %v %v", d, err)
	}
	d.Status.Replicas, d.Spec.Paused = 1, true
	d, err = deployments.UpdateStatus(e.ctx, d, metav1.UpdateOptions{})
	if err != nil || d.Status.Replicas != 1 || d.Spec.Paused || d.Generation != 1 {
		t.Fatalf("status update: %+v %v", d, err)
	}
	d.Status.Replicas, d.Spec.Paused = 7, true
	d, err = deployments.Update(e.ctx, d, metav1.UpdateOptions{})
	if err != nil || d.Status.Replicas != 1 || !d.Spec.Paused || d.Generation != 2 {
		t.Fatalf("update: %+v %v", d, err)
	}
}

func TestFieldValidationAndDryRun(t *testing.T) {
	e := start(t)
	ns := e.namespace(t, "a")
	post := func(params ...string) rest.Result {
		req := e.kube.CoreV1().RESTClient().Post().Namespace(ns).Resource("configmaps").
			SetHeader("Content-Type", "application/json").
			Body([]byte(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c"},"data":{"k":"v"},"dat":{}}`))
		for i := 0; i < len(params); i += 2 {
			req.Param(params[i], params[i+1])
		}
		return req.Do(e.ctx)
	}
	err := post("fieldValidation", "Strict").Error()
	if !apierrors.IsBadRequest(err) || !strings.Contains(err.Error(), `unknown field "dat"`) {
		t.Errorf("strict: %v", err)
	}
	warned := post("fieldValidation", "Warn", "dryRun", "All")
	if err := warned.Error(); err != nil {
		t.Errorf("warn: %v", err)
	}
	if w := warned.Warnings(); len(w) != 1 || w[0].Text != `unknown field "dat"` {
		t.Errorf("warnings: %+v", w)
	}
	if err := post("fieldValidation", "Ignore", "dryRun", "All").Error(); err != nil {
		t.Errorf("ignore: %v", err)
	}
	if _, err := e.kube.CoreV1().ConfigMaps(ns).Get(e.ctx, "c", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("dry run left an object: %v", err)
	}
}

func TestConflictsAndUnconditionalUpdates(t *testing.T) {
	e := start(t)
	configMaps := e.kube.CoreV1().ConfigMaps(e.namespace(t, "a"))
	first, err := configMaps.Create(e.ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{GenerateName: "c-"}}, metav1.CreateOptions{})
	if err != nil || !strings.HasPrefix(first.Name, "c-") || len(first.Name) != 7 {
		t.Fatalf("generated name %q: %v", first.Name, err)
	}
	second := first.DeepCopy()
	second.Data = map[string]string{"k": "1"}
	if second, err = configMaps.Update(e.ctx, second, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	first.Data = map[string]string{"k": "2"}
	if _, err := configMaps.Update(e.ctx, first, metav1.UpdateOptions{}); !apierrors.IsConflict(err) {
		t.Errorf("stale update: %v", err)
	}
	second.ResourceVersion, second.Data = "", map[string]string{"k": "3"}
	if _, err := configMaps.Update(e.ctx, second, metav1.UpdateOptions{}); err != nil {
		t.Errorf("unconditional update: %v", err)
	}
	uid := types.UID("other")
	if err := configMaps.Delete(e.ctx, first.Name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid}}); !apierrors.IsConflict(err) {
		t.Errorf("delete of another: %v", err)
	}
	if err := configMaps.DeleteCollection(e.ctx, metav1.DeleteOptions{}, metav1.ListOptions{}); err != nil {
		t.Errorf("delete collection: %v", err)
	}
}

func TestTablesAndPartialObjects(t *testing.T) {
	e := start(t)
	ns := e.namespace(t, "a")
	if _, err := e.kube.AppsV1().Deployments(ns).Create(e.ctx, deployment("web", 2), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	get := func(accept string, into any) {
		t.Helper()
		raw, err := e.kube.AppsV1().RESTClient().Get().Namespace(ns).Resource("deployments").SetHeader("Accept", accept).DoRaw(e.ctx)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(raw, into); err != nil {
			t.Fatal(err)
		}
	}
	var table metav1.Table
	get("application/json;as=Table;v=v1;g=meta.k8s.io", &table)
	var names []string
	for _, c := range table.ColumnDefinitions {
		names = append(names, c.Name)
	}
	want := []string{"Name", "Ready", "Up-to-date", "Available", "Age", "Containers", "Images", "Selector"}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Error("columns (-want +got):", diff)
	}
	if len(table.Rows) != 1 || table.Rows[0].Cells[0] != "web" || table.Rows[0].Cells[1] != "0/2" {
		t.Errorf("rows: %+v", table.Rows)
	}
	if table.ResourceVersion == "" {
		t.Error("table has no resourceVersion")
	}
	var partial metav1.PartialObjectMetadataList
	get("application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io", &partial)
	if len(partial.Items) != 1 || partial.Items[0].Name != "web" || partial.Items[0].Kind != "PartialObjectMetadata" {
		t.Errorf("partial: %+v", partial.Items)
	}
}

func TestErrorsArePlain(t *testing.T) {
	e := start(t)
	ns := e.namespace(t, "a")
	_, err := e.kube.CoreV1().Pods(ns).Create(e.ctx, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p"}}, metav1.CreateOptions{})
	if !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), "spec.containers: Required value") {
		t.Errorf("pod without containers: %v", err)
	}
	err = e.kube.CoreV1().RESTClient().Get().AbsPath("/apis/nobody.example.com/v1/things").Do(e.ctx).Error()
	if !apierrors.IsNotFound(err) {
		t.Errorf("unknown group: %v", err)
	}
	err = e.kube.CoreV1().RESTClient().Get().Namespace(ns).Resource("configmaps").Param("fieldSelector", "data.k=v").Do(e.ctx).Error()
	if !apierrors.IsBadRequest(err) || !strings.Contains(err.Error(), "data.k") {
		t.Errorf("unknown field label: %v", err)
	}
}
