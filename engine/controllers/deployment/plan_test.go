package deployment_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
	"pgregory.net/rapid"

	"github.com/pintle-io/pintle/engine/controllers/deployment"
	"github.com/pintle-io/pintle/engine/controllers/plantest"
	"github.com/pintle-io/pintle/engine/reconcile"
	abi "github.com/pintle-io/pintle/wasm/abi/rollout"
	"github.com/pintle-io/pintle/wasm/strategies/rollout"
)

func plan(w *plantest.World) reconcile.Result {
	d := plantest.List[*appsv1.Deployment](w)[0]
	sets := plantest.List[*appsv1.ReplicaSet](w)
	oldLeft := false
	for _, rs := range sets {
		if rs.Spec.Template.Spec.Containers[0].Image != d.Spec.Template.Spec.Containers[0].Image {
			oldLeft = oldLeft || rs.Status.Replicas > 0
		}
	}
	return deployment.Plan(deployment.Observed{Deployment: d, ReplicaSets: sets, OldPodsLeft: oldLeft, Now: w.Now, Decide: native})
}

// native decides by the built-in strategy and holds its answers against the check.
func native(r *abi.Request) (abi.Answer, error) {
	a, err := rollout.Step(r)
	if err == nil {
		err = deployment.CheckAnswer(r, &a)
	}
	return a, err
}

// obey makes every ReplicaSet have what it asks for, ready.
func obey(w *plantest.World) {
	for _, rs := range plantest.List[*appsv1.ReplicaSet](w) {
		n := *rs.Spec.Replicas
		setStatus(w, rs, n, n)
	}
}

func setStatus(w *plantest.World, rs *appsv1.ReplicaSet, replicas, available int32) {
	updated := rs.DeepCopy()
	updated.Status = appsv1.ReplicaSetStatus{
		Replicas: replicas, ReadyReplicas: available, AvailableReplicas: available, FullyLabeledReplicas: replicas,
		TerminatingReplicas: ptr.To(int32(0)), ObservedGeneration: rs.Generation,
	}
	w.Put(updated)
}

func TestScenarios(t *testing.T) { plantest.Run(t, plan, obey) }

func newDeployment(t *rapid.T) *appsv1.Deployment {
	replicas := rapid.Int32Range(0, 12).Draw(t, "replicas")
	d := &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "web", UID: "d"},
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas,
			Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "web"}},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "web"}},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "v0"}}},
			},
			Strategy: appsv1.DeploymentStrategy{Type: appsv1.RollingUpdateDeploymentStrategyType, RollingUpdate: &appsv1.RollingUpdateDeployment{
				MaxSurge:       ptr.To(intstr.FromInt32(rapid.Int32Range(0, 4).Draw(t, "surge"))),
				MaxUnavailable: ptr.To(intstr.FromInt32(rapid.Int32Range(0, 4).Draw(t, "unavailable"))),
			}},
		},
	}
	return d
}

// progress lets each ReplicaSet get some way towards what it asks for.
func progress(t *rapid.T, w *plantest.World) {
	for _, rs := range plantest.List[*appsv1.ReplicaSet](w) {
		want, have := *rs.Spec.Replicas, rs.Status.Replicas
		if have > want {
			have = want
		} else {
			have = rapid.Int32Range(have, want).Draw(t, "replicas of "+rs.Name)
		}
		available := rapid.Int32Range(min(rs.Status.AvailableReplicas, have), have).Draw(t, "available of "+rs.Name)
		setStatus(w, rs, have, available)
	}
}

func sums(w *plantest.World) (asked, available int32) {
	for _, rs := range plantest.List[*appsv1.ReplicaSet](w) {
		asked += *rs.Spec.Replicas
		available += rs.Status.AvailableReplicas
	}
	return asked, available
}

// TestRollingUpdateStaysWithinBounds changes the template again and again while
// pods come up at random, and holds every step against maxSurge and
// maxUnavailable; left alone, the rollout completes.
func TestRollingUpdateStaysWithinBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := plantest.NewWorld()
		w.Put(newDeployment(t))
		for range 10 {
			w.Act(plan(w))
			obey(w)
		}
		d := plantest.List[*appsv1.Deployment](w)[0]
		surge := int32(d.Spec.Strategy.RollingUpdate.MaxSurge.IntValue())
		down := int32(d.Spec.Strategy.RollingUpdate.MaxUnavailable.IntValue())
		if surge == 0 && down == 0 {
			down = 1
		}
		for i := range rapid.IntRange(1, 4).Draw(t, "changes") {
			changed := plantest.List[*appsv1.Deployment](w)[0].DeepCopy()
			changed.Spec.Template.Spec.Containers[0].Image = fmt.Sprint("v", i+1)
			changed.Generation++
			w.Put(changed)
			for range rapid.IntRange(1, 20).Draw(t, "steps") {
				_, before := sums(w)
				w.Act(plan(w))
				notDoneEarly(t, w)
				asked, _ := sums(w)
				if asked > *d.Spec.Replicas+surge {
					t.Fatalf("%d pods asked for, of %d + %d", asked, *d.Spec.Replicas, surge)
				}
				for _, rs := range plantest.List[*appsv1.ReplicaSet](w) { // scaling down takes available pods last
					if rs.Status.AvailableReplicas > *rs.Spec.Replicas {
						setStatus(w, rs, *rs.Spec.Replicas, *rs.Spec.Replicas)
					}
				}
				if _, after := sums(w); after < min(before, *d.Spec.Replicas-down) {
					t.Fatalf("available fell from %d to %d, of %d - %d", before, after, *d.Spec.Replicas, down)
				}
				progress(t, w)
			}
		}
		for range 200 {
			w.Act(plan(w))
			obey(w)
		}
		status := plantest.List[*appsv1.Deployment](w)[0].Status
		if status.UpdatedReplicas != *d.Spec.Replicas || status.Replicas != *d.Spec.Replicas || status.AvailableReplicas != *d.Spec.Replicas {
			t.Fatalf("the rollout did not complete: %+v", status)
		}
		if actions := plan(w).Actions; len(actions) != 0 {
			t.Fatalf("a complete Deployment is still acted upon: %v", actions)
		}
	})
}

// notDoneEarly guards against a status that claims the new generation with the
// counts of the old template: `kubectl rollout status` would call it done.
func notDoneEarly(t *rapid.T, w *plantest.World) {
	d := plantest.List[*appsv1.Deployment](w)[0]
	s := d.Status
	if s.ObservedGeneration < d.Generation || s.UpdatedReplicas < *d.Spec.Replicas {
		return
	}
	for _, rs := range plantest.List[*appsv1.ReplicaSet](w) {
		if rs.Spec.Template.Spec.Containers[0].Image == d.Spec.Template.Spec.Containers[0].Image && rs.Status.Replicas >= s.UpdatedReplicas {
			return
		}
	}
	t.Fatalf("the status says updated, but no ReplicaSet of the template has %d pods", s.UpdatedReplicas)
}

// TestPlanIsPure plans twice, the second time with the ReplicaSets reversed, and
// checks that inputs are untouched.
func TestPlanIsPure(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := plantest.NewWorld()
		w.Put(newDeployment(t))
		for i := range rapid.IntRange(1, 3).Draw(t, "changes") {
			changed := plantest.List[*appsv1.Deployment](w)[0].DeepCopy()
			changed.Spec.Template.Spec.Containers[0].Image = fmt.Sprint("v", i)
			w.Put(changed)
			for range 5 {
				w.Act(plan(w))
				progress(t, w)
			}
		}
		d := plantest.List[*appsv1.Deployment](w)[0]
		sets := plantest.List[*appsv1.ReplicaSet](w)
		reversed := make([]*appsv1.ReplicaSet, len(sets))
		for i, rs := range sets {
			reversed[len(sets)-1-i] = rs.DeepCopy()
		}
		copied := d.DeepCopy()
		one := deployment.Plan(deployment.Observed{Deployment: d, ReplicaSets: sets, Now: w.Now, Decide: native})
		two := deployment.Plan(deployment.Observed{Deployment: copied, ReplicaSets: reversed, Now: w.Now, Decide: native})
		if diff := cmp.Diff(one.Actions, two.Actions); diff != "" {
			t.Fatalf("the plan depends on the order of its input:\n%s", diff)
		}
		if diff := cmp.Diff(copied, d); diff != "" {
			t.Fatalf("the plan changed its input:\n%s", diff)
		}
	})
}

func TestTemplateHashAsUpstream(t *testing.T) {
	// The hash that kubectl 1.31 showed for `kubectl create deployment` depends on
	// every field of the dumped struct; what is fixed for ever is that it is stable
	// and moves with the collision count.
	template := &corev1.PodTemplateSpec{Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "a", Image: "b"}}}}
	base := deployment.TemplateHash(template, nil)
	if again := deployment.TemplateHash(template.DeepCopy(), nil); again != base {
		t.Errorf("hash of a copy is %s, want %s", again, base)
	}
	if collided := deployment.TemplateHash(template, ptr.To(int32(1))); collided == base {
		t.Error("the collision count does not change the hash")
	}
}
