package apis_test

import (
	"encoding/json"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/pintle-io/pintle/engine/apis"
)

// The expected texts were answered by kube-apiserver v1.37.2.
func TestShown(t *testing.T) {
	meta := metav1.ObjectMeta{Labels: map[string]string{"a": "b"}}
	for name, test := range map[string]struct {
		value any
		want  string
		plain bool
	}{
		"text":       {value: "x", want: `"x"`, plain: true},
		"selector":   {value: &metav1.LabelSelector{MatchLabels: map[string]string{"a": "b"}}, want: `{"matchLabels":{"a":"b"}}`, plain: true},
		"nil struct": {value: (*corev1.Affinity)(nil), want: `null`},
		"nil list":   {value: []corev1.Toleration(nil), want: `null`},
		"quantities": {
			value: corev1.ResourceRequirements{Requests: corev1.ResourceList{"storage": resource.MustParse("1Gi")}},
			want:  `{"Limits":null,"Requests":{"storage":"1Gi"},"Claims":null}`,
		},
		"list": {
			value: []corev1.Toleration{{Key: "k"}, {}},
			want: `[{"Key":"k","Operator":"","Value":"","Effect":"","TolerationSeconds":null},` +
				`{"Key":"","Operator":"","Value":"","Effect":"","TolerationSeconds":null}]`,
		},
		"embedded": {
			value: corev1.PersistentVolumeClaimTemplate{ObjectMeta: meta},
			want: `{"labels":{"a":"b"},"Spec":{"AccessModes":null,"Selector":null,"Resources":{"Limits":null,"Requests":null},` +
				`"VolumeName":"","StorageClassName":null,"VolumeMode":null,"DataSource":null,"DataSourceRef":null,"VolumeAttributesClassName":null}}`,
		},
		"pointer": {
			value: &batchv1.SuccessPolicy{Rules: []batchv1.SuccessPolicyRule{{}}},
			want:  `{"Rules":[{"SucceededIndexes":null,"SucceededCount":null}]}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := json.Marshal(apis.Shown{Value: test.value})
			if err != nil || string(got) != test.want {
				t.Errorf("got  %s (%v)\nwant %s", got, err, test.want)
			}
			if apis.ShowsGoNames(test.value) == test.plain {
				t.Errorf("ShowsGoNames is %v", !test.plain)
			}
		})
	}
}
