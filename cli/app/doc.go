// Package app is the composition root: it alone knows every part of Pintle, and
// wires store, API server, controllers, scheduler, policies and node agents into
// a running cluster on this machine. What is wired is a visible list here; the
// parts know each other only through small interfaces. One process at a time
// works on a data directory, by its lock.
package app
