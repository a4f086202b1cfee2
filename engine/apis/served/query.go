package served

import (
	"net/url"
	"reflect"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/conversion"
	"k8s.io/apimachinery/pkg/runtime"
)

// queryKinds are the option kinds that arrive as query parameters.
var queryKinds = []runtime.Object{
	&corev1.PodLogOptions{}, &corev1.PodExecOptions{}, &corev1.PodAttachOptions{}, &corev1.PodPortForwardOptions{},
	&corev1.PodProxyOptions{}, &corev1.NodeProxyOptions{}, &corev1.ServiceProxyOptions{},
}

func addQueryConversions(s *runtime.Scheme) error {
	for _, kind := range queryKinds {
		err := s.AddConversionFunc((*url.Values)(nil), kind, func(a, b any, _ conversion.Scope) error {
			return decodeQuery(*a.(*url.Values), b)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// decodeQuery fills the fields of the struct out points to from the parameters of
// their JSON names. As upstream does, a value that does not parse is an error for
// numbers and times, and a boolean is true unless it says "false" or "0".
func decodeQuery(in url.Values, out any) error {
	v := reflect.ValueOf(out).Elem()
	for i := range v.NumField() {
		name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
		values, ok := in[name]
		if name == "" || !ok || len(values) == 0 {
			continue
		}
		if err := setField(v.Field(i), values); err != nil {
			return err
		}
	}
	return nil
}

func setField(f reflect.Value, values []string) error {
	if f.Kind() == reflect.Pointer {
		if _, ok := f.Interface().(*metav1.Time); ok {
			t := &metav1.Time{}
			if err := t.UnmarshalQueryParameter(values[0]); err != nil {
				return err
			}
			f.Set(reflect.ValueOf(t))
			return nil
		}
		elem := reflect.New(f.Type().Elem())
		f.Set(elem)
		return setField(elem.Elem(), values)
	}
	switch f.Kind() {
	case reflect.String:
		f.SetString(values[0])
	case reflect.Bool:
		lower := strings.ToLower(values[0])
		f.SetBool(lower != "false" && lower != "0")
	case reflect.Int, reflect.Int32, reflect.Int64:
		n, err := strconv.ParseInt(values[0], 10, f.Type().Bits())
		if err != nil {
			return err
		}
		f.SetInt(n)
	case reflect.Slice:
		return setSlice(f, values)
	}
	return nil
}

func setSlice(f reflect.Value, values []string) error {
	out := reflect.MakeSlice(f.Type(), len(values), len(values))
	for i, value := range values {
		if err := setField(out.Index(i), []string{value}); err != nil {
			return err
		}
	}
	f.Set(out)
	return nil
}
