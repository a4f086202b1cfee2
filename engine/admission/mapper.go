package admission

import (
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

const (
	// mapperAge is how old a mapping may be; upstream's mapper forgets as often.
	mapperAge = 30 * time.Second
	// mapperRetry is how often a kind that is not known is asked for again.
	mapperRetry = time.Second
)

// freshMapper makes a mapper that remembers what is served look again: after a
// while, and for a kind that it does not know, such as one defined since.
type freshMapper struct {
	meta.RESTMapper
	mu struct {
		sync.Mutex
		since time.Time
	}
}

// RESTMapping implements meta.RESTMapper.
func (m *freshMapper) RESTMapping(gk schema.GroupKind, versions ...string) (*meta.RESTMapping, error) {
	m.forget(mapperAge)
	mapping, err := m.RESTMapper.RESTMapping(gk, versions...)
	if meta.IsNoMatchError(err) && m.forget(mapperRetry) {
		return m.RESTMapper.RESTMapping(gk, versions...)
	}
	return mapping, err
}

// RESTMappings implements meta.RESTMapper.
func (m *freshMapper) RESTMappings(gk schema.GroupKind, versions ...string) ([]*meta.RESTMapping, error) {
	m.forget(mapperAge)
	mappings, err := m.RESTMapper.RESTMappings(gk, versions...)
	if meta.IsNoMatchError(err) && m.forget(mapperRetry) {
		return m.RESTMapper.RESTMappings(gk, versions...)
	}
	return mappings, err
}

// forget drops what is older than an age, and says whether it did.
func (m *freshMapper) forget(age time.Duration) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	if now.Sub(m.mu.since) < age {
		return false
	}
	m.mu.since = now
	meta.MaybeResetRESTMapper(m.RESTMapper)
	return true
}
