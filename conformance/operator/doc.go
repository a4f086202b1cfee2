// Package operator is an operator as people write them with controller-runtime: a
// kind in two versions, a reconciler with a finalizer, a status and owned objects,
// webhooks that default, validate and convert, and leader election. Its test runs
// it as processes of their own against the built binary.
package operator
