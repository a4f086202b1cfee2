package registry

import (
	"context"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
)

// TestTarget holds the wording of upstream's bindings.
func TestTarget(t *testing.T) {
	for name, c := range map[string]struct {
		target corev1.ObjectReference
		want   string
	}{
		"node":       {corev1.ObjectReference{Kind: "Node", Name: "n"}, ""},
		"no kind":    {corev1.ObjectReference{Name: "n"}, ""},
		"no name":    {corev1.ObjectReference{Kind: "Node"}, "target.name: Required value"},
		"pod":        {corev1.ObjectReference{Kind: "Pod", Name: "p"}, `target.kind: Unsupported value: "Pod": supported values: "Node", "<empty>"`},
		"bad name":   {corev1.ObjectReference{Name: "Bad_"}, `target.name: Invalid value: "Bad_"`},
		"both wrong": {corev1.ObjectReference{Kind: "Pod"}, "[target.kind: Unsupported value"},
	} {
		errs := validateTarget(&c.target)
		if (len(errs) == 0) != (c.want == "") || len(errs) > 0 && !strings.HasPrefix(errs.ToAggregate().Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, errs.ToAggregate(), c.want)
		}
	}
}

// TestMeets guards that another pod of the name is not evicted.
func TestMeets(t *testing.T) {
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p", UID: "u", ResourceVersion: "7"}}
	for want, p := range map[string]*metav1.Preconditions{
		"":                    nil,
		" ":                   {UID: ptr.To(types.UID("u")), ResourceVersion: ptr.To("7")},
		"the UID in the":      {UID: ptr.To(types.UID("v"))},
		"the ResourceVersion": {ResourceVersion: ptr.To("6")},
	} {
		err := meets(pod, p)
		want = strings.TrimSpace(want)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

func TestResize(t *testing.T) {
	amounts := func(cpu string) corev1.ResourceRequirements {
		return corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(cpu)}}
	}
	base := func() *corev1.Pod {
		return &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Name: "p", Namespace: "n", ResourceVersion: "1"},
			Spec: corev1.PodSpec{
				RestartPolicy: corev1.RestartPolicyAlways, DNSPolicy: corev1.DNSClusterFirst, TerminationGracePeriodSeconds: ptr.To(int64(30)),
				Containers: []corev1.Container{
					{Name: "a", Image: "i", ImagePullPolicy: corev1.PullAlways, TerminationMessagePolicy: corev1.TerminationMessageReadFile, Resources: amounts("1")},
					{Name: "b", Image: "i", ImagePullPolicy: corev1.PullAlways, TerminationMessagePolicy: corev1.TerminationMessageReadFile},
				},
			},
			Status: corev1.PodStatus{QOSClass: corev1.PodQOSBurstable},
		}
	}
	for name, c := range map[string]struct {
		edit func(pod, old *corev1.Pod)
		want string
	}{
		"more":        {func(pod, _ *corev1.Pod) { pod.Spec.Containers[0].Resources = amounts("2") }, ""},
		"for another": {func(pod, _ *corev1.Pod) { pod.Spec.Containers[1].Resources = amounts("2") }, ""},
		"image":       {func(pod, _ *corev1.Pod) { pod.Spec.Containers[0].Image = "j" }, ""},
		"fewer":       {func(pod, _ *corev1.Pod) { pod.Spec.Containers = pod.Spec.Containers[:1] }, "spec.containers: Forbidden: containers may not be added or removed on resize"},
		"order": {func(pod, _ *corev1.Pod) {
			pod.Spec.Containers[0], pod.Spec.Containers[1] = pod.Spec.Containers[1], pod.Spec.Containers[0]
		}, "spec.containers[0].name: Forbidden: containers may not be renamed or reordered on resize"},
		"nothing asked for": {func(pod, _ *corev1.Pod) { pod.Spec.Containers[0].Resources = corev1.ResourceRequirements{} }, "Pod QOS Class may not change"},
		"windows":           {func(_, old *corev1.Pod) { old.Spec.OS = &corev1.PodOS{Name: corev1.Windows} }, "windows pods cannot be resized"},
		"of the pod": {func(pod, old *corev1.Pod) {
			old.Spec.Resources = ptr.To(amounts("3"))
			pod.Spec.Containers[0].Resources = amounts("2")
		}, ""},
	} {
		old := base()
		pod := old.DeepCopy()
		c.edit(pod, old)
		resizeStrategy{}.PrepareForUpdate(context.Background(), pod, old)
		errs := resizeStrategy{}.ValidateUpdate(context.Background(), pod, old)
		if (len(errs) == 0) != (c.want == "") || len(errs) > 0 && !strings.Contains(errs.ToAggregate().Error(), c.want) {
			t.Errorf("%s: got %v, want %q", name, errs.ToAggregate(), c.want)
		}
		if pod.Spec.Containers[0].Image != "i" {
			t.Errorf("%s: a resize changed the image", name)
		}
	}
}
