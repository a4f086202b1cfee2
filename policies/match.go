package policies

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
)

// match is spec.match of a constraint. Every part that is given must hold; no
// part given matches everything.
type match struct {
	Kinds              []kinds               `json:"kinds,omitempty"`
	Scope              string                `json:"scope,omitempty"`
	Namespaces         []string              `json:"namespaces,omitempty"`
	ExcludedNamespaces []string              `json:"excludedNamespaces,omitempty"`
	LabelSelector      *metav1.LabelSelector `json:"labelSelector,omitempty"`
	NamespaceSelector  *metav1.LabelSelector `json:"namespaceSelector,omitempty"`
	Name               string                `json:"name,omitempty"`
	Source             string                `json:"source,omitempty"`

	labels, namespaceLabels labels.Selector
}

type kinds struct {
	APIGroups []string `json:"apiGroups,omitempty"`
	Kinds     []string `json:"kinds,omitempty"`
}

var errMatch = errors.New("spec.match is not valid")

// parseMatch reads and checks spec.match.
func parseMatch(constraint *unstructured.Unstructured) (*match, error) {
	raw, found, err := unstructured.NestedMap(constraint.Object, "spec", "match")
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errMatch, err)
	}
	m := &match{}
	if found {
		data, err := json.Marshal(raw)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errMatch, err)
		}
		if err := json.Unmarshal(data, m); err != nil {
			return nil, fmt.Errorf("%w: %w", errMatch, err)
		}
	}
	if !slices.Contains([]string{"", "*", "Cluster", "Namespaced"}, m.Scope) {
		return nil, fmt.Errorf("%w: scope is %q, must be *, Cluster or Namespaced", errMatch, m.Scope)
	}
	if m.labels, err = selector(m.LabelSelector); err != nil {
		return nil, fmt.Errorf("%w: labelSelector: %w", errMatch, err)
	}
	if m.namespaceLabels, err = selector(m.NamespaceSelector); err != nil {
		return nil, fmt.Errorf("%w: namespaceSelector: %w", errMatch, err)
	}
	return m, nil
}

// selector is nil where nothing is selected by labels.
func selector(s *metav1.LabelSelector) (labels.Selector, error) {
	if s == nil {
		return nil, nil
	}
	return metav1.LabelSelectorAsSelector(s)
}

// Match implements constraints.Matcher.
func (m *match) Match(target any) (bool, error) {
	r, ok := target.(*review)
	if !ok {
		return false, fmt.Errorf("expected a review, got %T", target)
	}
	switch {
	case !m.matchesKind(r), !m.matchesScope(r), !m.matchesNamespace(r), m.Source == "Generated",
		m.Name != "" && !glob(m.Name, r.objectName()),
		m.labels != nil && !m.labels.Matches(labels.Set(r.labels())):
		return false, nil
	}
	return m.matchesNamespaceLabels(r)
}

func (m *match) matchesKind(r *review) bool {
	anyOf := func(list []string, want string) bool {
		return len(list) == 0 || slices.Contains(list, "*") || slices.Contains(list, want)
	}
	return len(m.Kinds) == 0 || slices.ContainsFunc(m.Kinds, func(k kinds) bool {
		return anyOf(k.Kinds, r.kind.Kind) && anyOf(k.APIGroups, r.kind.Group)
	})
}

func (m *match) matchesScope(r *review) bool {
	switch m.Scope {
	case "Cluster":
		return r.isNamespace() || r.namespace == ""
	case "Namespaced":
		return !r.isNamespace() && r.namespace != ""
	}
	return true
}

// matchesNamespace takes a Namespace object to be in itself. Other objects of the
// cluster's scope have no namespace, which no list of names can rule out.
func (m *match) matchesNamespace(r *review) bool {
	name := r.namespace
	if r.isNamespace() {
		name = r.objectName()
	}
	if name == "" {
		return true
	}
	matches := func(pattern string) bool { return glob(pattern, name) }
	if len(m.Namespaces) > 0 && !slices.ContainsFunc(m.Namespaces, matches) {
		return false
	}
	return !slices.ContainsFunc(m.ExcludedNamespaces, matches)
}

func (m *match) matchesNamespaceLabels(r *review) (bool, error) {
	switch {
	case m.namespaceLabels == nil:
		return true, nil
	case r.isNamespace():
		return m.namespaceLabels.Matches(labels.Set(r.labels())), nil
	case r.namespace == "":
		return true, nil
	}
	ns, err := r.lookupNamespace()
	if err != nil {
		return false, fmt.Errorf("get namespace %s for namespaceSelector: %w", r.namespace, err)
	}
	return m.namespaceLabels.Matches(labels.Set(ns.Labels)), nil
}

// glob compares a name with a pattern that may begin or end with "*".
func glob(pattern, name string) bool {
	inner, suffixed := strings.CutPrefix(pattern, "*")
	prefix, prefixed := strings.CutSuffix(inner, "*")
	switch {
	case suffixed && prefixed:
		return strings.Contains(name, prefix)
	case suffixed:
		return strings.HasSuffix(name, inner)
	case prefixed:
		return strings.HasPrefix(name, prefix)
	}
	return pattern == name
}
