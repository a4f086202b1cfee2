// Package autoscaling is the built-in autoscaling strategy: what the documentation
// of HorizontalPodAutoscaler promises, decided from one snapshot. It is pure, and
// compiled natively (as oracle and fallback) and to Wasm from this one source.
//
// Every metric proposes replicas; the highest proposal wins. Of a metric, the ratio
// of observed to wanted counts; pods without samples pull it towards 1, pods that
// are not ready are left out unless there is more to do for them. Then windows and
// policies limit the step.
package autoscaling
