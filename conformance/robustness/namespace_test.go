package robustness

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
)

var scaleObjects = flag.Int("scale.objects", 1000, "objects in the namespace of TestNamespaceOfTwentyKindsGoes")

const (
	widgets = `{"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition","metadata":{"name":"widgets.scale.test"},
		"spec":{"group":"scale.test","scope":"Namespaced","names":{"plural":"widgets","singular":"widget","kind":"Widget","listKind":"WidgetList"},
		"versions":[{"name":"v1","served":true,"storage":true,"schema":{"openAPIV3Schema":{"type":"object","x-kubernetes-preserve-unknown-fields":true}}}]}}`
	template = `{"metadata":{"labels":{"a":"b"}},"spec":{"restartPolicy":"%s","containers":[{"name":"c","image":"pintle.test/absent:1"}]}}`
	selector = `"selector":{"matchLabels":{"a":"b"}}`
)

// kinds are twenty of them, each with what an object holds besides its metadata; the
// last has a finalizer.
var kinds = []struct{ groupVersion, resource, kind, body string }{
	{"v1", "configmaps", "ConfigMap", `"data":{"k":"v"}`},
	{"v1", "secrets", "Secret", `"stringData":{"k":"v"}`},
	{"v1", "serviceaccounts", "ServiceAccount", ``},
	{"v1", "services", "Service", `"spec":{"clusterIP":"None","selector":{"app":"absent"},"ports":[{"port":80}]}`},
	{"v1", "pods", "Pod", `"spec":{"schedulingGates":[{"name":"scale.test/held"}],"containers":[{"name":"c","image":"pintle.test/absent:1"}]}`},
	{"v1", "podtemplates", "PodTemplate", `"template":` + fmt.Sprintf(template, "Always")},
	{"v1", "limitranges", "LimitRange", `"spec":{"limits":[{"type":"PersistentVolumeClaim","max":{"storage":"1Ti"}}]}`},
	{"v1", "persistentvolumeclaims", "PersistentVolumeClaim", `"spec":{"storageClassName":"absent","accessModes":["ReadWriteOnce"],"resources":{"requests":{"storage":"1Mi"}}}`},
	{"v1", "replicationcontrollers", "ReplicationController", `"spec":{"replicas":0,"selector":{"a":"b"},"template":` + fmt.Sprintf(template, "Always") + `}`},
	{"apps/v1", "replicasets", "ReplicaSet", `"spec":{"replicas":0,` + selector + `,"template":` + fmt.Sprintf(template, "Always") + `}`},
	{"apps/v1", "deployments", "Deployment", `"spec":{"replicas":0,` + selector + `,"template":` + fmt.Sprintf(template, "Always") + `}`},
	{"apps/v1", "statefulsets", "StatefulSet", `"spec":{"replicas":0,"serviceName":"s",` + selector + `,"template":` + fmt.Sprintf(template, "Always") + `}`},
	{"batch/v1", "jobs", "Job", `"spec":{"suspend":true,"template":` + fmt.Sprintf(template, "Never") + `}`},
	{"batch/v1", "cronjobs", "CronJob", `"spec":{"suspend":true,"schedule":"0 0 1 1 *","jobTemplate":{"spec":{"template":` + fmt.Sprintf(template, "Never") + `}}}`},
	{"rbac.authorization.k8s.io/v1", "roles", "Role", `"rules":[{"apiGroups":[""],"resources":["pods"],"verbs":["get"]}]`},
	{"rbac.authorization.k8s.io/v1", "rolebindings", "RoleBinding", `"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"Role","name":"r"}`},
	{"networking.k8s.io/v1", "networkpolicies", "NetworkPolicy", `"spec":{"podSelector":{}}`},
	{"policy/v1", "poddisruptionbudgets", "PodDisruptionBudget", `"spec":{"maxUnavailable":1,` + selector + `}`},
	{"coordination.k8s.io/v1", "leases", "Lease", `"spec":{"holderIdentity":"nobody"}`},
	{"scale.test/v1", "widgets", "Widget", `"spec":{"size":1}`},
}

// A namespace with objects of twenty kinds, custom resources with finalizers among
// them, ends once their operator lets go, and leaves nothing of any kind.
func TestNamespaceOfTwentyKindsGoes(t *testing.T) {
	c, kube := server(t)
	config, err := c.REST()
	if err != nil {
		t.Fatal(err)
	}
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	const namespace = "crowded"
	if _, err := kube.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if got := run(t, command(t, c, widgets, "apply", "-f", "-")); got.status != 0 {
		t.Fatal(got.stderr)
	}
	if got := run(t, command(t, c, "", "wait", "--for=condition=Established", "crd/widgets.scale.test")); got.status != 0 {
		t.Fatal(got.stderr)
	}
	began := time.Now()
	crowd(t, client, namespace, *scaleObjects/len(kinds))
	t.Logf("%d objects of %d kinds created in %s", *scaleObjects, len(kinds), time.Since(began).Round(time.Millisecond))

	if err := kube.CoreV1().Namespaces().Delete(t.Context(), namespace, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	custom := client.Resource(schema.GroupVersionResource{Group: "scale.test", Version: "v1", Resource: "widgets"}).Namespace(namespace)
	eventually(t, 2*time.Minute, "a condition that names the finalizer", func(ctx context.Context) (bool, string) {
		ns, err := kube.CoreV1().Namespaces().Get(ctx, namespace, metav1.GetOptions{})
		if err != nil {
			t.Fatalf("the namespace went before its finalizers: %v", err)
		}
		held := slices.IndexFunc(ns.Status.Conditions, func(c corev1.NamespaceCondition) bool {
			return c.Type == corev1.NamespaceFinalizersRemaining && c.Status == corev1.ConditionTrue && strings.Contains(c.Message, "scale.test/operator")
		})
		return held >= 0, fmt.Sprint(ns.Status.Conditions)
	})
	letGo(t, custom)
	eventually(t, 3*time.Minute, "the end of the namespace", func(ctx context.Context) (bool, string) {
		ns, err := kube.CoreV1().Namespaces().Get(ctx, namespace, metav1.GetOptions{})
		return apierrors.IsNotFound(err), fmt.Sprint(ns.Status.Conditions, err)
	})
	t.Logf("created and gone in %s", time.Since(began).Round(time.Millisecond))
	nothingLeft(t, kube, client, namespace)
}

// crowd creates each objects of each kind, as upstream's clients would: some at a time.
func crowd(t *testing.T, client dynamic.Interface, namespace string, each int) {
	t.Helper()
	group, ctx := errgroup.WithContext(t.Context())
	group.SetLimit(32)
	for _, k := range kinds {
		gv, err := schema.ParseGroupVersion(k.groupVersion)
		if err != nil {
			t.Fatal(err)
		}
		body := map[string]any{}
		if err := json.Unmarshal([]byte("{"+k.body+"}"), &body); err != nil {
			t.Fatalf("%s: %v", k.kind, err)
		}
		objects := client.Resource(gv.WithResource(k.resource)).Namespace(namespace)
		for i := range each {
			obj := (&unstructured.Unstructured{Object: body}).DeepCopy()
			obj.SetAPIVersion(k.groupVersion)
			obj.SetKind(k.kind)
			obj.SetName(fmt.Sprintf("crowd-%d", i))
			if k.resource == "widgets" {
				obj.SetFinalizers([]string{"scale.test/operator"})
			}
			group.Go(func() error {
				if _, err := objects.Create(ctx, obj, metav1.CreateOptions{}); err != nil {
					return fmt.Errorf("create %s %s: %w", k.resource, obj.GetName(), err)
				}
				return nil
			})
		}
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
}

// letGo waits until all custom resources are being deleted, and takes their finalizers
// away, as an operator would.
func letGo(t *testing.T, custom dynamic.ResourceInterface) {
	t.Helper()
	var all *unstructured.UnstructuredList
	eventually(t, time.Minute, "the deletion of all custom resources", func(ctx context.Context) (bool, string) {
		var err error
		if all, err = custom.List(ctx, metav1.ListOptions{}); err != nil {
			return false, err.Error()
		}
		living := slices.IndexFunc(all.Items, func(obj unstructured.Unstructured) bool { return obj.GetDeletionTimestamp() == nil })
		return living < 0, "some are not being deleted"
	})
	if want := *scaleObjects / len(kinds); len(all.Items) != want {
		t.Errorf("%d custom resources with finalizers are left, want %d", len(all.Items), want)
	}
	group, ctx := errgroup.WithContext(t.Context())
	group.SetLimit(32)
	for _, obj := range all.Items {
		group.Go(func() error {
			_, err := custom.Patch(ctx, obj.GetName(), types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`), metav1.PatchOptions{})
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
}

// decisions are a log of bounded size, which answers also for what is gone.
const decisions = "decisions.pintle.io"

// nothingLeft lists every kind that can be listed in the namespace.
func nothingLeft(t *testing.T, kube kubernetes.Interface, client dynamic.Interface, namespace string) {
	t.Helper()
	_, lists, err := kube.Discovery().ServerGroupsAndResources()
	if err != nil {
		t.Fatal(err)
	}
	looked := 0
	for _, list := range lists {
		gv, err := schema.ParseGroupVersion(list.GroupVersion)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range list.APIResources {
			if !r.Namespaced || strings.Contains(r.Name, "/") || !slices.Contains(r.Verbs, "list") || gv.Group == decisions {
				continue
			}
			left, err := client.Resource(gv.WithResource(r.Name)).Namespace(namespace).List(t.Context(), metav1.ListOptions{})
			if err != nil {
				t.Errorf("list %s: %v", r.Name, err)
				continue
			}
			if looked++; len(left.Items) > 0 {
				t.Errorf("%d %s of %s are left, such as %s", len(left.Items), r.Name, gv, left.Items[0].GetName())
			}
		}
	}
	if looked < len(kinds) {
		t.Errorf("only %d kinds could be listed", looked)
	}
}
