package registry_test

import (
	"context"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/endpoints/request"
	"k8s.io/apiserver/pkg/registry/rest"

	"github.com/pintle-io/pintle/engine/apis/served"
	"github.com/pintle-io/pintle/engine/registry"
	"github.com/pintle-io/pintle/store"
)

// TestAllocationsSurviveARestart guards the rule that nothing but the services
// themselves says which addresses and ports are taken.
func TestAllocationsSurviveARestart(t *testing.T) {
	dir := t.TempDir()
	ctx := request.WithNamespace(context.Background(), "a")
	create := func(r *registry.Registry, name, ip string, port int32) (*corev1.Service, error) {
		t.Helper()
		s, ok := r.Storage(corev1.SchemeGroupVersion.WithResource("services"), "")
		if !ok {
			t.Fatal("services are not served")
		}
		service := &corev1.Service{
			ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "a"},
			Spec: corev1.ServiceSpec{
				Type: corev1.ServiceTypeNodePort, ClusterIP: ip, Ports: []corev1.ServicePort{{Port: 80, NodePort: port}},
			},
		}
		served.Scheme().Default(service)
		obj, err := s.(rest.Creater).Create(ctx, service, rest.ValidateAllObjectFunc, &metav1.CreateOptions{})
		if err != nil {
			return nil, err
		}
		return obj.(*corev1.Service), nil
	}
	open := func() (*store.Store, *registry.Registry) {
		t.Helper()
		db, err := store.Open(dir, store.Options{})
		if err != nil {
			t.Fatal(err)
		}
		r, err := registry.New(registry.Config{Table: served.Table(), Scheme: served.Scheme(), Codecs: served.Codecs(), Store: db})
		if err != nil {
			t.Fatal(err)
		}
		return db, r
	}
	db, r := open()
	first, err := create(r, "first", "", 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	db, r = open()
	defer db.Close()
	if _, err := create(r, "same-address", first.Spec.ClusterIP, 0); !apierrors.IsInvalid(err) {
		t.Errorf("the address of a stored service: %v", err)
	}
	if _, err := create(r, "same-port", "", first.Spec.Ports[0].NodePort); !apierrors.IsInvalid(err) {
		t.Errorf("the port of a stored service: %v", err)
	}
}
