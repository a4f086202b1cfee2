package host

import (
	"errors"
	"fmt"
	"sync"

	"github.com/tetratelabs/wazero/experimental"
	"golang.org/x/sys/unix"
)

// mappings gives guests their memory: address space for the whole of the cap is
// reserved at once, so that growing never copies, and only what is touched counts.
// Freed mappings are emptied and used again, never unmapped while the runtime
// lives: a stray call into a closed instance must not become a fault of this
// process.
type mappings struct {
	mu struct {
		sync.Mutex
		idle [][]byte
		all  [][]byte
	}
}

var _ experimental.MemoryAllocator = (*mappings)(nil)

// Allocate implements experimental.MemoryAllocator.
func (m *mappings) Allocate(_, max uint64) experimental.LinearMemory {
	m.mu.Lock()
	defer m.mu.Unlock()
	if n := len(m.mu.idle); n > 0 && uint64(len(m.mu.idle[n-1])) >= max {
		b := m.mu.idle[n-1]
		m.mu.idle = m.mu.idle[:n-1]
		return &linear{owner: m, b: b}
	}
	b, err := unix.Mmap(-1, 0, int(max), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE|unix.MAP_NORESERVE)
	if err != nil {
		// The interface has no error; wazero turns a panic into one.
		panic(fmt.Errorf("map %d bytes for a strategy: %w", max, err))
	}
	m.mu.all = append(m.mu.all, b)
	return &linear{owner: m, b: b}
}

func (m *mappings) close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	var errs []error
	for _, b := range m.mu.all {
		errs = append(errs, unix.Munmap(b))
	}
	m.mu.idle, m.mu.all = nil, nil
	return errors.Join(errs...)
}

type linear struct {
	owner *mappings
	b     []byte
}

// Reallocate implements experimental.LinearMemory.
func (l *linear) Reallocate(size uint64) []byte {
	if l.b == nil || size > uint64(len(l.b)) {
		return nil
	}
	return l.b[:size]
}

// Free implements experimental.LinearMemory.
func (l *linear) Free() {
	l.owner.mu.Lock()
	defer l.owner.mu.Unlock()
	if l.b == nil {
		return
	}
	// A mapping that cannot be emptied must not be handed out again.
	if unix.Madvise(l.b, unix.MADV_DONTNEED) == nil {
		l.owner.mu.idle = append(l.owner.mu.idle, l.b)
	}
	l.b = nil
}
