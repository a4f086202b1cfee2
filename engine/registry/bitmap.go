package registry

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
)

// Errors of an allocator.
var (
	errFull       = errors.New("range is full")
	errAllocated  = errors.New("provided IP is already allocated")
	errOutOfRange = errors.New("the provided network does not match the current range")
)

// PortRange is an inclusive range of ports.
type PortRange struct{ First, Last int }

func (p PortRange) String() string { return fmt.Sprintf("%d-%d", p.First, p.Last) }

// defaultNodePorts is upstream's default range.
var defaultNodePorts = PortRange{First: 30000, Last: 32767}

// bitmap hands out numbers below a size, each once. Random picks avoid the first
// reserved numbers while others are left, so that those stay for callers who name
// one.
type bitmap struct {
	size, reserved int

	mu struct {
		sync.Mutex
		used  map[int]bool
		lower int // how many of used are below reserved
	}
}

func newBitmap(size int) *bitmap {
	// As upstream: min(max(16, size/16), 256) stay reserved, none in tiny ranges.
	reserved := min(max(16, size/16), 256)
	if size < 32 {
		reserved = 0
	}
	b := &bitmap{size: size, reserved: reserved}
	b.mu.used = map[int]bool{}
	return b
}

// take marks n; false if it is taken already.
func (b *bitmap) take(n int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.takeLocked(n)
}

func (b *bitmap) takeLocked(n int) bool {
	if b.mu.used[n] {
		return false
	}
	b.mu.used[n] = true
	if n < b.reserved {
		b.mu.lower++
	}
	return true
}

// next takes a number that is free; false if there is none.
func (b *bitmap) next() (int, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	first, count := b.reserved, b.size-b.reserved
	if len(b.mu.used)-b.mu.lower >= count {
		first, count = 0, b.reserved
		if b.mu.lower >= count {
			return 0, false
		}
	}
	start := rand.IntN(count)
	for i := range count {
		if n := first + (start+i)%count; b.takeLocked(n) {
			return n, true
		}
	}
	return 0, false
}

func (b *bitmap) release(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.mu.used[n] {
		return
	}
	delete(b.mu.used, n)
	if n < b.reserved {
		b.mu.lower--
	}
}

// addresses allocates cluster addresses of a CIDR, without its first and, for
// IPv4, its last address.
type addresses struct {
	prefix netip.Prefix
	bits   *bitmap
}

// maxAddresses bounds what is handed out of a large (IPv6) range.
const maxAddresses = 1 << 20

func newAddresses(cidr string) (*addresses, error) {
	prefix, err := netip.ParsePrefix(cidr)
	if err != nil {
		return nil, fmt.Errorf("service address range: %w", err)
	}
	prefix = prefix.Masked()
	hostBits := prefix.Addr().BitLen() - prefix.Bits()
	if hostBits < 2 {
		return nil, fmt.Errorf("service address range %s: too small, use a shorter prefix", cidr)
	}
	size := maxAddresses
	if hostBits < 20 {
		size = 1<<hostBits - 1
		if prefix.Addr().Is4() {
			size--
		}
	}
	return &addresses{prefix: prefix, bits: newBitmap(size)}, nil
}

// index is the position of an address of the range, counting from the first usable.
func (a *addresses) index(ip netip.Addr) (int, bool) {
	if !a.prefix.Contains(ip) {
		return 0, false
	}
	base, at := a.prefix.Addr().AsSlice(), ip.AsSlice()
	var n int
	for i := range at {
		if n > maxAddresses {
			return 0, false
		}
		n = n<<8 + int(at[i]) - int(base[i])
	}
	return n - 1, n >= 1 && n <= a.bits.size
}

func (a *addresses) at(n int) netip.Addr {
	raw := a.prefix.Addr().AsSlice()
	for i, carry := len(raw)-1, n+1; i >= 0 && carry > 0; i-- {
		carry += int(raw[i])
		raw[i] = byte(carry)
		carry >>= 8
	}
	ip, _ := netip.AddrFromSlice(raw)
	return ip
}

func (a *addresses) take(value string) (err error) {
	defer func() { a.count(static, err) }()
	ip, err := netip.ParseAddr(value)
	if err != nil {
		return fmt.Errorf("%q is not an IP address", value)
	}
	n, ok := a.index(ip)
	switch {
	case !ok:
		return errOutOfRange
	case !a.bits.take(n):
		return errAllocated
	}
	return nil
}

func (a *addresses) next() (ip string, err error) {
	defer func() { a.count(dynamic, err) }()
	n, ok := a.bits.next()
	if !ok {
		return "", fmt.Errorf("failed to allocate a serviceIP from %s: %w; delete services that are not needed or configure a larger range", a.prefix, errFull)
	}
	return a.at(n).String(), nil
}

func (a *addresses) release(value string) {
	if ip, err := netip.ParseAddr(value); err == nil {
		if n, ok := a.index(ip); ok {
			a.bits.release(n)
			a.bits.show(allocatedIPs.WithLabelValues(a.prefix.String()), availableIPs.WithLabelValues(a.prefix.String()))
		}
	}
}

// ports allocates node ports.
type ports struct {
	PortRange
	bits *bitmap
}

func newPorts(r PortRange) (*ports, error) {
	if r == (PortRange{}) {
		r = defaultNodePorts
	}
	if r.First < 1 || r.Last > 65535 || r.Last < r.First {
		return nil, fmt.Errorf("node port range %s: want first-last within 1-65535", r)
	}
	return &ports{PortRange: r, bits: newBitmap(r.Last - r.First + 1)}, nil
}

func (p *ports) take(port int) (err error) {
	defer func() { p.count(static, err) }()
	switch {
	case port < p.First || port > p.Last:
		return fmt.Errorf("provided port is not in the valid range. The range of valid ports is %s", p.PortRange)
	case !p.bits.take(port - p.First):
		return errPortAllocated
	}
	return nil
}

var errPortAllocated = errors.New("provided port is already allocated")

func (p *ports) next() (port int, err error) {
	defer func() { p.count(dynamic, err) }()
	n, ok := p.bits.next()
	if !ok {
		return 0, fmt.Errorf("failed to allocate a nodePort from %s: %w; delete services that are not needed or configure a larger range", p.PortRange, errFull)
	}
	return p.First + n, nil
}

func (p *ports) release(port int) {
	if port >= p.First && port <= p.Last {
		p.bits.release(port - p.First)
		p.bits.show(allocatedPorts.WithLabelValues(), availablePorts.WithLabelValues())
	}
}
