// Package store owns the cluster's state: k8s.io/apiserver's storage.Interface,
// one Resource per key prefix, over the bytes of store/kv.
//
// It knows codecs, resource versions, selectors and watches. It never validates
// or defaults objects, and only the registry writes through it.
//
// # Objects
//
// Each Resource keeps an index: a B-tree from key to the decoded object. An
// object is decoded once, by whoever writes it, and is immutable from the moment
// it is published. Readers get shallow copies: their own struct, deep parts
// shared, so they must not change what pointers, slices and maps lead to. Only
// GuaranteedUpdate hands out deep copies. ObjectList and WithSharedObjects hand
// out the shared pointers themselves.
//
// # Writing
//
// A writer encodes and decodes in its own goroutine and submits to kv with the
// mod revision it saw as condition. The committer of kv, once the batch is on
// disk, calls Store.publish: every Resource concerned changes its index and
// appends to its event logs under one lock, then waiting watches are woken, and
// only then are the writers answered. So a read that starts after a write was
// acknowledged sees it.
//
// # Watching
//
// An event log is a window of recent events shared by all watches of a group
// (the whole resource, one prefix, one key, one value of an index); a watch is a
// cursor into it. A watch that falls behind the window is closed and may resume
// from disk; it never delays a write or another watch.
//
// # Locks
//
// Resource.mu guards index and logs, is held only for memory work, and is never
// held while sending, decoding or waiting. Store.publish runs on the committer,
// one batch at a time.
package store
