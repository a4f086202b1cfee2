package auditlog

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	auditinternal "k8s.io/apiserver/pkg/apis/audit"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"pgregory.net/rapid"
)

// event draws an event without bodies.
func event(t *rapid.T) *auditinternal.Event {
	text := rapid.OneOf(rapid.String(), rapid.StringMatching(`[a-z/.:-]{0,12}`), rapid.SampledFrom([]string{"<a&b>", "\x00\"\\", "\u2028", "\xff"}))
	list := rapid.SliceOfN(text, 0, 3)
	info := func(name string) authenticationv1.UserInfo {
		u := authenticationv1.UserInfo{Username: text.Draw(t, name), UID: text.Draw(t, "uid"), Groups: list.Draw(t, "groups")}
		if rapid.Bool().Draw(t, "extra") {
			u.Extra = map[string]authenticationv1.ExtraValue{text.Draw(t, "key"): list.Draw(t, "values")}
		}
		return u
	}
	when := func(name string) metav1.MicroTime {
		return metav1.NewMicroTime(time.UnixMicro(rapid.Int64Range(0, 1<<51).Draw(t, name)))
	}
	e := &auditinternal.Event{
		Level: "Metadata", AuditID: types.UID(text.Draw(t, "id")), Stage: "ResponseComplete", RequestURI: text.Draw(t, "uri"), Verb: text.Draw(t, "verb"),
		User: info("user"), SourceIPs: list.Draw(t, "ips"), UserAgent: text.Draw(t, "agent"),
		RequestReceivedTimestamp: when("received"), StageTimestamp: when("stage"),
		Annotations: rapid.MapOfN(text, text, 0, 3).Draw(t, "annotations"),
	}
	if rapid.Bool().Draw(t, "impersonated") {
		u := info("other")
		e.ImpersonatedUser, e.AuthenticationMetadata = &u, &auditinternal.AuthenticationMetadata{ImpersonationConstraint: text.Draw(t, "constraint")}
	}
	if rapid.Bool().Draw(t, "ref") {
		e.ObjectRef = &auditinternal.ObjectReference{Resource: text.Draw(t, "resource"), Namespace: text.Draw(t, "ns"), Name: text.Draw(t, "name"),
			UID: types.UID(text.Draw(t, "ruid")), APIGroup: text.Draw(t, "group"), APIVersion: text.Draw(t, "version"), ResourceVersion: text.Draw(t, "rv"), Subresource: text.Draw(t, "sub")}
	}
	switch rapid.IntRange(0, 2).Draw(t, "status") {
	case 1:
		e.ResponseStatus = &metav1.Status{Code: rapid.Int32().Draw(t, "code")}
	case 2:
		e.ResponseStatus = &metav1.Status{Code: 404, Status: "Failure", Reason: "NotFound", Message: text.Draw(t, "message"), Details: &metav1.StatusDetails{Name: text.Draw(t, "what")}}
	}
	return e
}

// TestEncodesAsUpstream compares the encoder by hand with upstream's codec, byte by
// byte up to the escaping of strings.
func TestEncodesAsUpstream(t *testing.T) {
	f := newFile(io.Discard)
	rapid.Check(t, func(t *rapid.T) {
		e := event(t)
		got, err := f.append(nil, e)
		if err != nil {
			t.Fatal(err)
		}
		want, err := runtime.Encode(f.codec, e)
		if err != nil {
			t.Fatal(err)
		}
		var g, w any
		if err := json.Unmarshal(got, &g); err != nil {
			t.Fatalf("%v in %s", err, got)
		}
		if err := json.Unmarshal(want, &w); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(w, g); diff != "" {
			t.Fatalf("%s\n%s\n%s", diff, want, got)
		}
		if bytes.Count(got, []byte("\n")) != 1 || got[len(got)-1] != '\n' {
			t.Fatalf("not one line: %q", got)
		}
	})
}

func TestBodiesAreWrittenIfThePolicyAsks(t *testing.T) {
	var out bytes.Buffer
	newFile(&out).ProcessEvents(&auditinternal.Event{Level: "Request", RequestObject: &runtime.Unknown{Raw: []byte(`{"kind":"Pod"}`)}})
	if !strings.Contains(out.String(), `"requestObject":{"kind":"Pod"}`) {
		t.Error(out.String())
	}
}

func TestDefaultPolicy(t *testing.T) {
	_, policy, err := New(Config{Path: filepath.Join(t.TempDir(), "log")})
	if err != nil {
		t.Fatal(err)
	}
	admin, node := []string{"system:masters", "system:authenticated"}, []string{"system:nodes"}
	for _, tc := range []struct {
		user   string
		groups []string
		verb   string
		what   string // group/resource/subresource, or a path
		want   auditinternal.Level
	}{
		{"admin", admin, "create", "/configmaps/", "Metadata"},
		{"admin", admin, "update", "/secrets/", "Metadata"},
		{"admin", admin, "get", "/secrets/", "Metadata"},
		{"admin", admin, "list", "/pods/", "None"},
		{"admin", admin, "watch", "apps/deployments/", "None"},
		{"admin", admin, "deletecollection", "apps/deployments/", "Metadata"},
		{"admin", admin, "get", "/pods/exec", "Metadata"},
		{"admin", admin, "create", "/pods/exec", "Metadata"},
		{"admin", admin, "get", "/pods/log", "None"},
		{"admin", admin, "create", "/serviceaccounts/token", "Metadata"},
		{"admin", admin, "create", "rbac.authorization.k8s.io/clusterrolebindings/", "Metadata"},
		{"admin", admin, "create", "/events/", "None"},
		{"admin", admin, "create", "authorization.k8s.io/selfsubjectaccessreviews/", "None"},
		{"system:node:a", node, "patch", "/nodes/status", "None"},
		{"system:node:a", node, "update", "coordination.k8s.io/leases/", "None"},
		{"system:node:a", node, "get", "/secrets/", "None"},
		{"system:node:a", node, "create", "/serviceaccounts/token", "Metadata"},
		{"system:node:a", node, "delete", "/pods/", "Metadata"},
		{"system:apiserver", admin, "update", "/configmaps/", "None"},
		{"admin", admin, "get", "/healthz", "None"},
	} {
		a := authorizer.AttributesRecord{User: &user.DefaultInfo{Name: tc.user, Groups: tc.groups}, Verb: tc.verb, Path: tc.what}
		if parts := strings.Split(tc.what, "/"); len(parts) == 3 {
			a.ResourceRequest, a.APIGroup, a.Resource, a.Subresource = true, parts[0], parts[1], parts[2]
		}
		got := policy.EvaluatePolicyRule(a)
		if got.Level != tc.want {
			t.Errorf("%s %s %s: %s, want %s", tc.user, tc.verb, tc.what, got.Level, tc.want)
		}
		if len(got.OmitStages) != 1 || got.OmitStages[0] != auditinternal.StageRequestReceived {
			t.Errorf("%s %s: stages %v", tc.verb, tc.what, got.OmitStages)
		}
	}
}

func TestTheLogIsBoundedAndPrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit", "audit.log")
	backend, _, err := New(Config{Path: path, MaxSize: 1, MaxBackups: 2})
	if err != nil {
		t.Fatal(err)
	}
	e := &auditinternal.Event{Level: "Metadata", RequestURI: strings.Repeat("x", 64<<10)}
	for range 100 {
		backend.ProcessEvents(e)
	}
	// Old files are removed by a goroutine of the log.
	var total int64
	for deadline := time.Now().Add(10 * time.Second); ; {
		if total = sizeOf(t, filepath.Dir(path)); total <= 3<<20 || time.Now().After(deadline) {
			break
		}
	}
	if total > 3<<20 || total < 1<<20 {
		t.Errorf("%d bytes are kept", total)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info.Mode(), err)
	}
}

func sizeOf(t *testing.T, dir string) (total int64) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if info, err := e.Info(); err == nil {
			total += info.Size()
		}
	}
	return total
}

func TestWrongFilesAreNamed(t *testing.T) {
	dir := t.TempDir()
	bad := filepath.Join(dir, "policy.yaml")
	if err := os.WriteFile(bad, []byte("apiVersion: audit.k8s.io/v1\nkind: Policy\nrules:\n- level: Everything\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, cfg := range []Config{{Path: filepath.Join(dir, "log"), PolicyFile: bad}, {WebhookKubeconfig: filepath.Join(dir, "none")}, {Path: filepath.Join(bad, "log")}} {
		if _, _, err := New(cfg); err == nil || !strings.Contains(err.Error(), dir) && !strings.Contains(err.Error(), "Everything") {
			t.Errorf("%+v: %v", cfg, err)
		}
	}
	if backend, policy, err := New(Config{}); backend != nil || policy != nil || err != nil {
		t.Error("something is recorded though nothing was asked for")
	}
}

func sample() *auditinternal.Event {
	now := metav1.NowMicro()
	return &auditinternal.Event{
		Level: "Metadata", AuditID: "8f0a7f0e-9a6c-4c55-b7b3-0f5d7f6a4d11", Stage: "ResponseComplete", RequestURI: "/api/v1/namespaces/default/configmaps?fieldManager=kubectl",
		Verb: "create", User: authenticationv1.UserInfo{Username: "admin", Groups: []string{"system:masters", "system:authenticated"},
			Extra: map[string]authenticationv1.ExtraValue{"authentication.kubernetes.io/credential-id": {"X509SHA256=abc"}}},
		SourceIPs: []string{"127.0.0.1"}, UserAgent: "kubectl/v1.37.2 (linux/amd64) kubernetes/abcdef",
		ObjectRef:                &auditinternal.ObjectReference{Resource: "configmaps", Namespace: "default", Name: "a", APIVersion: "v1"},
		ResponseStatus:           &metav1.Status{Code: 201},
		RequestReceivedTimestamp: now, StageTimestamp: now,
		Annotations: map[string]string{"authorization.k8s.io/decision": "allow", "authorization.k8s.io/reason": ""},
	}
}

func BenchmarkEncode(b *testing.B) {
	f, e := newFile(io.Discard), sample()
	b.Run("by hand", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			f.ProcessEvents(e)
		}
	})
	b.Run("upstream", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := runtime.Encode(f.codec, e); err != nil {
				b.Fatal(err)
			}
		}
	})
}
