package pintle

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// What is done if a strategy fails.
const (
	Fallback = "Fallback"
	Hold     = "Hold"
)

// Conditions.
const (
	// Ready: the module that the spec asks for is loaded; or, of a binding, its
	// strategies are there.
	Ready = "Ready"
	// FallenBack: the strategy failed too often, and the built-in one decides.
	FallenBack = "FallenBack"
)

// Strategy is a module that decides.
type Strategy struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`
	Spec              StrategySpec   `json:"spec"`
	Status            StrategyStatus `json:"status,omitempty"`
}

// StrategySpec is what is asked for.
type StrategySpec struct {
	// Type is Scheduling, Autoscaling or Rollout.
	Type   string `json:"type"`
	Module Module `json:"module"`
	// RollbackTo is the digest of an earlier module that shall run instead.
	RollbackTo string         `json:"rollbackTo,omitempty"`
	Config     map[string]any `json:"config,omitempty"`
	// OnFailure is Fallback or Hold.
	OnFailure string `json:"onFailure,omitempty"`
}

// Module says where a module is: exactly one field but Digest is set.
type Module struct {
	Builtin   string        `json:"builtin,omitempty"`
	ConfigMap *ConfigMapKey `json:"configMap,omitempty"`
	File      string        `json:"file,omitempty"`
	OCI       *Artifact     `json:"oci,omitempty"`
	// Digest that it must have, as sha256:HEX.
	Digest string `json:"digest,omitempty"`
}

// ConfigMapKey names an entry of a ConfigMap's binaryData.
type ConfigMapKey struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	Key       string `json:"key,omitempty"`
}

// Artifact is a module in a registry.
type Artifact struct {
	// Reference is REGISTRY/REPOSITORY@sha256:DIGEST.
	Reference string `json:"reference"`
	PlainHTTP bool   `json:"plainHTTP,omitempty"`
	// PublicKey, in PEM, that the artifact must be signed by.
	PublicKey string `json:"publicKey,omitempty"`
}

// String says where the module is, for people.
func (m *Module) String() string {
	switch {
	case m.ConfigMap != nil:
		return "configmap " + m.ConfigMap.Namespace + "/" + m.ConfigMap.Name
	case m.OCI != nil:
		return m.OCI.Reference
	case m.File != "":
		return "file " + m.File
	}
	return "builtin " + m.Builtin
}

// StrategyStatus is how the strategy does.
type StrategyStatus struct {
	ObservedGeneration int64              `json:"observedGeneration,omitempty"`
	Conditions         []metav1.Condition `json:"conditions,omitempty"`
	Active             *Revision          `json:"active,omitempty"`
	Previous           *Revision          `json:"previous,omitempty"`
	ABI                string             `json:"abi,omitempty"`
	Instances          int64              `json:"instances,omitempty"`
	Calls              int64              `json:"calls,omitempty"`
	Failures           int64              `json:"failures,omitempty"`
	LastFailure        string             `json:"lastFailure,omitempty"`
	Latency            *Latency           `json:"latency,omitempty"`
	Fuel               *Fuel              `json:"fuel,omitempty"`
	Shadow             *Shadow            `json:"shadow,omitempty"`
}

// Revision is a module that was loaded.
type Revision struct {
	Digest string      `json:"digest"`
	Source string      `json:"source,omitempty"`
	Since  metav1.Time `json:"since"`
}

// Latency of the last calls, as durations.
type Latency struct {
	P50 string `json:"p50"`
	P99 string `json:"p99"`
}

// Fuel of the last calls.
type Fuel struct {
	P50 int64 `json:"p50"`
	P99 int64 `json:"p99"`
}

// Shadow counts answers on trial that were, and were not, those that counted.
type Shadow struct {
	Agreed   int64 `json:"agreed"`
	Differed int64 `json:"differed"`
}
