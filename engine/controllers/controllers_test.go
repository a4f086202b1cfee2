package controllers_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"github.com/pintle-io/pintle/engine/client"
)

func template(image string) corev1.PodTemplateSpec {
	return corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "web"}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "web", Image: image, Ports: []corev1.ContainerPort{{ContainerPort: 80}}}}},
	}
}

func deployment(replicas int32) *appsv1.Deployment {
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "web"},
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas,
			Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}},
			Template: template("v1"),
		},
	}
}

func rolledOut(c *client.Client, t testing.TB) func() bool {
	return func() bool {
		d, err := client.Get[*appsv1.Deployment](t.Context(), c, "ns", "web")
		if err != nil {
			return false
		}
		s, want := d.Status, *d.Spec.Replicas
		return s.ObservedGeneration >= d.Generation && s.UpdatedReplicas == want && s.Replicas == want && s.AvailableReplicas == want
	}
}

func show[T any](f func() (T, error)) func() any {
	return func() any {
		out, err := f()
		return fmt.Sprintf("%+v %v", out, err)
	}
}

func TestDeploymentRollsOutAndBack(t *testing.T) {
	c := start(t)
	runPods(t, c)
	ctx := t.Context()
	create(t, c, deployment(3))
	get := func() (*appsv1.Deployment, error) { return client.Get[*appsv1.Deployment](ctx, c, "ns", "web") }
	eventually(t, "rollout", rolledOut(c, t), show(get))
	for revision, image := range []string{"v2", "v1"} {
		_, err := client.UpdateFunc(ctx, c, "ns", "web", func(d *appsv1.Deployment) error {
			d.Spec.Template.Spec.Containers[0].Image = image
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		eventually(t, "rollout of "+image, rolledOut(c, t), show(get))
		for _, pod := range pods(t, c, "ns") {
			if pod.DeletionTimestamp == nil && pod.Spec.Containers[0].Image != image {
				t.Errorf("pod %s still runs %s", pod.Name, pod.Spec.Containers[0].Image)
			}
		}
		d, err := get()
		if want := fmt.Sprint(revision + 2); err != nil || d.Annotations["deployment.kubernetes.io/revision"] != want {
			t.Errorf("revision %v, want %s (%v)", d.Annotations, want, err)
		}
	}
	sets, err := client.List[*appsv1.ReplicaSet](ctx, c, "ns", client.ListOptions{})
	if err != nil || len(sets) != 2 {
		t.Errorf("%d replica sets, want the two templates' (%v)", len(sets), err)
	}
	eventually(t, "scaling event", func() bool {
		events, err := client.List[*corev1.Event](ctx, c, "ns", client.ListOptions{})
		if err != nil {
			return false
		}
		for _, e := range events {
			if e.Reason == "ScalingReplicaSet" && e.InvolvedObject.Kind == "Deployment" && strings.HasSuffix(e.Message, "from 0 to 3") {
				return e.InvolvedObject.APIVersion == "apps/v1" && e.Source.Component == "deployment-controller"
			}
		}
		return false
	}, show(func() ([]*corev1.Event, error) { return client.List[*corev1.Event](ctx, c, "ns", client.ListOptions{}) }))
}

func TestDeletingADeploymentCollectsIt(t *testing.T) {
	for _, policy := range []metav1.DeletionPropagation{metav1.DeletePropagationBackground, metav1.DeletePropagationForeground} {
		t.Run(string(policy), func(t *testing.T) {
			c := start(t)
			runPods(t, c)
			create(t, c, deployment(3))
			eventually(t, "rollout", rolledOut(c, t), func() any { return pods(t, c, "ns") })
			if err := client.Delete[*appsv1.Deployment](t.Context(), c, "ns", "web", metav1.DeleteOptions{PropagationPolicy: &policy}); err != nil {
				t.Fatal(err)
			}
			eventually(t, "everything gone", func() bool {
				_, err := client.Get[*appsv1.Deployment](t.Context(), c, "ns", "web")
				sets, listErr := client.List[*appsv1.ReplicaSet](t.Context(), c, "ns", client.ListOptions{})
				return apierrors.IsNotFound(err) && listErr == nil && len(sets) == 0 && len(pods(t, c, "ns")) == 0
			}, func() any { return pods(t, c, "ns") })
		})
	}
}

func TestOrphaningKeepsPods(t *testing.T) {
	c := start(t)
	runPods(t, c)
	create(t, c, deployment(2))
	eventually(t, "rollout", rolledOut(c, t), func() any { return pods(t, c, "ns") })
	orphan := metav1.DeletePropagationOrphan
	if err := client.Delete[*appsv1.Deployment](t.Context(), c, "ns", "web", metav1.DeleteOptions{PropagationPolicy: &orphan}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "orphaned", func() bool {
		_, err := client.Get[*appsv1.Deployment](t.Context(), c, "ns", "web")
		sets, listErr := client.List[*appsv1.ReplicaSet](t.Context(), c, "ns", client.ListOptions{})
		return apierrors.IsNotFound(err) && listErr == nil && len(sets) == 1 && len(sets[0].OwnerReferences) == 0
	}, func() any { return pods(t, c, "ns") })
	if n := len(pods(t, c, "ns")); n != 2 {
		t.Errorf("%d pods left, want 2", n)
	}
}

func TestServiceGetsEndpoints(t *testing.T) {
	c := start(t)
	runPods(t, c)
	create(t, c, deployment(1))
	create(t, c, &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "web"},
		Spec: corev1.ServiceSpec{
			Selector: map[string]string{"app": "web"},
			Ports:    []corev1.ServicePort{{Name: "http", Port: 80, TargetPort: intstr.FromInt32(80), Protocol: corev1.ProtocolTCP}},
		},
	})
	list := func() ([]*discoveryv1.EndpointSlice, error) {
		return client.List[*discoveryv1.EndpointSlice](t.Context(), c, "ns", client.ListOptions{})
	}
	eventually(t, "a ready endpoint", func() bool {
		slices, err := list()
		return err == nil && len(slices) == 1 && len(slices[0].Endpoints) == 1 && *slices[0].Endpoints[0].Conditions.Ready &&
			slices[0].Labels[discoveryv1.LabelServiceName] == "web"
	}, show(list))
	eventually(t, "the Endpoints object", func() bool {
		e, err := client.Get[*corev1.Endpoints](t.Context(), c, "ns", "web")
		return err == nil && len(e.Subsets) == 1 && len(e.Subsets[0].Addresses) == 1
	}, show(func() (*corev1.Endpoints, error) { return client.Get[*corev1.Endpoints](t.Context(), c, "ns", "web") }))
}

func TestJobCompletesAndIsCleanedUp(t *testing.T) {
	c := start(t)
	runPods(t, c)
	spec := template("v1")
	spec.Spec.RestartPolicy = corev1.RestartPolicyNever
	uid := "4711"
	spec.Labels["batch.kubernetes.io/controller-uid"] = uid
	create(t, c, &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "sum"},
		Spec: batchv1.JobSpec{
			Completions: ptr.To(int32(5)), Parallelism: ptr.To(int32(2)), Template: spec, TTLSecondsAfterFinished: ptr.To(int32(1)),
			ManualSelector: ptr.To(true), Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"batch.kubernetes.io/controller-uid": uid}},
		},
	})
	get := func() (*batchv1.Job, error) { return client.Get[*batchv1.Job](t.Context(), c, "ns", "sum") }
	eventually(t, "complete", func() bool {
		job, err := get()
		if err != nil {
			return false
		}
		for _, condition := range job.Status.Conditions {
			if condition.Type == batchv1.JobComplete && condition.Status == corev1.ConditionTrue {
				if job.Status.Succeeded != 5 || job.Status.CompletionTime == nil {
					t.Errorf("complete with status %+v", job.Status)
				}
				return true
			}
		}
		return false
	}, show(get))
	if n := len(pods(t, c, "ns")); n != 5 {
		t.Errorf("%d pods for 5 completions", n)
	}
	eventually(t, "gone after its ttl", func() bool {
		_, err := get()
		return apierrors.IsNotFound(err) && len(pods(t, c, "ns")) == 0
	}, show(get))
}

func TestNamespaceHasItsOwnAndGoes(t *testing.T) {
	c := start(t)
	runPods(t, c)
	create(t, c, deployment(2))
	eventually(t, "rollout", rolledOut(c, t), func() any { return pods(t, c, "ns") })
	eventually(t, "default account and root CA", func() bool {
		_, err := client.Get[*corev1.ServiceAccount](t.Context(), c, "ns", "default")
		cm, caErr := client.Get[*corev1.ConfigMap](t.Context(), c, "ns", "kube-root-ca.crt")
		return err == nil && caErr == nil && cm.Data["ca.crt"] == "certificate"
	}, func() any { return nil })
	create(t, c, &corev1.Event{
		ObjectMeta:     metav1.ObjectMeta{Namespace: "ns", Name: "seen"},
		InvolvedObject: corev1.ObjectReference{Namespace: "ns", Name: "web"}, Type: corev1.EventTypeNormal, Reason: "Seen",
	})
	if err := client.Delete[*corev1.Namespace](t.Context(), c, "", "ns", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	get := func() (*corev1.Namespace, error) { return client.Get[*corev1.Namespace](t.Context(), c, "", "ns") }
	eventually(t, "gone", func() bool {
		_, err := get()
		return apierrors.IsNotFound(err)
	}, show(get))
	deployments, err := client.List[*appsv1.Deployment](t.Context(), c, "ns", client.ListOptions{})
	if n := len(pods(t, c, "ns")); err != nil || len(deployments)+n != 0 {
		t.Errorf("%d pods, %d deployments outlive their namespace (%v)", n, len(deployments), err)
	}
	if events, err := client.List[*corev1.Event](t.Context(), c, "ns", client.ListOptions{}); err != nil || len(events) != 0 {
		t.Errorf("%d events outlive their namespace (%v)", len(events), err)
	}
}

// TestThousandReplicas prints how long the pods of one large Deployment take.
func TestThousandReplicas(t *testing.T) {
	c := start(t)
	begin := time.Now()
	create(t, c, deployment(1000))
	eventually(t, "1000 pods", func() bool { return len(pods(t, c, "ns")) == 1000 }, func() any { return len(pods(t, c, "ns")) })
	t.Logf("1000 pods created in %v", time.Since(begin).Round(time.Millisecond))
	if n := len(pods(t, c, "ns")); n != 1000 {
		t.Errorf("%d pods", n)
	}
}
