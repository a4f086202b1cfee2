package served_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/applyconfigurations"

	"github.com/pintle-io/pintle/engine/apis/served"
)

// TestEveryRowIsWhole checks what the registry and the handlers take for granted of
// a row.
func TestEveryRowIsWhole(t *testing.T) {
	scheme, codecs := served.Scheme(), served.Codecs()
	types := applyconfigurations.NewTypeConverter(scheme)
	for _, row := range served.Table() {
		t.Run(row.GVK.String(), func(t *testing.T) {
			internal := row.GVK.GroupKind().WithVersion(runtime.APIVersionInternal)
			hub, err := scheme.New(internal)
			if err != nil {
				t.Fatal(err)
			}
			if got, want := hub, row.New(); cmp.Diff(kinds(t, got), kinds(t, want)) != "" {
				t.Errorf("internal type is %T, row makes %T", got, want)
			}
			if _, err := scheme.New(internal.GroupVersion().WithKind(row.GVK.Kind + "List")); err != nil {
				t.Error("list:", err)
			}
			if _, err := meta.ListAccessor(row.NewList()); err != nil {
				t.Error("list:", err)
			}
			object := row.New()
			object.GetObjectKind().SetGroupVersionKind(row.GVK)
			if _, err := types.ObjectToTyped(object); err != nil {
				t.Error("server-side apply:", err)
			}
			for _, gvk := range append([]schema.GroupVersionKind{row.GVK}, row.OtherVersions...) {
				hub := gvk.GroupKind().WithVersion(runtime.APIVersionInternal).GroupVersion()
				for _, info := range codecs.SupportedMediaTypes() {
					codec := codecs.CodecForVersions(info.Serializer, codecs.UniversalDeserializer(), gvk.GroupVersion(), hub)
					obj := row.New()
					m, err := meta.Accessor(obj)
					if err != nil {
						t.Fatal(err)
					}
					m.SetName("x")
					raw, err := runtime.Encode(codec, obj)
					if err != nil {
						t.Fatalf("encode %s as %s: %v", gvk, info.MediaType, err)
					}
					out, err := runtime.Decode(codec, raw)
					if err != nil {
						t.Fatalf("decode %s as %s: %v", gvk, info.MediaType, err)
					}
					if o, _ := meta.Accessor(out); o.GetName() != "x" {
						t.Errorf("name is lost in %s as %s", gvk, info.MediaType)
					}
				}
				if label, _, err := scheme.ConvertFieldLabel(gvk, "metadata.name", "x"); err != nil || label != "metadata.name" {
					t.Errorf("metadata.name is not selectable in %s: %v", gvk, err)
				}
				if _, _, err := scheme.ConvertFieldLabel(gvk, "spec.nonsense", "x"); err == nil {
					t.Errorf("nonsense is selectable in %s", gvk)
				}
			}
		})
	}
}

func kinds(t *testing.T, obj runtime.Object) []schema.GroupVersionKind {
	t.Helper()
	out, _, err := served.Scheme().ObjectKinds(obj)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestEventsInBothGroups(t *testing.T) {
	in := &eventsv1.Event{
		ObjectMeta: metav1.ObjectMeta{Name: "e"}, Note: "note", Reason: "Why", Regarding: corev1.ObjectReference{Name: "p"},
		DeprecatedCount: 3, Series: &eventsv1.EventSeries{Count: 2}, ReportingController: "c",
	}
	var hub corev1.Event
	if err := served.Scheme().Convert(in, &hub, nil); err != nil {
		t.Fatal(err)
	}
	if hub.Message != "note" || hub.InvolvedObject.Name != "p" || hub.Count != 3 || hub.Series.Count != 2 {
		t.Errorf("hub: %+v", hub)
	}
	var back eventsv1.Event
	if err := served.Scheme().Convert(&hub, &back, nil); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(in, &back); diff != "" {
		t.Error("(-in +back):", diff)
	}
}

func TestAutoscalersKeepEverythingThroughV1(t *testing.T) {
	half, low := int32(50), int32(2)
	value := resource.MustParse("10")
	window := int32(60)
	in := &autoscalingv2.HorizontalPodAutoscaler{
		ObjectMeta: metav1.ObjectMeta{Name: "h", Annotations: map[string]string{"own": "kept"}},
		Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
			ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{Kind: "Deployment", Name: "d"}, MinReplicas: &low, MaxReplicas: 9,
			Metrics: []autoscalingv2.MetricSpec{
				{Type: autoscalingv2.PodsMetricSourceType, Pods: &autoscalingv2.PodsMetricSource{
					Metric: autoscalingv2.MetricIdentifier{Name: "requests"},
					Target: autoscalingv2.MetricTarget{Type: autoscalingv2.AverageValueMetricType, AverageValue: &value},
				}},
				{Type: autoscalingv2.ExternalMetricSourceType, External: &autoscalingv2.ExternalMetricSource{
					Metric: autoscalingv2.MetricIdentifier{Name: "queue", Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"q": "1"}}},
					Target: autoscalingv2.MetricTarget{Type: autoscalingv2.ValueMetricType, Value: &value},
				}},
				{Type: autoscalingv2.ResourceMetricSourceType, Resource: &autoscalingv2.ResourceMetricSource{
					Name: corev1.ResourceCPU, Target: autoscalingv2.MetricTarget{Type: autoscalingv2.UtilizationMetricType, AverageUtilization: &half},
				}},
			},
			Behavior: &autoscalingv2.HorizontalPodAutoscalerBehavior{ScaleDown: &autoscalingv2.HPAScalingRules{StabilizationWindowSeconds: &window}},
		},
		Status: autoscalingv2.HorizontalPodAutoscalerStatus{
			CurrentReplicas: 3, DesiredReplicas: 4,
			Conditions: []autoscalingv2.HorizontalPodAutoscalerCondition{{Type: autoscalingv2.ScalingActive, Status: corev1.ConditionTrue}},
		},
	}
	var old autoscalingv1.HorizontalPodAutoscaler
	if err := served.Scheme().Convert(in, &old, nil); err != nil {
		t.Fatal(err)
	}
	if old.Spec.TargetCPUUtilizationPercentage == nil || *old.Spec.TargetCPUUtilizationPercentage != 50 {
		t.Errorf("v1 target: %+v", old.Spec)
	}
	var back autoscalingv2.HorizontalPodAutoscaler
	if err := served.Scheme().Convert(&old, &back, nil); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(in, &back); diff != "" {
		t.Error("(-in +back):", diff)
	}
	if len(in.Annotations) != 1 {
		t.Error("conversion changed its input:", in.Annotations)
	}
}
