package policies

import (
	"fmt"
	"strings"

	"github.com/open-policy-agent/frameworks/constraint/pkg/types"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apiserver/pkg/admission"
)

// Action is what a constraint wants done about a violation.
type Action string

// The actions; any other is recorded alone, like DryRun.
const (
	Deny   Action = "deny"
	Warn   Action = "warn"
	DryRun Action = "dryrun"
)

// Verdict is one violation of one policy by one request.
type Verdict struct {
	// Policy is the constraint's kind, Name its name.
	Policy, Name string
	Action       Action

	Kind              schema.GroupVersionKind
	Namespace, Object string
	Operation, User   string
	DryRun            bool

	// Message is the rule's. Field (a path into the object) and Cure (what to do)
	// are set if the rule gives them in its details, as those of the library do.
	Message, Field, Cure string
}

// String is the sentence a person reads: policy, object, field, what is wrong and
// what to do.
func (v Verdict) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "policy [%s] %q: %s ", v.Policy, v.Name, v.Kind.Kind)
	if v.Namespace != "" {
		b.WriteString(v.Namespace + "/")
	}
	b.WriteString(v.Object + ": ")
	if v.Field != "" {
		b.WriteString(v.Field + ": ")
	}
	b.WriteString(v.Message)
	cure := v.Cure
	if cure == "" {
		cure = fmt.Sprintf("see what it asks for: kubectl get %s %s -o yaml", strings.ToLower(v.Policy), v.Name)
	}
	b.WriteString("; " + cure)
	return b.String()
}

// detail reads one string of a violation's details.
func detail(result *types.Result, key string) string {
	details, ok := result.Metadata["details"].(map[string]any)
	if !ok {
		return ""
	}
	text, _ := details[key].(string)
	return text
}

// refusal is the API error for the policies that deny, or nil if there are none.
func refusal(a admission.Attributes, denied []Verdict) error {
	if len(denied) == 0 {
		return nil
	}
	lines := make([]string, len(denied))
	causes := make([]metav1.StatusCause, len(denied))
	for i, v := range denied {
		lines[i] = "admission denied by " + v.String()
		causes[i] = metav1.StatusCause{Type: metav1.CauseType("PolicyViolation"), Field: v.Field, Message: v.String()}
	}
	err := admission.NewForbidden(a, fmt.Errorf("%s", strings.Join(lines, "\n")))
	if status, ok := err.(*apierrors.StatusError); ok && status.ErrStatus.Details != nil {
		status.ErrStatus.Details.Causes = append(status.ErrStatus.Details.Causes, causes...)
	}
	return err
}
