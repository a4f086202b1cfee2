// Package suite owns what a conformance case is, the environment it gets, the
// runner and the report. It drives a cluster only from outside, through
// unmodified clients (client-go and kubectl), and imports nothing else of this
// project. Cases run at the same time unless they ask to run alone; each has a
// namespace of its own.
package suite
