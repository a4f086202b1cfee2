// Package rollout is the built-in rollout strategy: RollingUpdate and Recreate as
// Kubernetes does them, canary in steps, and blue-green. One call decides one step
// from one snapshot; it is pure, and compiled natively (as oracle and fallback) and
// to Wasm from this one source.
//
// A canary or blue-green rollout keeps its place in Answer.State. It belongs to the
// template it rolls out: another template begins anew.
package rollout
