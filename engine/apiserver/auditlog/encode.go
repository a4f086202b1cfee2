package auditlog

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"unicode/utf8"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	auditinternal "k8s.io/apiserver/pkg/apis/audit"
)

// appendEvent appends the JSON form of an event without bodies, and a newline. The
// fields are in the order upstream's codec writes them.
func appendEvent(b []byte, e *auditinternal.Event) ([]byte, error) {
	b = append(b, `{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":`...)
	b = appendString(b, string(e.Level))
	b = appendField(b, "auditID", string(e.AuditID))
	b = appendField(b, "stage", string(e.Stage))
	b = appendField(b, "requestURI", e.RequestURI)
	b = appendField(b, "verb", e.Verb)
	b = append(b, `,"user":`...)
	b = appendUser(b, &e.User)
	if e.ImpersonatedUser != nil {
		b = append(b, `,"impersonatedUser":`...)
		b = appendUser(b, e.ImpersonatedUser)
	}
	if m := e.AuthenticationMetadata; m != nil {
		b = append(b, `,"authenticationMetadata":{`...)
		if m.ImpersonationConstraint != "" {
			b = append(b, `"impersonationConstraint":`...)
			b = appendString(b, m.ImpersonationConstraint)
		}
		b = append(b, '}')
	}
	b = appendStrings(b, "sourceIPs", e.SourceIPs)
	b = appendOptional(b, "userAgent", e.UserAgent)
	if e.ObjectRef != nil {
		b = append(b, `,"objectRef":`...)
		b = appendRef(b, e.ObjectRef)
	}
	var err error
	if e.ResponseStatus != nil {
		b = append(b, `,"responseStatus":`...)
		if b, err = appendStatus(b, e.ResponseStatus); err != nil {
			return b, err
		}
	}
	b = append(b, `,"requestReceivedTimestamp":`...)
	b = appendTime(b, e.RequestReceivedTimestamp)
	b = append(b, `,"stageTimestamp":`...)
	b = appendTime(b, e.StageTimestamp)
	if len(e.Annotations) > 0 {
		b = append(b, `,"annotations":{`...)
		for i, key := range slices.Sorted(maps.Keys(e.Annotations)) {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendString(b, key)
			b = append(b, ':')
			b = appendString(b, e.Annotations[key])
		}
		b = append(b, '}')
	}
	return append(b, '}', '\n'), nil
}

func appendUser(b []byte, u *authenticationv1.UserInfo) []byte {
	b = append(b, '{')
	start := len(b)
	b = appendOptional(b, "username", u.Username)
	b = appendOptional(b, "uid", u.UID)
	b = appendStrings(b, "groups", u.Groups)
	if len(u.Extra) > 0 {
		b = append(b, `,"extra":{`...)
		for i, key := range slices.Sorted(maps.Keys(u.Extra)) {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendString(b, key)
			b = append(b, ':')
			b = appendList(b, u.Extra[key])
		}
		b = append(b, '}')
	}
	return endObject(b, start)
}

func appendRef(b []byte, r *auditinternal.ObjectReference) []byte {
	b = append(b, '{')
	start := len(b)
	b = appendOptional(b, "resource", r.Resource)
	b = appendOptional(b, "namespace", r.Namespace)
	b = appendOptional(b, "name", r.Name)
	b = appendOptional(b, "uid", string(r.UID))
	b = appendOptional(b, "apiGroup", r.APIGroup)
	b = appendOptional(b, "apiVersion", r.APIVersion)
	b = appendOptional(b, "resourceVersion", r.ResourceVersion)
	b = appendOptional(b, "subresource", r.Subresource)
	return endObject(b, start)
}

// endObject closes an object whose fields begin at start, each with a comma before it.
func endObject(b []byte, start int) []byte {
	if len(b) > start {
		b = slices.Delete(b, start, start+1)
	}
	return append(b, '}')
}

// appendStatus has a short way for statuses that hold a code alone, as most do.
func appendStatus(b []byte, s *metav1.Status) ([]byte, error) {
	if s.Status == "" && s.Message == "" && s.Reason == "" && s.Details == nil && s.ListMeta == (metav1.ListMeta{}) && s.TypeMeta == (metav1.TypeMeta{}) {
		b = append(b, `{"metadata":{}`...)
		if s.Code != 0 {
			b = append(b, `,"code":`...)
			b = strconv.AppendInt(b, int64(s.Code), 10)
		}
		return append(b, '}'), nil
	}
	data, err := json.Marshal(s)
	return append(b, data...), err
}

func appendTime(b []byte, t metav1.MicroTime) []byte {
	if t.IsZero() {
		return append(b, "null"...)
	}
	b = append(b, '"')
	b = t.UTC().AppendFormat(b, metav1.RFC3339Micro)
	return append(b, '"')
}

func appendOptional(b []byte, name, value string) []byte {
	if value == "" {
		return b
	}
	return appendField(b, name, value)
}

func appendField(b []byte, name, value string) []byte {
	b = append(b, ',', '"')
	b = append(b, name...)
	b = append(b, '"', ':')
	return appendString(b, value)
}

func appendStrings(b []byte, name string, list []string) []byte {
	if len(list) == 0 {
		return b
	}
	b = append(b, ',', '"')
	b = append(b, name...)
	b = append(b, '"', ':')
	return appendList(b, list)
}

func appendList(b []byte, list []string) []byte {
	if list == nil {
		return append(b, "null"...)
	}
	b = append(b, '[')
	for i, s := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(b, s)
	}
	return append(b, ']')
}

// appendString appends a JSON string. What needs escaping is rare and left to
// encoding/json.
func appendString(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c >= utf8.RuneSelf || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			data, _ := json.Marshal(s) // a string has no way to fail
			return append(b, data...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}
