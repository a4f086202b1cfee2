package extension

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	apidiscoveryv2 "k8s.io/api/apidiscovery/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
	aggregator "k8s.io/kube-aggregator/pkg/client/clientset_generated/clientset"

	"github.com/pintle-io/pintle/conformance/harness"
	"github.com/pintle-io/pintle/conformance/tlsserver"
)

const namespace = "fruit"

var fruits = version.WithResource("fruits")

// scene is a cluster with an extension server.
type scene struct {
	*testing.T
	cluster *harness.Cluster
	kube    kubernetes.Interface
	dynamic dynamic.Interface
	groups  aggregator.Interface
	// certificate is the extension's; kubeconfig is how it reaches the cluster.
	certificate *tlsserver.Certificate
	kubeconfig  string
	address     string
	stop        func()
}

// TestExtensionServer puts an extension server behind the built binary, takes it away,
// brings it back and removes it.
func TestExtensionServer(t *testing.T) {
	s := newScene(t)
	s.start()
	s.register()
	s.await("the group to be available", func(context.Context) (bool, string) { return s.condition() == "True Passed", s.condition() })
	s.requests()
	s.watched()
	s.rights()
	s.discovered(true)
	s.documents(true)
	s.kubectl()

	s.stop()
	s.away()
	s.start()
	s.await("the group to be available again", func(context.Context) (bool, string) { return s.condition() == "True Passed", s.condition() })
	s.requests()
	s.reasons()

	if err := s.groups.ApiregistrationV1().APIServices().Delete(t.Context(), "v1."+group, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	s.discovered(false)
	s.documents(false)
}

func newScene(t *testing.T) *scene {
	t.Helper()
	binary, err := harness.Binary()
	if err != nil {
		t.Fatal(err)
	}
	cluster, err := harness.NewCluster(binary, t.TempDir(), "server")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cluster.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cluster.Kill() })
	cfg, err := cluster.REST()
	if err != nil {
		t.Fatal(err)
	}
	s := &scene{T: t, cluster: cluster, kube: kubernetes.NewForConfigOrDie(cfg), dynamic: dynamic.NewForConfigOrDie(cfg), groups: aggregator.NewForConfigOrDie(cfg), stop: func() {}}
	if s.certificate, err = tlsserver.NewCertificate("server.fruit.svc"); err != nil {
		t.Fatal(err)
	}
	s.prepare()
	return s
}

// prepare makes the extension's identity, with the rights upstream's documentation
// gives one, and a kubeconfig of it.
func (s *scene) prepare() {
	s.apply(`
apiVersion: v1
kind: Namespace
metadata: {name: fruit}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: server, namespace: fruit}
---
apiVersion: v1
kind: Service
metadata: {name: server, namespace: fruit}
spec: {type: ExternalName, externalName: localhost}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: fruit-delegator}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: "system:auth-delegator"}
subjects: [{kind: ServiceAccount, name: server, namespace: fruit}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: fruit-reader, namespace: kube-system}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: extension-apiserver-authentication-reader}
subjects: [{kind: ServiceAccount, name: server, namespace: fruit}]
`)
	token, err := s.cluster.Pintle(s.Context(), "create", "token", "server", "--namespace", "fruit")
	if err != nil {
		s.Fatalf("%v\n%s", err, token)
	}
	cfg, err := s.cluster.REST()
	if err != nil {
		s.Fatal(err)
	}
	s.kubeconfig = filepath.Join(s.TempDir(), "extension.kubeconfig")
	text := fmt.Sprintf("apiVersion: v1\nkind: Config\nclusters: [{name: c, cluster: {server: %q, certificate-authority-data: %q}}]\n"+
		"users: [{name: u, user: {token: %q}}]\ncontexts: [{name: x, context: {cluster: c, user: u}}]\ncurrent-context: x\n",
		cfg.Host, base64.StdEncoding.EncodeToString(cfg.CAData), strings.TrimSpace(token))
	s.write(s.kubeconfig, []byte(text))
}

func (s *scene) write(file string, data []byte) {
	s.Helper()
	if err := os.WriteFile(file, data, 0o600); err != nil {
		s.Fatal(err)
	}
}

func (s *scene) apply(text string) {
	s.Helper()
	file := filepath.Join(s.TempDir(), "manifest.yaml")
	s.write(file, []byte(text))
	if out, err := s.cluster.Pintle(s.Context(), "apply", "-f", file); err != nil {
		s.Fatalf("%v\n%s", err, out)
	}
}

// start runs the extension server, at the same address every time.
func (s *scene) start() {
	s.Helper()
	address := s.address
	if address == "" {
		address = "127.0.0.1:0"
	}
	l, err := (&net.ListenConfig{}).Listen(s.Context(), "tcp", address)
	if err != nil {
		s.Fatal(err)
	}
	s.address = l.Addr().String()
	dir := s.TempDir()
	cert, key := filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	s.write(cert, s.certificate.Cert)
	s.write(key, s.certificate.Key)
	server, err := New(Options{Listener: l, CertFile: cert, KeyFile: key, Kubeconfig: s.kubeconfig})
	if err != nil {
		s.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- Run(ctx, server) }()
	stopped := false
	s.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			s.Error("extension server:", err)
		}
	}
	s.Cleanup(s.stop)
}

func (s *scene) port() int32 {
	addr, err := net.ResolveTCPAddr("tcp", s.address)
	if err != nil {
		s.Fatal(err)
	}
	return int32(addr.Port)
}

func (s *scene) register() {
	s.Helper()
	_, err := s.groups.ApiregistrationV1().APIServices().Create(s.Context(), &apiregistrationv1.APIService{
		ObjectMeta: metav1.ObjectMeta{Name: "v1." + group},
		Spec: apiregistrationv1.APIServiceSpec{
			Group: group, Version: "v1", GroupPriorityMinimum: 1000, VersionPriority: 15, CABundle: s.certificate.CA,
			Service: &apiregistrationv1.ServiceReference{Namespace: namespace, Name: "server", Port: new(s.port())},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		s.Fatal(err)
	}
}

func (s *scene) await(what string, done func(ctx context.Context) (bool, string)) {
	s.Helper()
	var last string
	started := time.Now()
	err := wait.PollUntilContextTimeout(s.Context(), 50*time.Millisecond, 45*time.Second, true, func(ctx context.Context) (ok bool, _ error) {
		ok, last = done(ctx)
		return ok, nil
	})
	if err != nil {
		s.Fatalf("wait for %s: %v; last seen: %s", what, err, last)
	}
	s.Logf("%s: %.2f s", what, time.Since(started).Seconds())
}

// condition is status and reason of the APIService.
func (s *scene) condition() string {
	service, err := s.groups.ApiregistrationV1().APIServices().Get(s.Context(), "v1."+group, metav1.GetOptions{})
	if err != nil {
		return err.Error()
	}
	for _, c := range service.Status.Conditions {
		if c.Type == apiregistrationv1.Available {
			return string(c.Status) + " " + c.Reason
		}
	}
	return "none"
}

func fruit(name string) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": version.String(), "kind": "Fruit", "metadata": map[string]any{"name": name}, "colour": "red",
	}}
}

// requests are answered by the extension, which knows who asks.
func (s *scene) requests() {
	s.Helper()
	ctx := s.Context()
	api := s.dynamic.Resource(fruits).Namespace(namespace)
	// Its proxy learns a moment after the condition that the server is there.
	s.await("a fruit to be made", func(ctx context.Context) (bool, string) {
		_, err := api.Create(ctx, fruit("apple"), metav1.CreateOptions{})
		return err == nil, fmt.Sprint(err)
	})
	made, err := api.Get(ctx, "apple", metav1.GetOptions{})
	if err != nil {
		s.Fatal(err)
	}
	groups, _, _ := unstructured.NestedStringSlice(made.Object, "groups")
	if made.Object["by"] == "" || !strings.Contains(strings.Join(groups, " "), "system:masters") || !strings.Contains(strings.Join(groups, " "), "system:authenticated") {
		s.Errorf("the extension was told %v %v", made.Object["by"], groups)
	}
	list, err := api.List(ctx, metav1.ListOptions{})
	if err != nil || len(list.Items) != 1 {
		s.Errorf("list: %v, %v", list, err)
	}
	if err := api.Delete(ctx, "apple", metav1.DeleteOptions{}); err != nil {
		s.Error(err)
	}
}

func (s *scene) watched() {
	s.Helper()
	api := s.dynamic.Resource(fruits).Namespace(namespace)
	w, err := api.Watch(s.Context(), metav1.ListOptions{})
	if err != nil {
		s.Fatal(err)
	}
	defer w.Stop()
	if _, err := api.Create(s.Context(), fruit("pear"), metav1.CreateOptions{}); err != nil {
		s.Fatal(err)
	}
	select {
	case ev := <-w.ResultChan():
		if obj, ok := ev.Object.(*unstructured.Unstructured); !ok || obj.GetName() != "pear" {
			s.Errorf("the watch saw %s %v", ev.Type, ev.Object)
		}
	case <-time.After(10 * time.Second):
		s.Error("nothing came through a watch")
	}
}

// rights are asked of the main server by the extension.
func (s *scene) rights() {
	s.Helper()
	cfg, err := s.cluster.REST()
	if err != nil {
		s.Fatal(err)
	}
	cfg.Impersonate = rest.ImpersonationConfig{UserName: "eve"}
	eve := dynamic.NewForConfigOrDie(cfg).Resource(fruits).Namespace(namespace)
	_, err = eve.Get(s.Context(), "pear", metav1.GetOptions{})
	if want := `fruits.fruit.conformance.example "pear" is forbidden: User "eve" cannot get resource "fruits" in API group "fruit.conformance.example" in the namespace "fruit"`; err == nil || err.Error() != want {
		s.Errorf("without rights: %v", err)
	}
	for _, args := range [][]string{
		{"create", "role", "eater", "--verb=get", "--resource=fruits." + group}, {"create", "rolebinding", "eater", "--role=eater", "--user=eve"},
	} {
		if out, err := s.cluster.Pintle(s.Context(), append(args, "--namespace", namespace)...); err != nil {
			s.Fatalf("%v\n%s", err, out)
		}
	}
	s.await("eve to get a fruit", func(ctx context.Context) (bool, string) {
		got, err := eve.Get(ctx, "pear", metav1.GetOptions{})
		return err == nil && got.GetName() == "pear", fmt.Sprint(err)
	})
}

// discovered looks at the aggregated and the plain discovery.
func (s *scene) discovered(want bool) {
	s.Helper()
	s.await(fmt.Sprintf("discovery of fruits: %v", want), func(ctx context.Context) (bool, string) {
		_, freshness, err := s.aggregated(ctx)
		if err != nil {
			return false, err.Error()
		}
		groups, err := s.kube.Discovery().ServerGroups()
		if err != nil {
			return false, err.Error()
		}
		plain := false
		for _, g := range groups.Groups {
			plain = plain || g.Name == group
		}
		return plain == want && (freshness == apidiscoveryv2.DiscoveryFreshnessCurrent) == want, fmt.Sprint(plain, freshness)
	})
}

// aggregated returns the kinds of the group in the aggregated discovery.
func (s *scene) aggregated(ctx context.Context) (kinds []string, freshness apidiscoveryv2.DiscoveryFreshness, err error) {
	var list apidiscoveryv2.APIGroupDiscoveryList
	raw, err := s.kube.Discovery().RESTClient().Get().AbsPath("/apis").
		SetHeader("Accept", "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList").DoRaw(ctx)
	if err != nil {
		return nil, "", err
	}
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, "", err
	}
	for _, g := range list.Items {
		if g.Name != group {
			continue
		}
		for _, r := range g.Versions[0].Resources {
			kinds = append(kinds, r.ResponseKind.Kind)
		}
		return kinds, g.Versions[0].Freshness, nil
	}
	return nil, "", nil
}

func (s *scene) documents(want bool) {
	s.Helper()
	s.await(fmt.Sprintf("OpenAPI of fruits: %v", want), func(ctx context.Context) (bool, string) {
		raw, err := s.kube.Discovery().RESTClient().Get().AbsPath("/openapi/v2").SetHeader("Accept", "application/json").DoRaw(ctx)
		if err != nil {
			return false, err.Error()
		}
		old := strings.Contains(string(raw), `"example.conformance.fruit.v1.Fruit"`) &&
			strings.Contains(string(raw), `"/apis/fruit.conformance.example/v1/namespaces/{namespace}/fruits/{name}"`)
		paths, err := s.kube.Discovery().OpenAPIV3().Paths()
		if err != nil {
			return false, err.Error()
		}
		doc := paths["apis/"+version.String()]
		if doc == nil {
			return !want && !old, fmt.Sprint(old, " no v3")
		}
		text, err := doc.Schema("application/json")
		return want && old && err == nil && strings.Contains(string(text), "A fruit grows on a tree."), fmt.Sprint(old, err)
	})
}

func (s *scene) kubectl() {
	s.Helper()
	for args, want := range map[string]string{
		"get frt -n fruit -o name":           "fruit.fruit.conformance.example/pear",
		"explain fruit":                      "A fruit grows on a tree.",
		"explain fruits.colour":              "What it looks like.",
		"api-resources --api-group=" + group: "fruits   frt          fruit.conformance.example/v1   true         Fruit",
	} {
		out, err := s.cluster.Pintle(s.Context(), strings.Fields(args)...)
		if err != nil || !strings.Contains(out, want) {
			s.Errorf("%s: %v\n%s", args, err, out)
		}
	}
}

// away: the group alone is not available, and says so.
func (s *scene) away() {
	s.Helper()
	// It is looked at twice a minute, and when something about it changes.
	if out, err := s.cluster.Pintle(s.Context(), "annotate", "apiservice", "v1."+group, "look=again"); err != nil {
		s.Fatalf("%v\n%s", err, out)
	}
	s.await("the group not to be available", func(context.Context) (bool, string) {
		return s.condition() == "False FailedDiscoveryCheck", s.condition()
	})
	s.await("503 from the group", func(ctx context.Context) (bool, string) {
		_, err := s.dynamic.Resource(fruits).Namespace(namespace).List(ctx, metav1.ListOptions{})
		return err != nil && strings.Contains(err.Error(), "the server is currently unable to handle the request"), fmt.Sprint(err)
	})
	s.await("stale discovery", func(ctx context.Context) (bool, string) {
		_, freshness, err := s.aggregated(ctx)
		return freshness == apidiscoveryv2.DiscoveryFreshnessStale, fmt.Sprint(freshness, err)
	})
	if out, err := s.cluster.Pintle(s.Context(), "get", "services", "-A"); err != nil {
		s.Errorf("others are harmed: %v\n%s", err, out)
	}
	if _, err := s.kube.CoreV1().ConfigMaps(namespace).Create(s.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "meanwhile"}}, metav1.CreateOptions{}); err != nil {
		s.Error(err)
	}
}

// reasons are upstream's for services that lead nowhere.
func (s *scene) reasons() {
	s.Helper()
	s.apply(`
apiVersion: v1
kind: Service
metadata: {name: nobody, namespace: fruit}
spec: {ports: [{port: 443}]}
---
apiVersion: v1
kind: Service
metadata: {name: waiting, namespace: fruit}
spec: {ports: [{port: 443}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: waiting-1, namespace: fruit, labels: {kubernetes.io/service-name: waiting}}
addressType: IPv4
endpoints: [{addresses: [10.0.0.1], conditions: {ready: false}}]
ports: [{name: "", port: 443}]
`)
	for _, c := range []struct {
		service string
		port    int32
		want    string
	}{
		{"absent", 443, "False ServiceNotFound"}, {"nobody", 444, "False ServicePortError"},
		{"nobody", 443, "False EndpointsNotFound"}, {"waiting", 443, "False MissingEndpoints"}, {"server", s.port(), "True Passed"},
	} {
		patch := fmt.Sprintf(`{"spec":{"service":{"name":%q,"port":%d}}}`, c.service, c.port)
		if out, err := s.cluster.Pintle(s.Context(), "patch", "apiservice", "v1."+group, "--type=merge", "-p", patch); err != nil {
			s.Fatalf("%v\n%s", err, out)
		}
		s.await(c.want, func(context.Context) (bool, string) { return s.condition() == c.want, s.condition() })
	}
}
