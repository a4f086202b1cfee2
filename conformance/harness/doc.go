// Package harness starts the built binary for tests and benchmarks: one cluster
// in a temporary directory, its kubeconfig, and the end of everything it made.
// It knows the command line only.
package harness
