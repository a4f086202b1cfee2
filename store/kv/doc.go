// Package kv owns the bytes of the cluster on disk: a multi-version key-value
// store on Pebble with one 64-bit revision counter.
//
// It knows nothing of objects, resources or Kubernetes. Keys are strings
// without NUL bytes, values are opaque.
//
// # Writing
//
// One goroutine, the committer, owns the revision. It takes every request that
// is waiting, checks the conditions of each in order, assigns revisions, and
// writes all of them in one synced Pebble commit; requests that arrive during
// the sync form the next batch. After the sync it hands the events to the
// Publish function, in revision order, and only then acknowledges. So an
// acknowledged write is on disk and published, and nobody is told of a write
// that is not on disk.
//
// # Layout
//
//	k key 00 ^rev   -> version of key (newest first)
//	r rev sub       -> log record: what revision rev did, in order
//	x expiry key    -> a live key that expires
//	t seconds       -> the revision before what was written from then on
//	m name          -> format, state, compacted revision, gaps
//
// Every value is stored once: replacing a key leaves the previous version where
// it is, as history, until compaction removes it.
//
// # Concurrency
//
// All methods of DB may be called from any goroutine. Reads work on Pebble
// snapshots and never wait for the committer.
package kv
