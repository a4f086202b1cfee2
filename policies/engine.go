package policies

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/open-policy-agent/frameworks/constraint/pkg/apis/constraints"
	constraintclient "github.com/open-policy-agent/frameworks/constraint/pkg/client"
	"github.com/open-policy-agent/frameworks/constraint/pkg/client/reviews"
	"github.com/open-policy-agent/frameworks/constraint/pkg/core/templates"
	"github.com/open-policy-agent/frameworks/constraint/pkg/types"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/warning"
)

// DefaultDeadline bounds the evaluation of all policies on one request.
const DefaultDeadline = 2 * time.Second

// SystemNamespaces are exempt by default.
var SystemNamespaces = []string{metav1.NamespaceSystem, metav1.NamespacePublic, corev1.NamespaceNodeLease}

// Config describes an engine. Namespace is required.
type Config struct {
	// Namespace reads a namespace, for namespaceSelector and for rules that look at
	// it: a lister's Get.
	Namespace func(name string) (*corev1.Namespace, error)
	// Exempt are namespaces, as patterns with "*" at an end, that no policy applies
	// to; nil selects SystemNamespaces.
	Exempt []string
	// Deadline defaults to DefaultDeadline. A policy that is not done by then has
	// been violated.
	Deadline time.Duration
	// Record, if set, is told every violation, for the decision log.
	Record func(context.Context, Verdict)
}

// Engine holds templates and constraints and judges writes by them. It is an
// admission.ValidationInterface.
type Engine struct {
	cfg Config

	mu struct {
		sync.RWMutex
		framework   *constraintclient.Client // nil until the first template
		constraints map[string]bool          // kind/name
	}
}

var _ admission.ValidationInterface = (*Engine)(nil)

// New builds an engine with nothing in it.
func New(cfg Config) (*Engine, error) {
	if cfg.Namespace == nil {
		return nil, errors.New("policies: Namespace is required")
	}
	if cfg.Exempt == nil {
		cfg.Exempt = SystemNamespaces
	}
	if cfg.Deadline == 0 {
		cfg.Deadline = DefaultDeadline
	}
	e := &Engine{cfg: cfg}
	e.mu.constraints = map[string]bool{}
	return e, nil
}

// SetTemplate takes a ConstraintTemplate into use, or a new version of one, and
// returns the definition of the kind of its constraints.
func (e *Engine) SetTemplate(ctx context.Context, obj *unstructured.Unstructured) (crd *unstructured.Unstructured, err error) {
	template, err := parseTemplate(obj)
	if err != nil {
		return nil, err
	}
	framework, err := e.setUp()
	if err != nil {
		return nil, err
	}
	if _, err := framework.AddTemplate(ctx, template); err != nil {
		return nil, plain(err)
	}
	return crdOf(ctx, framework, template)
}

func (e *Engine) setUp() (*constraintclient.Client, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.mu.framework == nil {
		framework, err := newFramework()
		if err != nil {
			return nil, err
		}
		e.mu.framework = framework
	}
	return e.mu.framework, nil
}

// framework returns nil where no template has been set yet.
func (e *Engine) framework() *constraintclient.Client {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return e.mu.framework
}

// RemoveTemplate forgets a template, by name, and its constraints.
func (e *Engine) RemoveTemplate(ctx context.Context, name string) error {
	framework := e.framework()
	if framework == nil {
		return nil
	}
	template := &templates.ConstraintTemplate{ObjectMeta: metav1.ObjectMeta{Name: name}}
	known, err := framework.GetTemplate(template)
	if err != nil {
		return nil // it was never good enough to be in use
	}
	if _, err := framework.RemoveTemplate(ctx, known); err != nil {
		return plain(err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for key := range e.mu.constraints {
		if kind, _, _ := strings.Cut(key, "/"); strings.ToLower(kind) == name {
			delete(e.mu.constraints, key)
		}
	}
	return nil
}

// SetConstraint puts a constraint, or a new version of one, in force. Its template
// must have been set.
func (e *Engine) SetConstraint(ctx context.Context, obj *unstructured.Unstructured) error {
	framework := e.framework()
	if framework == nil {
		return fmt.Errorf("constraint %s %q has no template", obj.GetKind(), obj.GetName())
	}
	if _, err := framework.AddConstraint(ctx, obj); err != nil {
		return plain(err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.mu.constraints[obj.GetKind()+"/"+obj.GetName()] = true
	return nil
}

// RemoveConstraint takes a constraint out of force.
func (e *Engine) RemoveConstraint(ctx context.Context, kind, name string) error {
	framework := e.framework()
	if framework == nil {
		return nil
	}
	e.mu.Lock()
	delete(e.mu.constraints, kind+"/"+name)
	e.mu.Unlock()
	obj := &unstructured.Unstructured{}
	obj.SetAPIVersion(ConstraintGroup + "/" + version)
	obj.SetKind(kind)
	obj.SetName(name)
	_, err := framework.RemoveConstraint(ctx, obj)
	return plain(err)
}

// active returns the framework if there is anything to judge by.
func (e *Engine) active() *constraintclient.Client {
	e.mu.RLock()
	defer e.mu.RUnlock()
	if len(e.mu.constraints) == 0 {
		return nil
	}
	return e.mu.framework
}

// Handles implements admission.Interface.
func (e *Engine) Handles(op admission.Operation) bool {
	return op == admission.Create || op == admission.Update
}

// looksAt are the subresources that carry an object worth judging.
var looksAt = []string{"", "ephemeralcontainers", "resize"}

// Validate implements admission.ValidationInterface.
func (e *Engine) Validate(ctx context.Context, a admission.Attributes, _ admission.ObjectInterfaces) error {
	if a.GetObject() == nil || !slices.Contains(looksAt, a.GetSubresource()) {
		return nil
	}
	switch a.GetKind().Group {
	case TemplateGroup:
		return e.validateTemplate(ctx, a)
	case ConstraintGroup:
		return e.validateConstraint(a)
	}
	framework := e.active()
	if framework == nil {
		return nil
	}
	r, err := newReview(a, e.cfg.Namespace)
	if err != nil {
		return nil // an object without metadata is a question, not a thing kept
	}
	if e.exempt(r) {
		return nil
	}
	verdicts, err := e.judge(ctx, framework, r)
	if err != nil {
		return admission.NewForbidden(a, fmt.Errorf("policies could not be evaluated: %w", err))
	}
	return e.act(ctx, a, verdicts)
}

func (e *Engine) exempt(r *review) bool {
	if r.object.GetDeletionTimestamp() != nil {
		return true
	}
	name := r.namespace
	if r.isNamespace() {
		name = r.objectName()
	}
	return name != "" && slices.ContainsFunc(e.cfg.Exempt, func(pattern string) bool { return glob(pattern, name) })
}

func (e *Engine) judge(ctx context.Context, framework *constraintclient.Client, r *review) ([]Verdict, error) {
	bounded, cancel := context.WithTimeout(ctx, e.cfg.Deadline)
	defer cancel()
	opts := []reviews.ReviewOpt{reviews.EnforcementPoint(constraints.WebhookEnforcementPoint)}
	if r.namespace != "" {
		if ns, err := r.lookupNamespace(); err == nil {
			content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(ns)
			if err != nil {
				return nil, err
			}
			opts = append(opts, reviews.Namespace(content))
		}
	}
	responses, err := framework.Review(bounded, r, opts...)
	if err != nil {
		return nil, plain(err)
	}
	late := bounded.Err() != nil && ctx.Err() == nil
	var out []Verdict
	for _, result := range responses.Results() {
		out = append(out, e.verdicts(r, result, late)...)
	}
	return out, nil
}

// verdicts makes one verdict of each action a violation calls for.
func (e *Engine) verdicts(r *review, result *types.Result, late bool) []Verdict {
	actions := []string{result.EnforcementAction}
	if result.EnforcementAction == string(constraints.Scoped) {
		actions = result.ScopedEnforcementActions
	}
	message := result.Msg
	if late {
		message = fmt.Sprintf("the policy was not done after %s", e.cfg.Deadline)
	}
	var out []Verdict
	for _, action := range actions {
		out = append(out, Verdict{
			Policy: result.Constraint.GetKind(), Name: result.Constraint.GetName(), Action: Action(action),
			Kind: r.kind, Namespace: r.namespace, Object: r.objectName(),
			Operation: string(r.attributes.GetOperation()), User: userOf(r.attributes), DryRun: r.attributes.IsDryRun(),
			Message: message, Field: detail(result, "field"), Cure: detail(result, "cure"),
		})
	}
	return out
}

func userOf(a admission.Attributes) string {
	if a.GetUserInfo() == nil {
		return ""
	}
	return a.GetUserInfo().GetName()
}

// act records all verdicts, warns of some and refuses for the others.
func (e *Engine) act(ctx context.Context, a admission.Attributes, verdicts []Verdict) error {
	var denied []Verdict
	for _, v := range verdicts {
		if e.cfg.Record != nil {
			e.cfg.Record(ctx, v)
		}
		switch v.Action {
		case Deny:
			denied = append(denied, v)
		case Warn:
			warning.AddWarning(ctx, "", v.String())
		}
	}
	return refusal(a, denied)
}

// validateTemplate refuses templates that could not be put to use, so that their
// author hears of it at once.
func (e *Engine) validateTemplate(ctx context.Context, a admission.Attributes) error {
	obj, ok := a.GetObject().(*unstructured.Unstructured)
	if !ok || a.GetSubresource() != "" {
		return nil
	}
	if err := CheckTemplate(ctx, obj); err != nil {
		return admission.NewForbidden(a, fmt.Errorf("the template cannot be used: %w", err))
	}
	return nil
}

func (e *Engine) validateConstraint(a admission.Attributes) error {
	obj, ok := a.GetObject().(*unstructured.Unstructured)
	framework := e.framework()
	if !ok || framework == nil {
		return nil
	}
	if _, err := parseMatch(obj); err != nil {
		return admission.NewForbidden(a, err)
	}
	action, err := constraints.GetEnforcementAction(obj)
	if err != nil {
		return admission.NewForbidden(a, err)
	}
	if !slices.Contains([]string{"deny", "warn", "dryrun", "scoped"}, action) {
		return admission.NewForbidden(a, fmt.Errorf("spec.enforcementAction is %q, must be deny, warn, dryrun or scoped", action))
	}
	return nil
}
