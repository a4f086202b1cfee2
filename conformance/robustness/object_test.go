package robustness

import (
	"context"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Bad manifests are refused with one message that names the place, and leave
// nothing behind.
func TestBadManifests(t *testing.T) {
	c, kube := server(t)
	for name, test := range map[string]struct {
		manifest string
		want     []string
	}{
		"not YAML": {"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: bad\n", []string{"YAML"}},
		"unknown field": {"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: bad}\ndatum: {a: b}\n",
			[]string{`unknown field "datum"`}},
		"unknown field deep inside": {"apiVersion: v1\nkind: Pod\nmetadata: {name: bad}\nspec: {containers: [{name: c, image: i, imagePull: Always}]}\n",
			[]string{`unknown field "spec.containers[0].imagePull"`}},
		"wrong type": {"apiVersion: v1\nkind: Service\nmetadata: {name: bad}\nspec: {ports: [{port: eighty}]}\n",
			[]string{"port", "int32"}},
		"invalid value": {"apiVersion: v1\nkind: Service\nmetadata: {name: bad}\nspec: {ports: [{port: 70000}]}\n",
			[]string{"spec.ports[0].port", "65535"}},
		"invalid name":  {"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: Bad_Name}\n", []string{"metadata.name", "Bad_Name"}},
		"unknown kind":  {"apiVersion: v1\nkind: Gadget\nmetadata: {name: bad}\n", []string{"Gadget"}},
		"no namespace":  {"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: bad, namespace: absent}\n", []string{`namespaces "absent" not found`}},
		"missing field": {"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: bad}\nspec: {template: {spec: {containers: [{name: c, image: i}]}}}\n", []string{"spec.selector"}},
	} {
		t.Run(name, func(t *testing.T) {
			got := run(t, command(t, c, test.manifest, "apply", "-f", "-"))
			message := strings.TrimSpace(got.stderr)
			if got.status <= 0 || strings.Count(message, "\nerror:")+strings.Count(message, "\nError from") > 0 {
				t.Errorf("status %d, want a failure with one message: %s", got.status, message)
			}
			for _, w := range test.want {
				if !strings.Contains(message, w) {
					t.Errorf("%q does not say %q", message, w)
				}
			}
			t.Log(message)
		})
	}
	for what, list := range map[string]func() (int, error){
		"config maps": func() (int, error) {
			l, err := kube.CoreV1().ConfigMaps("").List(t.Context(), metav1.ListOptions{FieldSelector: "metadata.name=bad"})
			return len(l.Items), err
		},
		"services": func() (int, error) {
			l, err := kube.CoreV1().Services("").List(t.Context(), metav1.ListOptions{FieldSelector: "metadata.name=bad"})
			return len(l.Items), err
		},
	} {
		if n, err := list(); n != 0 || err != nil {
			t.Errorf("%d %s are left (%v)", n, what, err)
		}
	}
}

// A Service for which no node port is left is refused with one message and gives
// back what was allocated for it before.
func TestNodePortsExhausted(t *testing.T) {
	_, kube := server(t)
	services := kube.CoreV1().Services(metav1.NamespaceDefault)
	const each = 100
	taken := 0
	for i := 0; ; i++ {
		n := each
		for n > 0 {
			_, err := services.Create(t.Context(), nodePorts(fmt.Sprintf("s%d-%d", i, n), n), metav1.CreateOptions{})
			if err == nil {
				break
			}
			n /= 2 // the range is nearly full
		}
		taken += n
		if n == 0 {
			break
		}
	}
	if taken != 2768 {
		t.Errorf("%d ports could be taken, want all of 30000-32767", taken)
	}
	const ip = "10.96.77.77"
	over := nodePorts("over", 1)
	over.Spec.ClusterIP = ip
	_, err := services.Create(t.Context(), over, metav1.CreateOptions{})
	if err == nil || strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), "30000-32767") {
		t.Errorf("one port too many: %v; want one message that names the range", err)
	}
	t.Log(err)
	if _, err := services.Get(t.Context(), "over", metav1.GetOptions{}); !apierrors.IsNotFound(err) {
		t.Errorf("the refused Service: %v, want not found", err)
	}
	plain := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "plain"},
		Spec:       corev1.ServiceSpec{ClusterIP: ip, Ports: []corev1.ServicePort{{Port: 80}}},
	}
	if _, err := services.Create(t.Context(), plain, metav1.CreateOptions{}); err != nil {
		t.Errorf("the refused Service's address was not given back: %v", err)
	}
	if err := services.Delete(t.Context(), "s0-100", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	over.Spec.ClusterIP = ""
	eventually(t, 10e9, "a port to be free after a deletion", func(ctx context.Context) (bool, string) {
		_, err := services.Create(ctx, over, metav1.CreateOptions{})
		return err == nil, fmt.Sprint(err)
	})
}

func nodePorts(name string, n int) *corev1.Service {
	s := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeNodePort}}
	for p := range n {
		s.Spec.Ports = append(s.Spec.Ports, corev1.ServicePort{Name: fmt.Sprintf("p%d", p), Port: int32(1 + p)})
	}
	return s
}
