package apiserver_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/server/healthz"

	"github.com/pintle-io/pintle/engine/apiserver"
	"github.com/pintle-io/pintle/engine/apiserver/auditlog"
	"github.com/pintle-io/pintle/engine/client"
	"github.com/pintle-io/pintle/engine/registry"
)

// named takes the user's name from a header; without one it is an administrator, and
// so are requests of this process.
var named = authenticator.RequestFunc(func(req *http.Request) (*authenticator.Response, bool, error) {
	if name := req.Header.Get("X-Test-User"); name != "" {
		return &authenticator.Response{User: &user.DefaultInfo{Name: name, Groups: []string{user.AllAuthenticated}}}, true, nil
	}
	return administrator.AuthenticateRequest(req)
})

func as(name string) http.Header { return http.Header{"X-Test-User": {name}} }

func TestRequestsOfOneFlowDoNotDrownOthers(t *testing.T) {
	release, entered := make(chan struct{}), make(chan struct{}, 1)
	slow := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		entered <- struct{}{}
		<-release
	})
	e := start(t, func(_ *registry.Config, c *apiserver.Config) {
		c.Authenticator, c.Paths = named, map[string]http.Handler{"/slow": slow}
		c.Filters = apiserver.Filters{MaxRequests: 4, MaxWrites: 2, InProcess: client.InProcess}
	})
	defer close(release)
	shares := int32(1)
	level, err := e.kube.FlowcontrolV1().PriorityLevelConfigurations().Create(e.ctx, &flowcontrolv1.PriorityLevelConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: "narrow"},
		Spec: flowcontrolv1.PriorityLevelConfigurationSpec{Type: "Limited", Limited: &flowcontrolv1.LimitedPriorityLevelConfiguration{
			NominalConcurrencyShares: &shares, BorrowingLimitPercent: new(int32), LimitResponse: flowcontrolv1.LimitResponse{Type: "Reject"}}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	schema, err := e.kube.FlowcontrolV1().FlowSchemas().Create(e.ctx, &flowcontrolv1.FlowSchema{
		ObjectMeta: metav1.ObjectMeta{Name: "greedy"},
		Spec: flowcontrolv1.FlowSchemaSpec{
			PriorityLevelConfiguration: flowcontrolv1.PriorityLevelConfigurationReference{Name: "narrow"}, MatchingPrecedence: 2,
			Rules: []flowcontrolv1.PolicyRulesWithSubjects{{
				Subjects:         []flowcontrolv1.Subject{{Kind: "User", User: &flowcontrolv1.UserSubject{Name: "greedy"}}},
				NonResourceRules: []flowcontrolv1.NonResourcePolicyRule{{Verbs: []string{"*"}, NonResourceURLs: []string{"*"}}},
				ResourceRules: []flowcontrolv1.ResourcePolicyRule{{
					Verbs: []string{"*"}, APIGroups: []string{"*"}, Resources: []string{"*"}, Namespaces: []string{"*"}, ClusterScope: true}},
			}},
		},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	err = wait.PollUntilContextTimeout(e.ctx, 10*time.Millisecond, 20*time.Second, true, func(context.Context) (bool, error) {
		r, _ := e.get(t, "/version", as("greedy"))
		return r.Header.Get("X-Kubernetes-Pf-Flowschema-Uid") == string(schema.UID) && r.Header.Get("X-Kubernetes-Pf-Prioritylevel-Uid") == string(level.UID), nil
	})
	if err != nil {
		t.Fatal("the new flow is never used:", err)
	}
	go func() {
		req, _ := http.NewRequest(http.MethodGet, e.rest.Host+"/slow", nil)
		req.Header = as("greedy")
		if r, err := (&http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}).RoundTrip(req); err == nil {
			r.Body.Close()
		}
	}()
	<-entered
	r, body := e.get(t, "/api/v1/namespaces", as("greedy"))
	if after, err := strconv.Atoi(r.Header.Get("Retry-After")); r.StatusCode != http.StatusTooManyRequests || err != nil || after < 1 {
		t.Errorf("%d, Retry-After %q: %s", r.StatusCode, r.Header.Get("Retry-After"), body)
	}
	if r, body := e.get(t, "/api/v1/namespaces", as("modest")); r.StatusCode != http.StatusOK {
		t.Errorf("another's request: %d %s", r.StatusCode, body)
	}
	if _, body := e.get(t, "/debug/api_priority_and_fairness/dump_priority_levels", nil); !strings.Contains(body, "narrow") {
		t.Errorf("the dump lacks a level: %s", body)
	}
	// A scrape may show the objects that the one before counted.
	e.get(t, "/metrics", nil)
	if _, body := e.get(t, "/metrics", nil); !strings.Contains(body, `apiserver_flowcontrol_rejected_requests_total{flow_schema="greedy"`) || !strings.Contains(body, `apiserver_resource_objects{group="flowcontrol.apiserver.k8s.io",resource="flowschemas"}`) {
		t.Error("metrics lack what happened")
	}
}

func TestMandatoryFlowsComeBack(t *testing.T) {
	e := start(t)
	schemas := e.kube.FlowcontrolV1().FlowSchemas()
	var before *flowcontrolv1.FlowSchema
	there := func(uid string) wait.ConditionWithContextFunc {
		return func(ctx context.Context) (bool, error) {
			var err error
			before, err = schemas.Get(ctx, "catch-all", metav1.GetOptions{})
			dangling := err != nil || len(before.Status.Conditions) != 1 || before.Status.Conditions[0].Status != "False"
			return !dangling && string(before.UID) != uid, nil
		}
	}
	if err := wait.PollUntilContextTimeout(e.ctx, 10*time.Millisecond, 20*time.Second, true, there("")); err != nil {
		t.Fatal("it was never made:", err)
	}
	if err := schemas.Delete(e.ctx, "catch-all", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := wait.PollUntilContextTimeout(e.ctx, 10*time.Millisecond, 20*time.Second, true, there(string(before.UID))); err != nil {
		t.Error("it did not come back:", err)
	}
}

func TestAuditOfTheChain(t *testing.T) {
	file := filepath.Join(t.TempDir(), "audit.log")
	e := start(t, func(_ *registry.Config, c *apiserver.Config) {
		var err error
		if c.Audit, c.AuditPolicy, err = auditlog.New(auditlog.Config{Path: file}); err != nil {
			t.Fatal(err)
		}
	})
	ns := e.namespace(t, "audited")
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "s"}, StringData: map[string]string{"password": "hunter2"}}
	if _, err := e.kube.CoreV1().Secrets(ns).Create(e.ctx, secret, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := e.kube.CoreV1().ConfigMaps(ns).List(e.ctx, metav1.ListOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := e.kube.CoreV1().Secrets(ns).Delete(e.ctx, "none", metav1.DeleteOptions{}); !apierrors.IsNotFound(err) {
		t.Fatal(err)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	log := string(data)
	for _, want := range []string{
		`"level":"Metadata"`, `"stage":"ResponseComplete"`, `"verb":"create","user":{"username":"admin"`,
		`"objectRef":{"resource":"secrets","namespace":"audited","name":"s","apiVersion":"v1"}`, `"code":201`, `"code":404`, `"authorization.k8s.io/decision":"allow"`,
	} {
		if !strings.Contains(log, want) {
			t.Errorf("the log lacks %s", want)
		}
	}
	for _, no := range []string{"hunter2", "aHVudGVyMg", `"verb":"list"`, "RequestReceived"} {
		if strings.Contains(log, no) {
			t.Errorf("the log holds %s", no)
		}
	}
}

func TestDebugIsForThoseWhoMay(t *testing.T) {
	only := authorizer.AuthorizerFunc(func(_ context.Context, a authorizer.Attributes) (authorizer.Decision, string, error) {
		if a.GetUser().GetName() == "admin" {
			return authorizer.DecisionAllow, "", nil
		}
		return authorizer.DecisionNoOpinion, "", nil
	})
	paths := []string{"/debug/pprof/", "/debug/pprof/goroutine", "/debug/flags/v", "/debug/api_priority_and_fairness/dump_queues", "/flagz", "/statusz", "/metrics", "/metrics/slis"}
	e := start(t, func(_ *registry.Config, c *apiserver.Config) {
		c.Authenticator, c.Authorizer = named, only
		c.Filters.Flags = apiserver.Flags{"data": "/d"}
	})
	for _, path := range paths {
		if r, _ := e.get(t, path, as("eve")); r.StatusCode != http.StatusForbidden {
			t.Errorf("%s as anybody: %d", path, r.StatusCode)
		}
		if r, _ := e.get(t, path, nil); r.StatusCode != http.StatusOK && path != "/debug/flags/v" {
			t.Errorf("%s: %d", path, r.StatusCode)
		}
	}
	if _, body := e.get(t, "/flagz", nil); !regexp.MustCompile(`(?m)^data\W+d$`).MatchString(body) {
		t.Errorf("flagz: %s", body)
	}
	off := start(t, func(_ *registry.Config, c *apiserver.Config) {
		c.Filters = apiserver.Filters{NoProfiling: true, NoFairness: true}
	})
	for _, path := range []string{"/debug/pprof/", "/debug/flags/v", "/debug/api_priority_and_fairness/dump_queues", "/flagz"} {
		if r, _ := off.get(t, path, nil); r.StatusCode != http.StatusNotFound {
			t.Errorf("%s turned off: %d", path, r.StatusCode)
		}
	}
}

func TestChecksByName(t *testing.T) {
	fault := errors.New("the disk is gone")
	e := start(t, func(_ *registry.Config, c *apiserver.Config) {
		c.Checks = []healthz.HealthChecker{healthz.NamedCheck("etcd", func(*http.Request) error { return fault })}
	})
	// Hooks that run after the start are checks too.
	err := wait.PollUntilContextTimeout(e.ctx, 10*time.Millisecond, 20*time.Second, true, func(context.Context) (bool, error) {
		r, _ := e.get(t, "/livez?exclude=etcd", nil)
		return r.StatusCode == http.StatusOK, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		path, body string
		code       int
	}{
		{"/livez/ping", "ok", 200},
		{"/readyz/etcd", "internal server error: the disk is gone", 500},
		{"/readyz/nothing", "404 page not found", 404},
		{"/livez?verbose", "[-]etcd failed: reason withheld", 500},
		{"/livez?verbose&exclude=etcd", "[+]etcd excluded: ok", 200},
		{"/livez?verbose&exclude=none&exclude=etcd", `warn: some health checks cannot be excluded: no matches for "none"`, 200},
		{"/healthz/log", "ok", 200},
	} {
		if r, body := e.get(t, tc.path, nil); r.StatusCode != tc.code || !strings.Contains(body, tc.body) {
			t.Errorf("%s: %d %s", tc.path, r.StatusCode, body)
		}
	}
}

// TestTheEnd: what is being served when the server is told to stop is served to its
// end, watches are closed, and then nobody listens.
func TestTheEnd(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	slow := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(entered)
		<-release
		io.WriteString(w, "done")
	})
	e := start(t, func(_ *registry.Config, c *apiserver.Config) { c.Paths = map[string]http.Handler{"/slow": slow} })
	watcher, err := e.kube.CoreV1().ConfigMaps("").Watch(context.Background(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	answered := make(chan string, 1)
	go func() {
		r, err := (&http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}).Get(e.rest.Host + "/slow")
		if err != nil {
			answered <- err.Error()
			return
		}
		defer r.Body.Close()
		body, _ := io.ReadAll(r.Body)
		answered <- string(body)
	}()
	<-entered
	e.stop()
	for range watcher.ResultChan() {
	}
	close(release)
	if got := <-answered; got != "done" {
		t.Errorf("a request under way was answered %q", got)
	}
	if err := <-e.ended; err != nil {
		t.Error(err)
	}
	e.ended <- nil // for the cleanup
	if conn, err := net.DialTimeout("tcp", strings.TrimPrefix(e.rest.Host, "https://"), time.Second); err == nil {
		conn.Close()
		t.Error("somebody listens still")
	}
}
