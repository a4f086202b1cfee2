package autoscaling

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/utils/ptr"

	"github.com/pintle-io/pintle/engine/reconcile"
	"github.com/pintle-io/pintle/wasm/abi/scaling"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func autoscaler() *autoscalingv2.HorizontalPodAutoscaler {
	return &autoscalingv2.HorizontalPodAutoscaler{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "h", UID: "u", Generation: 3},
		Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
			ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{Kind: "Deployment", Name: "d", APIVersion: "apps/v1"},
			MinReplicas:    ptr.To(int32(1)), MaxReplicas: 5,
			Metrics: []autoscalingv2.MetricSpec{{Type: autoscalingv2.ResourceMetricSourceType, Resource: &autoscalingv2.ResourceMetricSource{
				Name: corev1.ResourceMemory, Target: autoscalingv2.MetricTarget{Type: autoscalingv2.UtilizationMetricType, AverageUtilization: ptr.To(int32(50))},
			}}},
		},
		Status: autoscalingv2.HorizontalPodAutoscalerStatus{DesiredReplicas: 2},
	}
}

func observed(a scaling.Answer) Observed {
	return Observed{
		Autoscaler: autoscaler(), Now: noon, Answer: &a, Target: schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"},
		Scale: &autoscalingv1.Scale{ObjectMeta: metav1.ObjectMeta{ResourceVersion: "7"}, Spec: autoscalingv1.ScaleSpec{Replicas: 2}},
	}
}

func statusOf(t *testing.T, actions []reconcile.Action) autoscalingv2.HorizontalPodAutoscalerStatus {
	t.Helper()
	for _, a := range actions {
		if s, ok := a.(reconcile.UpdateStatus); ok {
			return s.Object.(*autoscalingv2.HorizontalPodAutoscaler).Status
		}
	}
	t.Fatalf("no status in %+v", actions)
	panic("unreachable")
}

func reasons(s autoscalingv2.HorizontalPodAutoscalerStatus) string {
	var out []string
	for _, c := range s.Conditions {
		out = append(out, string(c.Type)+"="+string(c.Status)+":"+c.Reason)
	}
	return strings.Join(out, " ")
}

func TestRescaleIsWrittenThenTold(t *testing.T) {
	r := Plan(observed(scaling.Answer{
		Replicas: 4, Rescale: true, Reason: "cpu above target", Recommendation: ptr.To(int32(4)),
		Metrics: []scaling.Outcome{{Utilization: ptr.To(int32(90)), AverageValue: ptr.To(int64(1 << 20 * 1000)), Replicas: 4}},
	}))
	patch, ok := r.Actions[0].(reconcile.Patch)
	if !ok || string(patch.Data) != `{"metadata":{"resourceVersion":"7"},"spec":{"replicas":4}}` || patch.Subresource != "scale" || patch.Name != "d" {
		t.Errorf("first action %+v", r.Actions[0])
	}
	if event, ok := r.Actions[1].(reconcile.Event); !ok || event.Reason != "SuccessfulRescale" || event.Message != "New size: 4; reason: cpu above target" {
		t.Errorf("second action %+v", r.Actions[1])
	}
	s := statusOf(t, r.Actions)
	if s.CurrentReplicas != 2 || s.DesiredReplicas != 4 || !s.LastScaleTime.Time.Equal(noon) || *s.ObservedGeneration != 3 ||
		s.CurrentMetrics[0].Resource.Current.AverageValue.String() != "1Mi" {
		t.Errorf("status %+v", s)
	}
	if got, want := reasons(s), "AbleToScale=True:SucceededRescale ScaledToZero=False:NotScaledToZero"; got != want {
		t.Errorf("conditions %s, want %s", got, want)
	}

	failed := r.OnFailure(reconcile.Failure{Action: patch, Err: errors.New("conflict")})
	if event := failed[0].(reconcile.Event); event.Reason != "FailedRescale" {
		t.Errorf("event %+v", event)
	}
	s = statusOf(t, failed)
	if got, want := reasons(s), "AbleToScale=False:FailedUpdateScale"; got != want || s.DesiredReplicas != 2 || s.LastScaleTime != nil {
		t.Errorf("after a failure: %s, %+v", got, s)
	}
}

func TestTargetThatCannotBeHad(t *testing.T) {
	r := Plan(Observed{Autoscaler: autoscaler(), TargetErr: errors.New("gone"), Now: noon})
	if got, want := reasons(statusOf(t, r.Actions)), "AbleToScale=False:FailedGetScale"; got != want {
		t.Errorf("conditions %s, want %s", got, want)
	}
}

func TestNothingComputedKeepsWhatWasDesired(t *testing.T) {
	s := statusOf(t, Plan(observed(scaling.Answer{Replicas: 2, Error: "no metrics", Metrics: []scaling.Outcome{{Error: "no"}}})).Actions)
	if s.DesiredReplicas != 2 || s.CurrentMetrics[0].Type != "" {
		t.Errorf("status %+v", s)
	}
}

func TestCheckBelievesNothing(t *testing.T) {
	r := &scaling.Request{Min: 1, Max: 5, Replicas: 2, Metrics: make([]scaling.Metric, 1)}
	for name, tc := range map[string]struct{ answer, wrong string }{
		"nothing":         {``, "not what it should be"},
		"too many":        {`{"replicas":6,"rescale":true}`, "outside 1 to 5"},
		"too few":         {`{"replicas":0,"rescale":true}`, "outside 1 to 5"},
		"negative":        {`{"recommendation":-1}`, "recommendation"},
		"strange status":  {`{"conditions":[{"type":"ScaledToZero","reason":"x"}]}`, "not a strategy's"},
		"no reason":       {`{"conditions":[{"type":"AbleToScale"}]}`, "no reason"},
		"too many shown":  {`{"metrics":[{},{}]}`, "longer"},
		"too much state":  {`{"state":"` + strings.Repeat("x", scaling.MaxState) + `"}`, "longer"},
		"nameless event":  {`{"events":[{"message":"x"}]}`, "event"},
		"what is allowed": {`{"replicas":5,"rescale":true,"state":[1],"new":"field"}`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := check(r, []byte(tc.answer))
			if tc.wrong == "" && err != nil || tc.wrong != "" && (err == nil || !strings.Contains(err.Error(), tc.wrong)) {
				t.Errorf("error %v, want %q", err, tc.wrong)
			}
		})
	}
}

func TestHistoryKeepsWhatTheTargetConfirms(t *testing.T) {
	h, hpa := newHistories(), autoscaler()
	key := reconcile.KeyOf(hpa)
	past := h.get(hpa, 2, noon)
	if len(past.recommendations) != 1 || past.recommendations[0].Replicas != 2 {
		t.Fatalf("at first %+v", past)
	}
	h.put(key, &scaling.Answer{Replicas: 5, Rescale: true, Recommendation: ptr.To(int32(5)), State: json.RawMessage("1")}, 2, noon)
	if past = h.get(hpa, 2, noon); len(past.ups) != 0 || len(past.recommendations) != 2 || string(past.state) != "1" {
		t.Errorf("a change the target does not show counts: %+v", past)
	}
	h.put(key, &scaling.Answer{Replicas: 5, Rescale: true}, 2, noon)
	if past = h.get(hpa, 5, noon); len(past.ups) != 1 || past.ups[0].Replicas != 3 {
		t.Errorf("the change is not kept: %+v", past)
	}
	h.put(key, &scaling.Answer{Replicas: 1, Rescale: true}, 5, noon.Add(time.Minute))
	if past = h.get(hpa, 1, noon.Add(longest+time.Minute)); len(past.ups) != 0 || len(past.downs) != 1 || past.downs[0].Replicas != 4 {
		t.Errorf("after an hour: %+v", past)
	}
	again := autoscaler()
	again.UID = "other"
	if past = h.get(again, 3, noon); len(past.downs) != 0 || past.recommendations[0].Replicas != 3 {
		t.Errorf("another of that name has a history: %+v", past)
	}
	h.forget(key)
	if len(h.mu.of) != 0 {
		t.Error("a history outlives its autoscaler")
	}
}

func TestRivals(t *testing.T) {
	h := newHistories()
	a, b := autoscaler(), autoscaler()
	b.Name, b.UID = "i", "v"
	h.get(a, 1, noon)
	h.get(b, 1, noon)
	selector, err := labels.Parse("app=x")
	if err != nil {
		t.Fatal(err)
	}
	pods := []labels.Set{{"app": "x"}}
	if got := h.rivals(reconcile.KeyOf(a), selector, pods); got != nil {
		t.Errorf("alone, but with rivals %v", got)
	}
	if got := h.rivals(reconcile.KeyOf(b), selector, pods); len(got) != 2 {
		t.Errorf("rivals %v", got)
	}
}

func TestRequests(t *testing.T) {
	quantity := corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("100m")}
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p"}, Spec: corev1.PodSpec{
		Containers:     []corev1.Container{{Name: "a", Resources: corev1.ResourceRequirements{Requests: quantity}}, {Name: "b", Resources: corev1.ResourceRequirements{Requests: quantity}}},
		InitContainers: []corev1.Container{{Name: "once"}, {Name: "side", RestartPolicy: ptr.To(corev1.ContainerRestartPolicyAlways), Resources: corev1.ResourceRequirements{Requests: quantity}}},
	}}
	for _, tc := range []struct {
		name      corev1.ResourceName
		container string
		want      int64
		wrong     string
	}{
		{corev1.ResourceCPU, "", 300, ""}, {corev1.ResourceCPU, "b", 100, ""}, {corev1.ResourceCPU, "side", 100, ""},
		{corev1.ResourceMemory, "", 0, "missing request for memory in container a of Pod p"},
		{corev1.ResourceCPU, "z", 0, "container z not found in Pod p"},
	} {
		got, err := requestOf(pod, tc.name, tc.container)
		if got != tc.want || (err == nil) != (tc.wrong == "") || err != nil && err.Error() != tc.wrong {
			t.Errorf("%s of %q: %d, %v", tc.name, tc.container, got, err)
		}
	}
}
