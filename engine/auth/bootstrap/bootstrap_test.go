package bootstrap

import (
	"context"
	"net"
	"slices"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/component-helpers/auth/rbac/validation"
)

// memory is a Writer that counts.
type memory struct {
	sync.Mutex
	objects          map[string]runtime.Object
	created, updated int
}

func key(gvr schema.GroupVersionResource, namespace, name string) string {
	return gvr.Resource + "/" + namespace + "/" + name
}

func (m *memory) Get(_ context.Context, gvr schema.GroupVersionResource, namespace, name string) (runtime.Object, error) {
	m.Lock()
	defer m.Unlock()
	if obj, ok := m.objects[key(gvr, namespace, name)]; ok {
		return obj, nil
	}
	return nil, apierrors.NewNotFound(gvr.GroupResource(), name)
}

func (m *memory) put(obj runtime.Object) {
	meta := obj.(metav1.Object)
	m.objects[key(resourceOf(obj), meta.GetNamespace(), meta.GetName())] = obj
}

func (m *memory) Create(_ context.Context, obj runtime.Object, _ metav1.CreateOptions) (runtime.Object, error) {
	m.Lock()
	defer m.Unlock()
	m.created++
	m.put(obj)
	return obj, nil
}

func (m *memory) Update(_ context.Context, obj runtime.Object, _ metav1.UpdateOptions) (runtime.Object, error) {
	m.Lock()
	defer m.Unlock()
	m.updated++
	m.put(obj)
	return obj, nil
}

func (m *memory) Delete(_ context.Context, gvr schema.GroupVersionResource, namespace, name string, _ metav1.DeleteOptions) error {
	m.Lock()
	defer m.Unlock()
	delete(m.objects, key(gvr, namespace, name))
	return nil
}

var config = Config{ServiceIP: net.IPv4(10, 96, 0, 1), AdvertiseIP: net.IPv4(10, 0, 0, 5), Port: 6443}

func ensureOnce(t *testing.T, m *memory, cfg Config) (created, updated int) {
	t.Helper()
	m.created, m.updated = 0, 0
	if err := Ensure(context.Background(), m, cfg); err != nil {
		t.Fatal(err)
	}
	return m.created, m.updated
}

func TestEnsureIsIdempotentAndRepairs(t *testing.T) {
	m := &memory{objects: map[string]runtime.Object{}}
	all := len(Objects(config))
	if created, updated := ensureOnce(t, m, config); created != all || updated != 0 || len(m.objects) != all {
		t.Fatalf("first start: created %d, updated %d, kept %d of %d", created, updated, len(m.objects), all)
	}
	if created, updated := ensureOnce(t, m, config); created != 0 || updated != 0 {
		t.Fatalf("second start: created %d, updated %d", created, updated)
	}

	admin := m.objects["clusterroles//cluster-admin"].(*rbacv1.ClusterRole)
	admin.Rules = []rbacv1.PolicyRule{on("get", "own", "things")}
	view := m.objects["clusterroles//system:basic-user"].(*rbacv1.ClusterRole)
	view.Rules, view.Annotations = nil, map[string]string{rbacv1.AutoUpdateAnnotationKey: "false"}
	binding := m.objects["clusterrolebindings//cluster-admin"].(*rbacv1.ClusterRoleBinding)
	binding.Subjects = nil
	edit := m.objects["clusterroles//edit"].(*rbacv1.ClusterRole)
	edit.AggregationRule, edit.Labels = nil, map[string]string{"mine": "yes"}
	discovery := m.objects["clusterrolebindings//system:discovery"].(*rbacv1.ClusterRoleBinding)
	discovery.RoleRef.Name = "view"
	moved := config
	moved.AdvertiseIP = net.IPv4(10, 0, 0, 6)
	if created, updated := ensureOnce(t, m, moved); created != 1 || updated != 5 {
		t.Errorf("repair: created %d, updated %d; want 1 and 5", created, updated)
	}
	edit = m.objects["clusterroles//edit"].(*rbacv1.ClusterRole)
	if edit.AggregationRule == nil || edit.Labels["mine"] != "yes" || edit.Labels["kubernetes.io/bootstrapping"] != "rbac-defaults" {
		t.Errorf("edit is not whole: %v %v", edit.AggregationRule, edit.Labels)
	}
	if ref := m.objects["clusterrolebindings//system:discovery"].(*rbacv1.ClusterRoleBinding).RoleRef; ref.Name != "system:discovery" {
		t.Errorf("discovery is bound to %s", ref.Name)
	}
	rules := m.objects["clusterroles//cluster-admin"].(*rbacv1.ClusterRole).Rules
	if ok, missing := validation.Covers(rules, append(userRoles()[0].rules, on("get", "own", "things"))); !ok {
		t.Errorf("cluster-admin lacks %v", missing)
	}
	if e := m.objects["endpoints/default/kubernetes"].(*corev1.Endpoints); e.Subsets[0].Addresses[0].IP != "10.0.0.6" {
		t.Errorf("endpoints %v", e.Subsets)
	}
	if len(m.objects["clusterroles//system:basic-user"].(*rbacv1.ClusterRole).Rules) != 0 {
		t.Error("a role that is not to be updated was")
	}
}

func TestRolesAreWhole(t *testing.T) {
	roles := map[string]*rbacv1.ClusterRole{}
	seen := map[string]bool{}
	for _, obj := range Objects(config) {
		meta := obj.(metav1.Object)
		k := key(resourceOf(obj), meta.GetNamespace(), meta.GetName())
		if seen[k] {
			t.Errorf("%s is listed twice", k)
		}
		seen[k] = true
		if r, ok := obj.(*rbacv1.ClusterRole); ok {
			roles[r.Name] = r
		}
	}
	for _, obj := range Objects(config) {
		if b, ok := obj.(*rbacv1.ClusterRoleBinding); ok && roles[b.RoleRef.Name] == nil {
			t.Errorf("binding %s refers to no role", b.Name)
		}
	}
	for name, want := range map[string][]rbacv1.PolicyRule{
		"view":  {on("list", core, "pods"), on("get", apps, "deployments")},
		"edit":  {on("list", core, "pods"), on("create", apps, "deployments"), on("get", core, "secrets")},
		"admin": {on("list", core, "pods"), on("create", apps, "deployments"), on("create", rbacv1.GroupName, "rolebindings")},
	} {
		if ok, missing := validation.Covers(roles[name].Rules, want); !ok {
			t.Errorf("%s lacks %v", name, missing)
		}
	}
	if ok, _ := validation.Covers(roles["view"].Rules, []rbacv1.PolicyRule{on("get", core, "secrets")}); ok {
		t.Error("view may read secrets")
	}
	if ok, _ := validation.Covers(roles["edit"].Rules, []rbacv1.PolicyRule{on("create", rbacv1.GroupName, "rolebindings")}); ok {
		t.Error("edit may grant roles")
	}
}

func TestLoopbackHasNoEndpoints(t *testing.T) {
	local := Config{ServiceIP: config.ServiceIP, AdvertiseIP: net.IPv4(127, 0, 0, 1), Port: 6443}
	if slices.ContainsFunc(Objects(local), func(o runtime.Object) bool { _, ok := o.(*corev1.Endpoints); return ok }) {
		t.Error("endpoints may not hold a loopback address")
	}
}
