package authz

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/apiserver/pkg/authorization/authorizerfactory"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// only allows one user.
type only string

func (o only) Authorize(_ context.Context, a authorizer.Attributes) (authorizer.Decision, string, error) {
	if a.GetUser().GetName() == string(o) {
		return authorizer.DecisionAllow, "it is " + string(o), nil
	}
	return authorizer.DecisionNoOpinion, "", nil
}

func (o only) ConditionsAwareAuthorize(ctx context.Context, a authorizer.Attributes) authorizer.ConditionsAwareDecision {
	return authorizer.ConditionsAwareDecisionFromParts(o.Authorize(ctx, a))
}

func (only) EvaluateConditions(context.Context, authorizer.ConditionsAwareDecision, authorizer.ConditionsData) (authorizer.Decision, string, error) {
	return authorizer.DecisionDeny, "", authorizer.ErrorConditionEvaluationNotSupported
}

func (o only) RulesFor(_ context.Context, u user.Info, _ string) ([]authorizer.ResourceRuleInfo, []authorizer.NonResourceRuleInfo, bool, error) {
	if u.GetName() != string(o) {
		return nil, nil, false, nil
	}
	return []authorizer.ResourceRuleInfo{&authorizer.DefaultResourceRuleInfo{Verbs: []string{"get"}}}, nil, string(o) == "node", nil
}

func newChain(t *testing.T, file string) *Chain {
	t.Helper()
	c, err := New(Config{Node: only("node"), RBAC: only("role"), File: file, ServerID: "test", Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func ask(t *testing.T, c *Chain, name string, groups ...string) (authorizer.Decision, string) {
	t.Helper()
	decision, reason, err := c.Authorize(t.Context(), authorizer.AttributesRecord{
		User: &user.DefaultInfo{Name: name, Groups: groups}, Verb: "get", Resource: "pods", Namespace: "default", ResourceRequest: true,
	})
	if err != nil && decision == authorizer.DecisionAllow {
		t.Errorf("%s: allowed with an error: %v", name, err)
	}
	return decision, reason
}

func TestTheUsualOrder(t *testing.T) {
	c := newChain(t, "")
	for name, want := range map[string]authorizer.Decision{"node": authorizer.DecisionAllow, "role": authorizer.DecisionAllow, "nobody": authorizer.DecisionNoOpinion} {
		if got, reason := ask(t, c, name); got != want {
			t.Errorf("%s: %v %s", name, got, reason)
		}
	}
	if got, _ := ask(t, c, "x", "system:masters"); got != authorizer.DecisionAllow {
		t.Error("an administrator was refused")
	}
	resources, _, incomplete, err := c.RulesFor(t.Context(), &user.DefaultInfo{Name: "node"}, "default")
	if len(resources) != 1 || !incomplete || err != nil {
		t.Errorf("%v %v %v", resources, incomplete, err)
	}
}

// reviewer answers SubjectAccessReviews on a real TLS server.
type reviewer struct {
	*httptest.Server
	asked atomic.Int32
	seen  atomic.Pointer[authorizationv1.SubjectAccessReviewSpec]
	down  atomic.Bool
}

func newReviewer(t *testing.T) *reviewer {
	t.Helper()
	r := &reviewer{}
	r.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.asked.Add(1)
		if r.down.Load() {
			http.Error(w, "down", http.StatusNotFound) // not retried
			return
		}
		var review authorizationv1.SubjectAccessReview
		if err := json.NewDecoder(req.Body).Decode(&review); err != nil {
			t.Error(err)
		}
		r.seen.Store(&review.Spec)
		switch review.Spec.User {
		case "ann":
			review.Status = authorizationv1.SubjectAccessReviewStatus{Allowed: true, Reason: "ann may"}
		case "eve":
			review.Status = authorizationv1.SubjectAccessReviewStatus{Denied: true, Reason: "never eve"}
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(review)
	}))
	t.Cleanup(r.Close)
	return r
}

// config writes an AuthorizationConfiguration that asks the reviewer first.
func (r *reviewer) config(t *testing.T, failurePolicy, condition string) string {
	t.Helper()
	dir := t.TempDir()
	kubeconfig := clientcmdapi.Config{
		Clusters: map[string]*clientcmdapi.Cluster{"c": {
			Server: r.URL, CertificateAuthorityData: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: r.Certificate().Raw}),
		}},
		Contexts: map[string]*clientcmdapi.Context{"c": {Cluster: "c"}}, CurrentContext: "c",
	}
	if err := clientcmd.WriteToFile(kubeconfig, filepath.Join(dir, "kubeconfig")); err != nil {
		t.Fatal(err)
	}
	return write(t, filepath.Join(dir, "authz.yaml"), `
apiVersion: apiserver.config.k8s.io/v1
kind: AuthorizationConfiguration
authorizers:
- type: Webhook
  name: reviewer
  webhook:
    timeout: 3s
    authorizedTTL: 5m
    unauthorizedTTL: 30s
    cacheUnauthorizedRequests: false
    subjectAccessReviewVersion: v1
    matchConditionSubjectAccessReviewVersion: v1
    failurePolicy: `+failurePolicy+`
    connectionInfo: {type: KubeConfigFile, kubeConfigFile: `+filepath.Join(dir, "kubeconfig")+`}
    matchConditions:
    - expression: `+condition+`
- {type: Node, name: node}
- {type: RBAC, name: rbac}
`)
}

func write(t *testing.T, file, content string) string {
	t.Helper()
	if err := errors.Join(os.WriteFile(file+".new", []byte(content), 0o600), os.Rename(file+".new", file)); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestWebhook(t *testing.T) {
	r := newReviewer(t)
	c := newChain(t, r.config(t, "NoOpinion", `request.user != "skipped"`))
	for _, tc := range []struct {
		user   string
		groups []string
		want   authorizer.Decision
		reason string
		asked  int32
	}{
		{user: "ann", want: authorizer.DecisionAllow, reason: "ann may", asked: 1},
		{user: "ann", want: authorizer.DecisionAllow, reason: "ann may", asked: 0}, // remembered
		{user: "eve", want: authorizer.DecisionDeny, reason: "never eve", asked: 1},
		{user: "eve", want: authorizer.DecisionDeny, reason: "never eve", asked: 1}, // refusals are not remembered
		{user: "eve", groups: []string{"system:masters"}, want: authorizer.DecisionAllow, asked: 0},
		{user: "role", want: authorizer.DecisionAllow, reason: "it is role", asked: 1},
		{user: "nobody", want: authorizer.DecisionNoOpinion, asked: 1},
		{user: "skipped", want: authorizer.DecisionNoOpinion, asked: 0},
	} {
		before := r.asked.Load()
		got, reason := ask(t, c, tc.user, tc.groups...)
		if got != tc.want || !strings.Contains(reason, tc.reason) || r.asked.Load()-before != tc.asked {
			t.Errorf("%s: %v %q, asked %d times", tc.user, got, reason, r.asked.Load()-before)
		}
	}
	if seen := r.seen.Load().ResourceAttributes; seen == nil || seen.Resource != "pods" || seen.Namespace != "default" || seen.Verb != "get" {
		t.Errorf("asked about %+v", seen)
	}
}

func TestAWebhookThatIsDown(t *testing.T) {
	for policy, want := range map[string]authorizer.Decision{"NoOpinion": authorizer.DecisionAllow, "Deny": authorizer.DecisionDeny} {
		r := newReviewer(t)
		r.down.Store(true)
		c := newChain(t, r.config(t, policy, `request.resourceAttributes.namespace == "default"`))
		if got, reason := ask(t, c, "role"); got != want {
			t.Errorf("%s: %v %s", policy, got, reason)
		}
	}
}

func TestTheChainFollowsItsFile(t *testing.T) {
	r := newReviewer(t)
	file := r.config(t, "NoOpinion", `"true"`)
	c := newChain(t, file)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- c.Run(ctx) }()
	if got, _ := ask(t, c, "ann"); got != authorizer.DecisionAllow {
		t.Fatal(got)
	}
	write(t, file, "apiVersion: apiserver.config.k8s.io/v1\nkind: AuthorizationConfiguration\nauthorizers:\n- {type: Node, name: node}\n- {type: RBAC, name: rbac}\n")
	err := wait.PollUntilContextTimeout(ctx, 10*time.Millisecond, 30*time.Second, true, func(context.Context) (bool, error) {
		got, _ := ask(t, c, "ann")
		return got == authorizer.DecisionNoOpinion, nil
	})
	if err != nil {
		t.Error("the webhook that was taken out of the file is still asked:", err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestFilesThatAreRefused(t *testing.T) {
	head := "apiVersion: apiserver.config.k8s.io/v1\nkind: AuthorizationConfiguration\n"
	c := newChain(t, "")
	for name, tc := range map[string]struct{ data, why string }{
		"empty":         {head, "at least one authorization mode"},
		"unknown type":  {head + "authorizers: [{type: ABAC, name: abac}]", "ABAC"},
		"another name":  {head + "authorizers: [{type: Node, name: nodes}, {type: RBAC, name: rbac}]", "expected name node"},
		"a type twice":  {head + "authorizers: [{type: RBAC, name: rbac}, {type: RBAC, name: rbac}]", "Duplicate"},
		"roles left":    {head + "authorizers: [{type: Node, name: node}]", "missing required types: [RBAC]"},
		"unknown field": {head + "authorisers: []", "unknown field"},
		"another kind":  {"apiVersion: apiserver.config.k8s.io/v1\nkind: AuthenticationConfiguration\n", "AuthenticationConfiguration"},
	} {
		if err := c.reload([]byte(tc.data)); err == nil || !strings.Contains(err.Error(), tc.why) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got, _ := ask(t, c, "role"); got != authorizer.DecisionAllow {
		t.Error("a refused file changed who may")
	}
	if err := c.reload([]byte(head + "authorizers: [{type: Node, name: node}, {type: RBAC, name: rbac}, {type: AlwaysAllow, name: alwaysallow}]")); err != nil {
		t.Error(err)
	}
	if got, _ := ask(t, c, "nobody"); got != authorizer.DecisionAllow {
		t.Error("everybody may, but nobody")
	}
	if _, err := New(Config{Node: authorizerfactory.NewAlwaysAllowAuthorizer()}); err == nil {
		t.Error("roles are required")
	}
	if _, err := New(Config{Node: only("a"), RBAC: only("b"), File: filepath.Join(t.TempDir(), "none")}); err == nil {
		t.Error("no error for a file that is not there")
	}
}
