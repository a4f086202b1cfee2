package app

import (
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"github.com/pintle-io/pintle/engine/decision"
)

// Bounds of what a client may put into the log by being refused.
const (
	longestName    = 256
	longestMessage = 2048
)

// admissionRefusal is the record of what a plugin of admission refused.
func admissionRefusal(plugin string, a admission.Attributes, err error, now time.Time) decision.Record {
	kind := strings.ToLower(a.GetKind().Kind)
	if sub := a.GetSubresource(); sub != "" {
		kind += "/" + sub
	}
	verb := strings.ToLower(string(a.GetOperation()))
	if a.IsDryRun() {
		verb += " (as a dry run)"
	}
	r := refusal(a.GetUserInfo(), verb, "admission/"+plugin, err.Error(), now)
	r.Object = decision.Object{Kind: shortened(kind, longestName), Namespace: shortened(a.GetNamespace(), longestName), Name: shortened(objectName(a), longestName)}
	return r
}

// objectName is the name of an object, or what its name is to be made from.
func objectName(a admission.Attributes) string {
	if a.GetName() != "" || a.GetObject() == nil {
		return a.GetName()
	}
	object, err := meta.Accessor(a.GetObject())
	switch {
	case err != nil:
		return ""
	case object.GetName() == "" && object.GetGenerateName() != "":
		return object.GetGenerateName() + "*"
	}
	return object.GetName()
}

// accessRefusal is the record of what authorization did not allow.
func accessRefusal(a authorizer.Attributes, reason string, now time.Time) decision.Record {
	if reason == "" {
		reason = "no role that is bound to the user allows it"
	}
	r := refusal(a.GetUser(), a.GetVerb(), "authorization", reason, now)
	if !a.IsResourceRequest() {
		r.Object = decision.Object{Kind: "path", Name: shortened(a.GetPath(), longestName)}
		return r
	}
	kind := a.GetResource()
	if a.GetAPIGroup() != "" {
		kind += "." + a.GetAPIGroup()
	}
	if a.GetSubresource() != "" {
		kind += "/" + a.GetSubresource()
	}
	r.Object = decision.Object{Kind: shortened(kind, longestName), Namespace: shortened(a.GetNamespace(), longestName), Name: shortened(a.GetName(), longestName)}
	return r
}

func refusal(who user.Info, verb, by, message string, now time.Time) decision.Record {
	name := "somebody"
	if who != nil {
		name = who.GetName()
	}
	return decision.Record{
		Time: metav1.NewMicroTime(now), User: shortened(name, longestName), Verb: shortened(verb, longestName),
		Decider: by, Verdict: decision.Denied, Message: shortened(message, longestMessage),
	}
}

// shortened is a copy of at most most bytes, so that no request is kept in memory.
func shortened(s string, most int) string {
	if len(s) <= most {
		return strings.Clone(s)
	}
	return strings.ToValidUTF8(fmt.Sprintf("%s... (%d bytes)", s[:most], len(s)), "")
}
