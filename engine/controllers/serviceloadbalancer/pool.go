package serviceloadbalancer

import (
	"fmt"
	"net/netip"
	"strings"
)

// Pool is a list of address ranges.
type Pool []addressRange

// addressRange holds all addresses from first to last.
type addressRange struct{ first, last netip.Addr }

// ParsePool reads ranges divided by commas: CIDRs (without their first and, for
// IPv4, last address), FIRST-LAST, or single addresses.
func ParsePool(text string) (Pool, error) {
	var out Pool
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		r, err := parseRange(part)
		if err != nil {
			return nil, fmt.Errorf("address pool %q: %w", part, err)
		}
		out = append(out, r)
	}
	return out, nil
}

func parseRange(text string) (addressRange, error) {
	if from, to, ok := strings.Cut(text, "-"); ok {
		first, err := netip.ParseAddr(strings.TrimSpace(from))
		if err != nil {
			return addressRange{}, err
		}
		last, err := netip.ParseAddr(strings.TrimSpace(to))
		if err != nil {
			return addressRange{}, err
		}
		if first.Is6() != last.Is6() || last.Less(first) {
			return addressRange{}, fmt.Errorf("%s does not come after %s", last, first)
		}
		return addressRange{first, last}, nil
	}
	if !strings.Contains(text, "/") {
		addr, err := netip.ParseAddr(text)
		return addressRange{addr, addr}, err
	}
	prefix, err := netip.ParsePrefix(text)
	if err != nil {
		return addressRange{}, err
	}
	prefix = prefix.Masked()
	if prefix.IsSingleIP() {
		return addressRange{prefix.Addr(), prefix.Addr()}, nil
	}
	first, last := prefix.Addr().Next(), lastOf(prefix)
	if prefix.Addr().Is4() {
		last = last.Prev() // broadcast
	}
	if last.Less(first) {
		return addressRange{}, fmt.Errorf("%s has no address to give", prefix)
	}
	return addressRange{first, last}, nil
}

// lastOf sets all bits of the host part.
func lastOf(prefix netip.Prefix) netip.Addr {
	bytes := prefix.Addr().AsSlice()
	for i := prefix.Bits(); i < len(bytes)*8; i++ {
		bytes[i/8] |= 0x80 >> (i % 8)
	}
	addr, _ := netip.AddrFromSlice(bytes)
	return addr
}

// Contains reports that an address is of the pool.
func (p Pool) Contains(addr netip.Addr) bool {
	for _, r := range p {
		if r.first.Is6() == addr.Is6() && !addr.Less(r.first) && !r.last.Less(addr) {
			return true
		}
	}
	return false
}

// Has reports that the pool has addresses of a family.
func (p Pool) Has(six bool) bool {
	for _, r := range p {
		if r.first.Is6() == six {
			return true
		}
	}
	return false
}

// Free is the first address of a family that is not taken.
func (p Pool) Free(six bool, taken map[netip.Addr]bool) (netip.Addr, bool) {
	for _, r := range p {
		if r.first.Is6() != six {
			continue
		}
		// One more than are taken need to be tried at most.
		for addr, tries := r.first, 0; tries <= len(taken) && addr.IsValid() && !r.last.Less(addr); addr, tries = addr.Next(), tries+1 {
			if !taken[addr] {
				return addr, true
			}
		}
	}
	return netip.Addr{}, false
}

func (p Pool) String() string {
	var parts []string
	for _, r := range p {
		if r.first == r.last {
			parts = append(parts, r.first.String())
		} else {
			parts = append(parts, r.first.String()+"-"+r.last.String())
		}
	}
	return strings.Join(parts, ",")
}
