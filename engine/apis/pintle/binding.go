package pintle

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// StrategyBinding says which objects a strategy decides about.
type StrategyBinding struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              BindingSpec   `json:"spec"`
	Status            BindingStatus `json:"status,omitempty"`
}

// BindingSpec is what is asked for.
type BindingSpec struct {
	Type string `json:"type"`
	// Strategy that decides; empty leaves it to the built-in one.
	Strategy       string                `json:"strategy,omitempty"`
	Candidate      *Candidate            `json:"candidate,omitempty"`
	SchedulerNames []string              `json:"schedulerNames,omitempty"`
	Namespaces     []string              `json:"namespaces,omitempty"`
	Selector       *metav1.LabelSelector `json:"selector,omitempty"`
	Priority       int32                 `json:"priority,omitempty"`
}

// Candidate is a strategy that is to take over.
type Candidate struct {
	Strategy string `json:"strategy"`
	Shadow   bool   `json:"shadow,omitempty"`
	Percent  int    `json:"percent,omitempty"`
}

// BindingStatus is what became of it.
type BindingStatus struct {
	ObservedGeneration int64              `json:"observedGeneration,omitempty"`
	Conditions         []metav1.Condition `json:"conditions,omitempty"`
	Active             *BoundRevision     `json:"active,omitempty"`
	Previous           *BoundRevision     `json:"previous,omitempty"`
}

// BoundRevision is a strategy that decided, and its module.
type BoundRevision struct {
	Strategy string      `json:"strategy"`
	Digest   string      `json:"digest"`
	Since    metav1.Time `json:"since"`
}
