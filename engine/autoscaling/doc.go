// Package autoscaling runs HorizontalPodAutoscalers: every fifteen seconds it
// observes the target's scale, its pods and their metrics, asks the strategy in
// charge (wasm/abi/scaling), checks the answer and acts on it: the scale, the
// status, events, a decision record. It decides nothing about replicas itself; the
// windows and policies are the strategy's, from a history that is kept here, in
// memory, as long as the server runs.
package autoscaling
