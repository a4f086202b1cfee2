// Package store owns the cluster's state: an implementation of
// k8s.io/apiserver's storage.Interface over store/kv.
package store

import (
	"errors"

	"k8s.io/apiserver/pkg/storage"
)

// Store is an open database. Safe for concurrent use.
type Store struct{}

// Open opens or creates the store in dir.
func Open(dir string, opts Options) (*Store, error) {
	return nil, errors.New("store: not built yet")
}

// Resource returns the storage of the objects below cfg.Prefix.
func (s *Store) Resource(cfg ResourceConfig) (*Resource, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	return nil, errors.New("store: not built yet")
}

// Revision is the revision of the last acknowledged write.
func (s *Store) Revision() int64 { return 0 }

// Close stops the store.
func (s *Store) Close() error { return nil }

// Resource is the storage.Interface of one key prefix.
type Resource struct{ storage.Interface }

// Stop ends all watches of the resource and forgets its index; the data stays.
func (r *Resource) Stop() {}
