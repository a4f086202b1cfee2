package served_test

import (
	"context"
	"net/url"
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metainternalversion "k8s.io/apimachinery/pkg/apis/meta/internalversion"
	metainternalversionscheme "k8s.io/apimachinery/pkg/apis/meta/internalversion/scheme"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/pintle-io/pintle/engine/apis"
	"github.com/pintle-io/pintle/engine/apis/served"
)

// slowNumber is what package guard keeps from the decoders.
var slowNumber = regexp.MustCompile(`[eE][+-]?[0-9]{4}|[0-9.]{200}`)

var formats = []string{runtime.ContentTypeJSON, runtime.ContentTypeYAML, runtime.ContentTypeProtobuf}

// Bodies of every kind in every format: what decodes is defaulted, validated,
// selected and shown without a panic, and survives being written and read.
func FuzzObjects(f *testing.F) {
	table, codecs := served.Table(), served.Codecs()
	for i, row := range table {
		for format, media := range formats {
			raw, err := runtime.Encode(encoder(codecs.SupportedMediaTypes(), media), named(row))
			if err != nil {
				f.Fatal(err)
			}
			f.Add(uint16(i), uint8(format), raw)
		}
	}
	for _, body := range []string{
		`{"metadata":{"name":"a","labels":{"a":"b"}},"spec":{"containers":[{"name":"c","image":"i","ports":[{"containerPort":1}],"env":[{"name":"E","valueFrom":{"fieldRef":{"fieldPath":"metadata.name"}}}],"livenessProbe":{"httpGet":{"port":"x"}},"resources":{"requests":{"cpu":"1"}}}],"volumes":[{"name":"v","projected":{"sources":[{}]}}],"affinity":{"podAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":[{}]}}}}`,
		`{"spec":{"replicas":-1,"selector":{"matchExpressions":[{"key":"","operator":"?"}]},"template":{"spec":{}},"strategy":{"rollingUpdate":{"maxSurge":"x%"}}}}`,
		`{"spec":{"ports":[{"port":99999,"targetPort":"_"}],"clusterIPs":["x","y","z"],"sessionAffinityConfig":{"clientIP":{}}}}`,
		`{"spec":{"schedule":"CRON_TZ=x * *","jobTemplate":{"spec":{"successPolicy":{"rules":[{}]},"podFailurePolicy":{"rules":[{"onExitCodes":{"values":[0]}}]}}}}}`,
		`{"rules":[{"host":"*.*","http":{"paths":[{"pathType":"x"}]}}],"spec":{"rules":[{}],"tls":[{}]}}`,
		`{"webhooks":[{"name":"x","matchConditions":[{"name":"a","expression":"((((("}]}]}`,
	} {
		for i := range table {
			f.Add(uint16(i), uint8(0), []byte(body))
		}
	}
	f.Fuzz(func(t *testing.T, which uint16, format uint8, data []byte) {
		if slowNumber.Match(data) {
			t.Skip()
		}
		row := table[int(which)%len(table)]
		info, _ := runtime.SerializerInfoForMediaType(codecs.SupportedMediaTypes(), formats[int(format)%len(formats)])
		obj := row.New()
		decoded, gvk, err := info.Serializer.Decode(data, &row.GVK, obj)
		if err != nil || decoded != obj || *gvk != row.GVK {
			return
		}
		stable(t, encoder(codecs.SupportedMediaTypes(), info.MediaType), info.Serializer, row, obj)
		exercise(row, obj)
	})
}

func encoder(infos []runtime.SerializerInfo, media string) runtime.Encoder {
	info, _ := runtime.SerializerInfoForMediaType(infos, media)
	return info.Serializer
}

func named(row apis.Resource) runtime.Object {
	obj := row.New()
	obj.GetObjectKind().SetGroupVersionKind(row.GVK)
	if m, ok := obj.(metav1.Object); ok {
		m.SetName("a")
	}
	return obj
}

// stable fails unless an object that was read is the same after it was written and
// read again.
func stable(t *testing.T, enc runtime.Encoder, dec runtime.Decoder, row apis.Resource, obj runtime.Object) {
	t.Helper()
	obj.GetObjectKind().SetGroupVersionKind(row.GVK)
	raw, err := runtime.Encode(enc, obj)
	if err != nil {
		return // a time out of range, for example
	}
	again := row.New()
	if _, _, err := dec.Decode(raw, &row.GVK, again); err != nil {
		t.Fatalf("%s was written as what cannot be read: %v\n%s", row.GVK.Kind, err, raw)
	}
	again.GetObjectKind().SetGroupVersionKind(row.GVK)
	twice, err := runtime.Encode(enc, again)
	if err != nil || string(twice) != string(raw) && !equality.Semantic.DeepEqual(obj, again) {
		t.Errorf("%s written twice differs (%v):\n%s", row.GVK.Kind, err, cmp.Diff(string(raw), string(twice)))
	}
}

// exercise applies what a create and an update apply. A panic fails.
func exercise(row apis.Resource, obj runtime.Object) {
	ctx, rules := context.Background(), row.Rules
	if rules.Default != nil {
		rules.Default(obj)
	}
	old := obj.DeepCopyObject()
	if rules.PrepareForCreate != nil {
		rules.PrepareForCreate(ctx, obj)
	}
	valid := rules.Validate == nil || len(rules.Validate(ctx, obj)) == 0
	if rules.PrepareForUpdate != nil {
		rules.PrepareForUpdate(ctx, obj, old)
	}
	for _, validate := range []func(context.Context, runtime.Object, runtime.Object) []string{rules.WarningsOnUpdate} {
		if validate != nil && valid {
			validate(ctx, obj, old)
		}
	}
	if rules.ValidateUpdate != nil {
		rules.ValidateUpdate(ctx, obj, old)
	}
	if rules.ValidateStatusUpdate != nil {
		rules.ValidateStatusUpdate(ctx, obj, old)
	}
	if row.Fields != nil {
		row.Fields(obj)
	}
	for _, column := range row.Columns {
		column.Cell(obj)
	}
}

// Queries of every kind: selectors are converted, or refused.
func FuzzQueries(f *testing.F) {
	table, scheme := served.Table(), served.Scheme()
	for i, row := range table {
		f.Add(uint16(i), "labelSelector=a+in+(b,c),!d&fieldSelector=metadata.name%3Dx,spec.nodeName!%3Dy&limit=1&timeoutSeconds=2")
		if row.Fields != nil {
			for name := range row.Fields(row.New()) {
				f.Add(uint16(i), "fieldSelector="+url.QueryEscape(name+"=a\\,b"))
			}
		}
	}
	f.Add(uint16(0), "sinceTime=x&tailLines=-1&follow=maybe&command=a&command=b&ports=1&ports=99999999999")
	f.Fuzz(func(_ *testing.T, which uint16, query string) {
		values, err := url.ParseQuery(query)
		if err != nil {
			return
		}
		row := table[int(which)%len(table)]
		var list metainternalversion.ListOptions
		if metainternalversionscheme.ParameterCodec.DecodeParameters(values, schema.GroupVersion{Version: "v1"}, &list) == nil && list.FieldSelector != nil {
			selector, err := list.FieldSelector.Transform(func(label, value string) (string, string, error) {
				return scheme.ConvertFieldLabel(row.GVK, label, value)
			})
			if err == nil && row.Fields != nil {
				selector.Matches(fields.Set(row.Fields(row.New())))
			}
		}
		for _, options := range []runtime.Object{&corev1.PodLogOptions{}, &corev1.PodExecOptions{}, &corev1.PodPortForwardOptions{}} {
			_ = served.ParameterCodec().DecodeParameters(values, corev1.SchemeGroupVersion, options)
		}
	})
}
