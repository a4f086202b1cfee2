// Package startup holds the test that what guards a cluster is in force before the
// first write is served, and that nothing of it can keep a cluster from starting.
package startup
