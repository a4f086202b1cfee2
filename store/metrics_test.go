package store

import (
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/storage"
	"k8s.io/component-base/metrics/legacyregistry"
)

// The series that dashboards of Kubernetes read say what happened.
func TestSeriesOfUpstreamsNames(t *testing.T) {
	cfg := configMapConfig(t)
	cfg.GroupResource = schema.GroupResource{Group: "series.test", Resource: "counted"}
	r, err := openStore(t, Options{}).Resource(cfg)
	if err != nil {
		t.Fatal(err)
	}
	const key = "/configmaps/default/a"
	if err := r.Create(t.Context(), key, configMap("a"), nil, 0); err != nil {
		t.Fatal(err)
	}
	list := &corev1.ConfigMapList{}
	if err := r.GetList(t.Context(), "/configmaps", storage.ListOptions{Recursive: true, Predicate: storage.Everything}, list); err != nil {
		t.Fatal(err)
	}
	if err := r.Delete(t.Context(), key, &corev1.ConfigMap{}, nil, storage.ValidateAllObjectFunc, nil, storage.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	// The first write came before the index was read from disk.
	got := seriesOf(t, "counted")
	for name, want := range map[string]float64{
		"etcd_requests_total create":                    1,
		"etcd_requests_total delete":                    1,
		"etcd_request_duration_seconds create":          1,
		"apiserver_watch_cache_events_received_total":   1,
		"apiserver_watch_cache_initializations_total":   1,
		"apiserver_watch_cache_consistent_read_total":   1,
		"apiserver_storage_list_returned_objects_total": 1,
		"apiserver_watch_cache_resource_version":        float64(r.store.Revision()),
	} {
		if v, ok := got[name]; !ok || v != want {
			t.Errorf("%s is %v, want %v", name, v, want)
		}
	}
}

// seriesOf are the values of all series of a resource, by name and operation; a
// histogram's is how often it was observed.
func seriesOf(t *testing.T, resource string) map[string]float64 {
	t.Helper()
	families, err := legacyregistry.DefaultGatherer.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, family := range families {
		for _, m := range family.Metric {
			name, ours := family.GetName(), false
			for _, label := range m.Label {
				ours = ours || label.GetName() == "resource" && label.GetValue() == resource
				if label.GetName() == "operation" {
					name = fmt.Sprintf("%s %s", name, label.GetValue())
				}
			}
			if ours {
				got[name] = m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
			}
		}
	}
	return got
}
