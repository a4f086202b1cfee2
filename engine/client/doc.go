// Package client is how the parts of the server use its API from inside the
// process: typed reads and writes straight on the registry, informers that share
// object pointers with the store's index, and, for libraries that insist on it,
// a clientset over an in-process HTTP round tripper.
//
// Writes run what the HTTP path runs (defaulting, mutating admission,
// managedFields, validation, validating admission) and skip what it adds
// (encoding, authorization, audit, flow control). The package never touches the
// store itself.
//
// Ownership: an object given to Create or Update belongs to the client from then
// on. An object returned by Get, List, an informer or a lister is shared and must
// not be changed; DeepCopy it, or use UpdateFunc, which hands out a private copy.
//
// A Client is a small immutable value over a shared core; it is safe for
// concurrent use, as are all objects derived from it with As and WithFieldManager.
package client
