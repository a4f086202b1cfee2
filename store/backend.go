package store

import "k8s.io/apiserver/pkg/storage"

// Backend keeps resources: a Store, or any other implementation that passes
// storetest. The registry asks for nothing more.
type Backend interface {
	// Storage opens the storage of the objects below cfg.Prefix; stop ends its watches
	// and refuses further calls, and leaves what is stored.
	Storage(cfg ResourceConfig) (s storage.Interface, stop func(), err error)
}

var _ Backend = (*Store)(nil)

// Storage implements Backend.
func (s *Store) Storage(cfg ResourceConfig) (storage.Interface, func(), error) {
	r, err := s.Resource(cfg)
	if err != nil {
		return nil, nil, err
	}
	return r, r.Stop, nil
}
