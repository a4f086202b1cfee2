// Package admission owns the chain that every write passes between decoding and
// validation: upstream's plugins where they are published as libraries, ours for
// the rest. Plugins change or refuse the object of a request; they never write
// anything else and read the cluster through informers only.
//
// The plugins see the external v1 types, which are the hub types of this server.
// Deviations from upstream: the cache of each plugin is awaited by the chain as a
// whole, and the lookups that upstream repeats against the API are left out,
// since the informers here are fed in process.
package admission
