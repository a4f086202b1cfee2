// Package registry builds, from the served table, the REST storage of every kind
// and subresource over the store: one genericregistry.Store per row, with the
// row's Rules as its strategies, and by hand what upstream does by hand (pods,
// services, namespaces, reviews). It is the only writer to the
// store. It decides nothing about who may call it and speaks no HTTP, except to
// node agents on behalf of the connecting subresources.
//
// A Registry is built once by New and is safe for concurrent use.
package registry
