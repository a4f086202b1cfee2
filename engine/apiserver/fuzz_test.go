package apiserver_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

var (
	fuzzMethods = []string{http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodGet}
	fuzzPaths   = []string{
		"/api/v1/namespaces/fuzz/configmaps", "/api/v1/namespaces/fuzz/configmaps/target",
		"/apis/apps/v1/namespaces/fuzz/deployments", "/apis/apps/v1/namespaces/fuzz/deployments/target",
		"/apis/apps/v1/namespaces/fuzz/deployments/target/scale", "/apis/apps/v1/namespaces/fuzz/deployments/target/status",
		"/api/v1/namespaces/fuzz/pods/target/eviction", "/api/v1/namespaces/fuzz/pods/target/binding",
	}
	fuzzTypes = []string{
		"application/json", "application/yaml", "application/vnd.kubernetes.protobuf", "application/json-patch+json",
		"application/merge-patch+json", "application/strategic-merge-patch+json", "application/apply-patch+yaml",
	}
)

// Requests of all sorts through all handlers: the answer is an object or a Status,
// never a panic, and the server goes on.
func FuzzRequests(f *testing.F) {
	e := start(f)
	e.namespace(f, "fuzz")
	target := metav1.ObjectMeta{Name: "target", Labels: map[string]string{"app": "a"}}
	if _, err := e.kube.CoreV1().ConfigMaps("fuzz").Create(e.ctx, &corev1.ConfigMap{ObjectMeta: target, Data: map[string]string{"k": "v"}}, metav1.CreateOptions{}); err != nil {
		f.Fatal(err)
	}
	template := corev1.PodTemplateSpec{ObjectMeta: target, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "c", Image: "i"}}}}
	template.Name = ""
	deployment := &appsv1.Deployment{ObjectMeta: target, Spec: appsv1.DeploymentSpec{Selector: &metav1.LabelSelector{MatchLabels: target.Labels}, Template: template}}
	if _, err := e.kube.AppsV1().Deployments("fuzz").Create(e.ctx, deployment, metav1.CreateOptions{}); err != nil {
		f.Fatal(err)
	}
	for i, seed := range []string{
		`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"},"data":{"k":"v"}}`,
		"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: target}\ndata: {k: v2}\n",
		"k8s\x00\x0a\x0f\x0a\x02v1\x12\x09ConfigMap\x12\x05\x0a\x03\x0a\x01a",
		`[{"op":"add","path":"/data/a","value":"b"},{"op":"copy","from":"/data","path":"/metadata/labels"},{"op":"move","from":"/metadata","path":"/data/x"}]`,
		`{"metadata":{"labels":null,"finalizers":["a/b"]},"spec":{"replicas":null}}`,
		`{"spec":{"template":{"spec":{"containers":[{"name":"c","$patch":"delete"},{"name":"d"}],"$setElementOrder/containers":[{"name":"d"}],"$retainKeys":["containers"]}}}}`,
		"apiVersion: apps/v1\nkind: Deployment\nspec: {template: {spec: {containers: [{name: c, ports: [{containerPort: 1}, {containerPort: 1}]}]}}}\n",
		`{"propagationPolicy":"Sometimes","preconditions":{"uid":"x"}}`,
		`{"apiVersion":"policy/v1","kind":"Eviction","deleteOptions":{"gracePeriodSeconds":-1}}`,
		`{"kind":"Binding","apiVersion":"v1","target":{"name":""}}`,
	} {
		for method := range fuzzMethods {
			for path := range fuzzPaths {
				f.Add(uint8(method), uint8(path), uint8(i), "fieldManager=f&force=true&fieldValidation=Strict", []byte(seed))
			}
		}
	}
	f.Fuzz(func(t *testing.T, method, path, contentType uint8, query string, body []byte) {
		// Nothing is stored, so that every input meets the same objects. A watch
		// would last.
		query = strings.ReplaceAll(query, "watch", "") + "&dryRun=All"
		req := httptest.NewRequest(fuzzMethods[int(method)%len(fuzzMethods)], "https://localhost/", bytes.NewReader(body))
		req.URL.Path, req.URL.RawQuery = fuzzPaths[int(path)%len(fuzzPaths)], query
		req.Header.Set("Content-Type", fuzzTypes[int(contentType)%len(fuzzTypes)])
		w := httptest.NewRecorder()
		e.server.Handler().ServeHTTP(w, req)
		if w.Code < 300 {
			return
		}
		var status metav1.Status
		if err := json.Unmarshal(w.Body.Bytes(), &status); err != nil || int(status.Code) != w.Code || strings.Contains(w.Body.String(), "panic") && !bytes.Contains(body, []byte("panic")) {
			t.Errorf("%s %s?%s answered %d %.500s", req.Method, req.URL.Path, query, w.Code, w.Body)
		}
	})
}
