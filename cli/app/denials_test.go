package app

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"github.com/pintle-io/pintle/engine/decision"
)

func TestRefusalsSayWhoWhatAndWhich(t *testing.T) {
	now := time.Date(2026, 11, 24, 5, 0, 0, 0, time.UTC)
	ann := &user.DefaultInfo{Name: "ann"}
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{GenerateName: "web-"}}
	create := func(name, sub string, dry bool) admission.Attributes {
		return admission.NewAttributesRecord(pod, nil, schema.GroupVersionKind{Version: "v1", Kind: "Pod"}, "ns", name,
			schema.GroupVersionResource{Version: "v1", Resource: "pods"}, sub, admission.Create, nil, dry, ann)
	}
	record := func(kind, ns, name, verb, by, message string) decision.Record {
		return decision.Record{
			Time: metav1.NewMicroTime(now), Object: decision.Object{Kind: kind, Namespace: ns, Name: name},
			User: "ann", Verb: verb, Decider: by, Verdict: decision.Denied, Message: message,
		}
	}
	no := errors.New("no")
	for name, c := range map[string]struct{ got, want decision.Record }{
		"generated name": {admissionRefusal("PodSecurity", create("", "", false), no, now), record("pod", "ns", "web-*", "create", "admission/PodSecurity", "no")},
		"subresource":    {admissionRefusal("PodSecurity", create("a", "exec", true), no, now), record("pod/exec", "ns", "a", "create (as a dry run)", "admission/PodSecurity", "no")},
		"resource": {accessRefusal(authorizer.AttributesRecord{User: ann, Verb: "get", APIGroup: "apps", Resource: "deployments", Subresource: "scale",
			Namespace: "ns", Name: "web", ResourceRequest: true}, "", now), record("deployments.apps/scale", "ns", "web", "get", "authorization", "no role that is bound to the user allows it")},
		"path": {accessRefusal(authorizer.AttributesRecord{User: ann, Verb: "get", Path: "/metrics"}, "why", now), record("path", "", "/metrics", "get", "authorization", "why")},
	} {
		if diff := cmp.Diff(c.want, c.got); diff != "" {
			t.Errorf("%s: want - got +\n%s", name, diff)
		}
	}
	long := accessRefusal(authorizer.AttributesRecord{User: &user.DefaultInfo{Name: strings.Repeat("ä", 5000)}, Path: strings.Repeat("/", 5000)}, strings.Repeat("x", 50000), now)
	if n := len(long.User) + len(long.Object.Name) + len(long.Message); n > 2*longestName+longestMessage+100 {
		t.Errorf("a refused client may keep %d bytes", n)
	}
}
